"""How often the initial policy solves each training problem: sampled once, before any training."""

import json
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rlvr.config import Config, config_from_yaml, load_config
from rlvr.curriculum.group_size import inverse_success_group_size
from rlvr.curriculum.profile import (
    Profile,
    other_policy,
    profile_file,
    profile_name,
    read_profile,
    write_profile,
)
from rlvr.errors import UserError
from rlvr.evaluation import counts
from rlvr.evaluation.samples_key import judging
from rlvr.evaluation.sampling import sample_benchmarks, sampled_tokens
from rlvr.files.run_directory import RunDirectory, conflicts, fingerprint_of, read_summary
from rlvr.policy.location import own_contents
from rlvr.policy.weights import weights_digest
from rlvr.problems import ids_of, load_problems
from rlvr.rollout.engine import EngineWhenNeeded, Sampling
from rlvr.runs.deadline import check_time, closing
from rlvr.runs.evaluate import lengths_in
from rlvr.training.flops import forward_flops, parameter_count
from rlvr.training.setup import initial_policy, open_engine

JUDGE = re.compile(r"data\.(parts\.[^.]+\.)?(parameters\.)?verifiers?(\..+)?")  # keys of who judges
SAMPLES = "profile"  # the file of samples, beside the profile
SAMPLES_PER_SHARD = 16384  # fixed, because a resumed profile must cut the problems as the first start did


def profile_config(config: Config) -> Config:
    """The profile's own run: model, data and sampling of the runs that use it, and nothing else of theirs."""
    plain = load_config()
    training = replace(
        plain.training,
        steps=0,
        prompts_per_step=1,
        mini_batch_prompts=1,
        sampling=config.training.sampling,
        precision=config.training.precision,
        device=config.training.device,
        threads=config.training.threads,
    )
    return replace(
        plain,
        experiment="profiles",
        arm=profile_name(config),
        seed=config.profile.seed,
        runs=config.runs,
        scale=config.scale,
        model=config.model,
        data=config.data,
        rollout=config.rollout,
        training=training,
        profile=replace(config.profile, file=None),
    )


def profile(config: Config) -> Path:
    """Sample every training problem `profile.n` times as in training, and write the counts of right answers.

    A killed profile goes on from its last shard; a finished one is left alone, unless the data behind the
    same path has changed. Where only what judges is another, its samples are judged again. All runs with the
    same model, data and sampling share one.

    Returns:
        The profile's file.

    Raises:
        UserError: if samples of another policy are there already, or another profile in `profile.file`.
        OutOfTime: see `rlvr.runs.deadline`.
    """
    own = profile_config(config)
    file = profile_file(config)
    if file.exists():
        if is_profiled(config):
            return file
        if config.profile.file:
            problems, found = load_problems(own.data, held_out=False), read_profile(file)
            if found.data == fingerprint_of(ids_of(problems)):
                found.check_judging(judging(problems), config)
            raise UserError(
                f"{file} is a profile of another data set: give another profile.file=, or remove it"
            )
    directory = RunDirectory(own)
    try:
        write_profile(measure(own, directory), file)
    finally:
        directory.close()
    return file


def is_profiled(config: Config) -> bool:
    """Whether the profile of a config is there, of its problems and as its verifiers judge now."""
    if not (file := profile_file(config)).exists():
        return False
    found, problems = read_profile(file), load_problems(config.data, held_out=False)
    return found.data == fingerprint_of(ids_of(problems)) and found.judging == judging(problems)


def judged_otherwise(config: Config, folder: Path, digest: str, contents: dict[str, str]) -> list[Path]:
    """The folders of profiles that differ from one in the verifier alone, which their names hold."""
    found = []
    for other in sorted(folder.parents[1].glob(f"*/{folder.name}")):
        if other != folder and (other / "config.yaml").exists():
            before = read_summary(other)
            if before.get("policy") == digest and before.get("contents", contents) == contents:
                with suppress(UserError):  # of another version
                    stored = config_from_yaml(other / "config.yaml")
                    differing = conflicts(other, stored, config)
                    if differing and all(JUDGE.fullmatch(key) for key in differing):
                        found.append(other)
    return found


def measure(config: Config, directory: RunDirectory) -> Profile:
    """Sample what is missing, and count."""
    problems = load_problems(config.data, held_out=False)
    data = fingerprint_of(ids_of(problems))
    directory.record_provenance(config, {config.data.name: data})
    policy = initial_policy(config, device="cpu")  # a GPU has the engine's, and need not have them twice
    digest, contents = weights_digest(policy.model), own_contents(config.model)
    before = directory.read_summary()
    if other := other_policy(before.get("policy", digest), before.get("contents", {}), digest, contents):
        raise UserError(f"{directory.path} has samples of another policy ({other}): remove that folder")
    started = time.perf_counter() - before.get("seconds", {}).get("profiling", 0.0)  # with earlier starts

    def report(done: int, total: int) -> None:
        directory.report("evaluation", done, total)
        seconds = {"profiling": time.perf_counter() - started}
        directory.update_summary(policy=digest, contents=contents, seconds=seconds)
        if done < total:
            check_time()

    engine = EngineWhenNeeded(lambda: open_engine(config, None, lengths_in(config, training=problems)))
    with closing(engine):
        samples = sample_benchmarks(
            engine,
            {SAMPLES: problems},
            samples=config.profile.n,
            sampling=Sampling(**vars(config.training.sampling)),
            seed=config.profile.seed,
            folder=directory.path,
            samples_per_shard=SAMPLES_PER_SHARD,
            elsewhere=judged_otherwise(config, directory.path, digest, contents),
            report=report,
        )[SAMPLES]
    tally = counts(samples)
    prompt_tokens = sum(len(policy.encode(problem)) for problem in problems)
    generated_tokens = sampled_tokens(samples)
    # nothing follows the last token of a sample, so it goes through no model
    positions = prompt_tokens + generated_tokens - config.profile.n * len(problems)
    return Profile(
        policy=digest,
        data=data,
        counts={p.id: (int(tally["c"][p.id]), int(tally["n"][p.id])) for p in problems},
        prompt_tokens=prompt_tokens,
        generated_tokens=generated_tokens,
        flops=forward_flops(parameter_count(policy.model), positions),
        seconds=time.perf_counter() - started,
        judging=judging(problems),
        contents=contents,
    )


def describe(file: Path, threshold: float = 0.75) -> str:
    """What sGPO would make of a profile, and what it cost, in a few lines."""
    found = read_profile(file)
    rates = Counter(
        "unscorable" if samples == 0 else f"{successes}/{samples}"
        for successes, samples in found.counts.values()
    )
    known = [(c, n) for c, n in found.counts.values() if n > 0]
    learnable = [(c, n) for c, n in known if 0 < c <= threshold * n]
    sizes = Counter(int(inverse_success_group_size(c, n)) for c, n in learnable)
    lines = [
        f"{len(found.counts)} problems: {sum(c > threshold * n for c, n in known)} trivial "
        f"(above {threshold}), {len(learnable)} learnable, {sum(c == 0 for c, _ in known)} never solved",
        "group sizes of the learnable: " + ", ".join(f"{sizes[g]} of {g}" for g in sorted(sizes)),
        "right answers: " + json.dumps(dict(sorted(rates.items()))),
        f"{found.generated_tokens:,} tokens sampled, {found.flops:.2e} FLOPs, {found.seconds:.0f} s",
        f"policy {found.policy}, data {found.data}",
    ]
    return "\n".join(lines)
