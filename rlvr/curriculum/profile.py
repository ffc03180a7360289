"""A profile: how often the initial policy solves each training problem, measured once before training.

`rlvr profile` makes it (`rlvr.runs.profile`); `curriculum=sgpo` and `group_size=inverse_success` read it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlvr.config import Config, fingerprint
from rlvr.config.registry import takes
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.files.atomic import write_whole
from rlvr.files.run_directory import fingerprint_of
from rlvr.files.run_files import read_whole_json, sealed_json
from rlvr.files.shapes import NUMBER
from rlvr.problems.lazy import ids_of


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile file holds.

    Attributes:
        policy: `weights_digest` of the policy that answered.
        data: `fingerprint_of` the ids of all training problems, in order.
        counts: problem id -> (right answers, scorable answers).
        prompt_tokens, generated_tokens: tokens spent, each prompt counted once.
        flops: spent on sampling, see `rlvr.training.flops`.
        seconds: spent, over all starts.
        judging: the problems and verifiers that the counts are of (`rlvr.evaluation.samples_key.judging`);
            empty in a file of an older version.
        contents: fingerprint of the model's files, see `rlvr.policy.location.own_contents`.
    """

    policy: str
    data: str
    counts: dict[str, tuple[int, int]]
    prompt_tokens: int
    generated_tokens: int
    flops: float
    seconds: float
    judging: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)

    def success_rate(self, problem: Problem) -> float:
        """Share of right answers in [0, 1]; 0 for a problem of which no answer could be scored."""
        successes, samples = self.counts[problem.id]
        return successes / max(samples, 1)

    def fingerprint(self) -> str:
        """Of the counts, which curricula and group sizes are made of."""
        return fingerprint_of(f"{name} {right}/{of}" for name, (right, of) in self.counts.items())

    def check_policy(self, digest: str, contents: dict[str, str], config: Config) -> None:
        """Refuse a policy that the profile is not of."""
        if other := other_policy(self.policy, self.contents, digest, contents):
            file = profile_file(config)
            given = "give another profile.file="  # what else is in its folder is not ours to remove
            made = f"remove {file.parent} and make one of this policy with `rlvr profile`"
            raise UserError(
                f"{file} is a profile of another policy ({other}): {given if config.profile.file else made}"
            )

    def check_judging(self, judging: dict[str, Any], config: Config) -> None:
        """Refuse verifiers and references that the counts are not of."""
        if judging != self.judging:
            given = "give another profile.file=, or remove it"
            made = "`rlvr profile` with the same overrides judges its samples again"
            raise UserError(
                f"{profile_file(config)} has the counts of another verifier, of another version of it or of "
                f"other references (an older file does not say): {given if config.profile.file else made}"
            )


def other_policy(digest: str, contents: dict[str, str], digest_now: str, contents_now: dict[str, str]) -> str:
    """What of a policy is another, its weights or other files of its model, or ""."""
    if digest != digest_now:
        return f"weights {digest}, not {digest_now}"
    differing = [path for path, now in contents_now.items() if contents.get(path, now) != now]
    return "".join(f"files of {path} {contents[path]}, not {contents_now[path]}" for path in differing[:1])


def needs_profile(config: Config) -> bool:
    """Whether the curriculum or the group size takes something of a profile."""
    taken = takes("curricula", config.curriculum.name) + takes("group_sizes", config.group_size.name)
    return not {"profile", "successes", "samples"}.isdisjoint(taken)


def profile_name(config: Config) -> str:
    """The same for all runs that can share a profile: same policy, problems, sampling, precision and seed."""
    made_from = [asdict(part) for part in (config.model, config.data, config.training.sampling)]
    # what came later says nothing where it is as it was once: those profiles keep their names
    for index, key in ((0, "chat_template"), (0, "revision"), (1, "parts")):
        if made_from[index][key] in (None, {}):
            del made_from[index][key]
    if config.training.precision != "float32":
        made_from.append({"precision": config.training.precision})
    if engine_args := getattr(config.rollout, "engine_args", None):  # vLLM's, a quantization among them
        made_from.append({"engine_args": engine_args})
    return f"{config.model.name}-{config.data.name}-{fingerprint([*made_from, config.profile.n])}"


def profile_file(config: Config) -> Path:
    """`profile.file`, or where `rlvr profile` puts the profile of this model, data and sampling."""
    if config.profile.file:
        return Path(config.profile.file)
    return (
        Path(config.runs) / "profiles" / profile_name(config) / f"seed-{config.profile.seed}" / "profile.json"
    )


def load_profile(config: Config, problems: Sequence[Problem]) -> Profile | None:
    """The profile that a config needs; None where it needs none.

    Raises:
        UserError: if it is not there, or is of other problems than these.
    """
    if not needs_profile(config):
        return None
    file = profile_file(config)
    if not file.exists():
        raise UserError(
            f"curriculum={config.curriculum.name} with group_size={config.group_size.name} needs a profile, "
            f"and {file} is not there: make it with `rlvr profile` and the same overrides"
        )
    profile = read_profile(file)
    if profile.data != fingerprint_of(ids_of(problems)):
        raise UserError(
            f"{file} is a profile of another data set than data={config.data.name} with data.size="
            f"{config.data.size}: make one of this data with `rlvr profile`"
        )
    if lacking := [name for name in ids_of(problems) if name not in profile.counts]:
        raise UserError(f"{file} has no counts of {lacking[0]}: remove it and make it with `rlvr profile`")
    return profile


PROFILE = {
    **dict.fromkeys(("policy", "data"), str),
    **dict.fromkeys(("prompt_tokens", "generated_tokens"), int),
    **{"counts": {"*": [int]}, "flops": NUMBER, "seconds": NUMBER},
    **{"judging": dict, "contents": {"*": str}},
}


def read_profile(file: Path) -> Profile:
    content = read_whole_json(file, PROFILE, judging={}, contents={})
    counts = {key: tuple(pair) for key, pair in content["counts"].items()}
    if wrong := [key for key, pair in counts.items() if len(pair) != 2 or not 0 <= pair[0] <= pair[1]]:
        raise UserError(
            f"{file} has the counts {list(counts[wrong[0]])} of {wrong[0]}: accepted are right answers and "
            "scorable ones; remove it and make it with `rlvr profile`"
        )
    return Profile(**content | {"counts": counts})


def write_profile(profile: Profile, file: Path) -> None:
    write_whole(file, sealed_json(asdict(profile)))
