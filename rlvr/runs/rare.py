"""Drawing the set of rare correct answers, and measuring it under a run's checkpoint (F-GRPO, section 5.3).

The set is `<runs>/rare/<key>/rare-<judge>.parquet`, where the key is of the initial weights, the data and the
sampling. Beside it are all samples, which another judge judges again. A run's part is
`evaluation/rare-answers.parquet`, one row an answer.
"""

import zlib
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlvr.config import Config, ProblemsConfig, fingerprint
from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.errors import UserError
from rlvr.evaluation.rare import mean_nll, rarest
from rlvr.evaluation.samples_key import judging, questions_of
from rlvr.evaluation.sampling import write_parquet
from rlvr.files.atomic import locked, make_folder
from rlvr.files.run_files import ANSWERS
from rlvr.functions.source import is_file_function
from rlvr.policy.adapter import BASE
from rlvr.policy.location import own_contents
from rlvr.policy.model_files import TEMPLATE, TOKENIZER_CONFIG, TOKENIZERS
from rlvr.policy.policy import Policy
from rlvr.problems import load_problems
from rlvr.rollout.engine import EngineWhenNeeded, RolloutEngine, Sampling
from rlvr.rollout.lengths import longest_sequence
from rlvr.runs.deadline import check_time, closing
from rlvr.runs.weights import digests_of, weights_of
from rlvr.training.checkpoint import checkpoint_path
from rlvr.training.setup import initial_policy, open_engine
from rlvr.verification import verify

COLUMNS = ("text", "finish_reason", "token_ids", "nll")  # of all samples, in the order of their problems
KINDS = (pa.string(), pa.string(), pa.list_(pa.int32()), pa.float64())


def rare_file(config: Config, run: Path) -> Path:
    """The set of the policy that a run started from; the same for all runs that can share one.

    Its folder is named by what samples depend on, and has them; its own name is that of what judges them.
    """
    if not (digests := digests_of(config, weights_of(config, run, 0))):
        raise UserError(f"{checkpoint_path(run, 0)} has no manifest that can be read: train the run anew")
    # an adapter does nothing yet at step 0: the policy is its base
    of_policy = (BASE,) if BASE in digests else ("*.safetensors",)
    asking = (*TOKENIZERS, TOKENIZER_CONFIG, TEMPLATE, "merges.txt")
    read = {name: digests[name] for name in digests if any(fnmatch(name, one) for one in of_policy + asking)}
    if BASE in digests:  # which has the digest of the weights alone
        read |= own_contents(config.model)
    model, data = config.model, config.data
    asked = asked_problems(config)
    made_from = {
        "policy": read,
        "dtype": model.dtype,
        "data": drawn_from(data) | {"parts": {name: drawn_from(part) for name, part in data.parts.items()}},
        "questions": questions_of(asked),  # a file may become another
        "sampling": asdict(config.training.sampling),
        "rare": asdict(config.evaluation.rare) | {"share": None},
        "samples_per_shard": config.evaluation.samples_per_shard,
        "prompts": {name: asdict(prompt) for name, prompt in model.prompts.items()},
        "end_tokens": model.end_tokens,
        "stop_strings": model.stop_strings,
        "chat_template": model.chat_template,
        "engine": [config.rollout.name, getattr(config.rollout, "engine_args", None)],
        "precision": config.training.precision,
    }
    folder = Path(config.runs) / "rare" / f"{model.name}-{data.name}-{fingerprint(made_from)}"
    return folder / f"rare-{fingerprint([judging(asked), config.evaluation.rare.share])}.parquet"


def drawn_from(data: ProblemsConfig) -> dict[str, Any]:
    """The keys of a data set, or of a part of a mixture, that may decide what is asked: not where its files
    are, nor which function of a file judges."""
    judge = "of a file" if is_file_function(data.verifier) else data.verifier
    return asdict(data) | {"root": None, "verifier": judge}


