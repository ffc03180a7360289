"""Drawing the set of rare correct answers, and measuring it under a run's checkpoint (F-GRPO, section 5.3).

The set is `<runs>/rare/<key>/rare.parquet`, where the key holds the digest of the initial weights, the data
and the sampling. A run's part is `evaluation/rare-answers.parquet`, one row an answer.
"""

import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlvr.config import Config, fingerprint
from rlvr.data import Problem, Verdict
from rlvr.errors import UserError
from rlvr.evaluation.rare import mean_nll, rarest
from rlvr.evaluation.sampling import write_parquet
from rlvr.files.atomic import locked, make_folder
from rlvr.files.run_files import ANSWERS
from rlvr.policy.adapter import BASE
from rlvr.policy.policy import Policy
from rlvr.problems import content_fingerprint, is_fixed, load_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.lengths import longest_sequence
from rlvr.runs.deadline import check_time, closing
from rlvr.runs.weights import digests_of, weights_of
from rlvr.training.checkpoint import checkpoint_path
from rlvr.training.setup import initial_policy, open_engine
from rlvr.verification import verify


def rare_file(config: Config, run: Path) -> Path:
    """The set of the policy that a run started from; the same for all runs that can share one."""
    if not (digests := digests_of(config, weights_of(config, run, 0))):
        raise UserError(f"{checkpoint_path(run, 0)} has no manifest that can be read: train the run anew")
    # an adapter does nothing yet at step 0: the policy is its base
    of_policy = [BASE] if BASE in digests else [name for name in digests if name.endswith(".safetensors")]
    weights = {name: digests[name] for name in of_policy}
    made_from = [asdict(part) for part in (config.data, config.training.sampling, config.evaluation.rare)]
    model, data = config.model, config.data
    if not data.parts:  # as there were none once
        del made_from[0]["parts"]
    problems = load_problems(data, held_out=False) if is_fixed(data) else ()
    around = {
        "problems": content_fingerprint(problems) if problems else None,  # a file may become another
        "prompts": {name: asdict(prompt) for name, prompt in model.prompts.items()},
        "end_tokens": model.end_tokens,
        "stop_strings": model.stop_strings,
        "precision": config.training.precision if config.training.precision != "float32" else None,
    }
    if model.chat_template:
        around["chat_template"] = model.chat_template
    if any(around.values()):  # sets without are named as they always were
        made_from.append(around)
    name = f"{config.model.name}-{config.data.name}-{fingerprint([weights, *made_from])}"
    return Path(config.runs) / "rare" / name / "rare.parquet"


def draw(config: Config, run: Path) -> Path:
    """The set of the policy that `run` started from, drawn unless it is there; returns its file.

    A killed draw goes on from its last shard. Runs of one sweep come here at the same time: one of them
    draws, and the others wait for it.

    Raises:
        OutOfTime: see `rlvr.runs.deadline`.
    """
    file = rare_file(config, run)
    make_folder(file.parent)
    with locked(file.parent / "lock"):
        if not file.exists():
            _draw(config, weights_of(config, run, 0), file)
    return file


def _draw(config: Config, weights: Path | None, file: Path) -> None:
    rare = config.evaluation.rare
    problems = load_problems(config.data, held_out=False)
    chosen = np.random.default_rng(rare.seed).permutation(len(problems))[: rare.prompts]
    asked = [problems[i] for i in sorted(chosen)]
    size = max(1, config.evaluation.samples_per_shard // rare.samples)
    starts = range(0, len(asked), size)
    # of their size too: `evaluation.samples_per_shard` may be another one when a killed draw goes on
    shards = [file.parent / f"shard-{size}-{start:06d}.parquet" for start in starts]
    max_tokens = config.training.sampling.max_tokens
    asked_of_all = [(asked, max_tokens, "training.sampling.max_tokens")]
    sequence = longest_sequence(config.model, asked_of_all, exact=config.rollout.name == "vllm")
    engine = open_engine(config, weights, sequence)
    with closing(engine):
        for start, shard in zip(starts, shards, strict=True):
            if is_readable(shard):
                continue
            check_time()
            groups = engine.generate(
                [(problem, rare.samples) for problem in asked[start : start + size]],
                Sampling(**vars(config.training.sampling)),
                seed=zlib.crc32(f"rare/{rare.seed}/{start}".encode()),
            )
            verify(groups)
            correct = [
                (group.problem.id, completion.token_ids, -float(np.mean(completion.logprobs)))
                for group in groups
                for completion, verdict in zip(group.completions, group.verdicts, strict=True)
                if verdict is Verdict.CORRECT
            ]
            ids, tokens, nll = zip(*correct, strict=True) if correct else ((), (), ())
            columns = {"problem_id": pa.array(ids, pa.string()), "nll": pa.array(nll, pa.float64())}
            write_parquet(shard, pa.table(columns | {"token_ids": pa.array(tokens, pa.list_(pa.int32()))}))
    correct = pa.concat_tables([pq.read_table(shard) for shard in shards])
    if not len(correct):
        raise UserError(
            f"evaluation.rare: no answer in {rare.samples * len(asked)} samples is right; ask for more with "
            "evaluation.rare.samples= or evaluation.rare.prompts=, or for none with evaluation.rare.prompts=0"
        )
    kept = correct.take(np.sort(rarest(correct["nll"].to_numpy(), rare.share)))
    nll = _nll_of(initial_policy(config, weights), config, asked, kept)
    write_parquet(file, kept.set_column(kept.schema.get_field_index("nll"), "nll", pa.array(nll)))
    for shard in file.parent.glob("shard-*.parquet"):
        shard.unlink()


def is_readable(shard: Path) -> bool:
    """Whether a shard is there and undamaged."""
    try:
        pq.read_table(shard)
    except (pa.ArrowException, OSError):
        return False
    return True


def measure(config: Config, run: Path, step: int) -> Path:
    """The NLL of the set under a run's checkpoint, nats a token: `problem_id`, `nll`, `initial_nll`."""
    answers = pq.read_table(draw(config, run))
    policy = initial_policy(config, weights_of(config, run, step))
    nll = _nll_of(policy, config, load_problems(config.data, held_out=False), answers)
    file = run / "evaluation" / f"{ANSWERS}.parquet"
    write_parquet(
        file,
        pa.table({"problem_id": answers["problem_id"], "nll": nll, "initial_nll": answers["nll"]}),
    )
    return file


def _nll_of(policy: Policy, config: Config, problems: Sequence[Problem], answers: pa.Table) -> np.ndarray:
    by_id = {problem.id: problem for problem in problems}
    return mean_nll(
        policy,
        [by_id[problem_id] for problem_id in answers["problem_id"].to_pylist()],
        answers["token_ids"].to_pylist(),
        budget=config.training.max_tokens_per_micro_batch,
        precision=config.training.precision,
    )