def set_name(config: Config, run: Path) -> str:
    """What `rare_file` calls the set, below all sets."""
    file = rare_file(config, run)
    return f"{file.parent.name}/{file.stem}"


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


def asked_problems(config: Config) -> list[Problem]:
    """The training problems that the set is of answers to."""
    rare, problems = config.evaluation.rare, load_problems(config.data, held_out=False)
    chosen = np.random.default_rng(rare.seed).permutation(len(problems))[: rare.prompts]
    return [problems[i] for i in sorted(chosen)]


def _draw(config: Config, weights: Path | None, file: Path) -> None:
    rare, asked = config.evaluation.rare, asked_problems(config)
    correct = pa.concat_tables(
        _correct_in(part, shard) for part, shard in _sampled(config, weights, file, asked)
    )
    if not len(correct):
        raise UserError(
            f"evaluation.rare: no answer in {rare.samples * len(asked)} samples is right; ask for more with "
            "evaluation.rare.samples= or evaluation.rare.prompts=, or for none with evaluation.rare.prompts=0"
        )
    kept = correct.take(np.sort(rarest(correct["nll"].to_numpy(), rare.share)))
    nll = _nll_of(initial_policy(config, weights), config, asked, kept)
    write_parquet(file, kept.set_column(kept.schema.get_field_index("nll"), "nll", pa.array(nll)))


def _sampled(
    config: Config, weights: Path | None, file: Path, asked: Sequence[Problem]
) -> list[tuple[Sequence[Problem], Path]]:
    """The shards of all samples, each with its problems; they stay, for another verifier to judge."""
    rare, max_tokens = config.evaluation.rare, config.training.sampling.max_tokens
    size = max(1, config.evaluation.samples_per_shard // rare.samples)
    shards = [
        (asked[start : start + size], file.parent / f"samples-{start:06d}.parquet")
        for start in range(0, len(asked), size)
    ]

    def opened() -> RolloutEngine:
        of_all = [(asked, max_tokens, "training.sampling.max_tokens")]
        exact = config.rollout.name == "vllm"
        return open_engine(config, weights, longest_sequence(config.model, of_all, exact=exact))

    engine = EngineWhenNeeded(opened)
    with closing(engine):
        for number, (part, shard) in enumerate(shards):
            if is_readable(shard):
                continue
            check_time()
            groups = engine.generate(
                [(problem, rare.samples) for problem in part],
                Sampling(**vars(config.training.sampling)),
                seed=zlib.crc32(f"rare/{rare.seed}/{number * size}".encode()),
            )
            rows = [
                (one.text, one.finish_reason, one.token_ids, -float(np.mean(one.logprobs)))
                for group in groups
                for one in group.completions
            ]
            columns = [
                pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), KINDS, strict=True)
            ]
            write_parquet(shard, pa.table(columns, names=COLUMNS))
    return shards


def _correct_in(problems: Sequence[Problem], shard: Path) -> pa.Table:
    """`problem_id`, `nll` and `token_ids` of the right answers among the samples of some problems."""
    samples = pq.read_table(shard)
    rows = [samples[name].to_pylist() for name in ("token_ids", "text", "finish_reason")]
    completions = [
        Completion(tokens, [], text, reason, 0) for tokens, text, reason in zip(*rows, strict=True)
    ]
    each = len(completions) // len(problems)
    groups = [Group(p, [], completions[i * each : (i + 1) * each]) for i, p in enumerate(problems)]
    verify(groups)
    verdicts = [(group.problem.id, verdict) for group in groups for verdict in group.verdicts]
    ids = pa.array([problem_id for problem_id, _ in verdicts], pa.string())
    right = pa.array([verdict is Verdict.CORRECT for _, verdict in verdicts], pa.bool_())
    table = pa.table({"problem_id": ids, "nll": samples["nll"], "token_ids": samples["token_ids"]})
    return table.filter(right)


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
