"""What a run left in its folder, read in one place: by tables, reports and whoever watches it."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from rlvr.config import Config, arm_name, check, read_yaml
from rlvr.errors import UserError
from rlvr.files import step_lines
from rlvr.files.shapes import ENTRIES, NUMBERS, ROLLOUTS, misfit

Line = dict[str, Any]  # of a file of steps: {"step": 7, ...}
LAST = "evaluation-last"  # the folder of the last checkpoint's samples, where another one was chosen
ANSWERS = "rare-answers"  # among the samples of a run, beside its benchmarks
SEAL = "blake2b"  # the entry of a JSON object that is the digest of all others


class RunFiles:
    """One arm under one seed, at whatever stage it is; every small file is read once, when first asked for.

    What is damaged is a `UserError` that names the file; what is not there yet is empty.
    """

    def __init__(self, directory: Path, *, arm: str = "", samples_in: str = "evaluation"):
        self.directory = Path(directory)
        self._arm = arm  # what a table calls it, where that is not its own name
        self._samples_in = samples_in

    @cached_property
    def config(self) -> Config:
        file = self.directory / "config.yaml"
        if not file.is_file():
            raise UserError(f"{self.directory} is not a run directory: it has no config.yaml")
        return check(read_yaml(file))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """summary.json: what the run says of itself when a stage ends."""
        return read_json(self.directory / "summary.json")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """provenance.json: what made the run."""
        return read_json(self.directory / "provenance.json")

    @cached_property
    def progress(self) -> dict[str, Any]:
        """progress.json: what it last said of itself; empty where it has not yet, is just saying it, or it is
        damaged: the next one will do."""
        try:
            progress = read_json(self.directory / "progress.json")
        except UserError:
            return {}
        return progress if {"stage", "done", "total", "time"} <= progress.keys() else {}

    @cached_property
    def metrics(self) -> list[Line]:
        """metrics.jsonl: what training measured, by step."""
        return _numbers(self.directory / "metrics.jsonl")

    @cached_property
    def timing(self) -> list[Line]:
        """timing.jsonl: seconds of each step by stage."""
        return _numbers(self.directory / "timing.jsonl")

    @cached_property
    def validation(self) -> list[Line]:
        """validation.jsonl: pass@k on held-out problems at every checkpoint."""
        return _numbers(self.directory / "validation.jsonl")

    def rollouts(self) -> step_lines.Lines:
        """rollouts.jsonl: a few groups of each step, with their texts. Not kept here, it is the large one:
        a line is parsed each time that it is asked for."""
        return step_lines.Lines(self.directory / "rollouts.jsonl", finite=True, shape=ROLLOUTS)

    def samples(self, name: str) -> Path | None:
        """The Parquet file of a benchmark's samples, or of the `ANSWERS`; None where the evaluation that the
        summary tells of has none. One of before may have left some, of another checkpoint or another way to
        draw them, which stay in the folder."""
        file = self.directory / self._samples_in / f"{name}.parquet"
        return file if file.exists() and self._is_measured(name) else None

    def _is_measured(self, name: str) -> bool:
        """Whether the summary's numbers are of these samples; so are all where it has none yet."""
        summary = self.summary
        if self._samples_in == LAST:
            of_last = summary.get("last", {}).get("evaluated", {}).get("step") == summary.get("trained_steps")
            return of_last and name in summary.get("last", {}).get("evaluation", {})
        if name == ANSWERS:
            step = summary.get("checkpoint_step")
            return summary.get("rare", {}).get("step", step) == step
        return name in summary.get("evaluation", [name])

    @property
    def measures_last(self) -> bool:
        """Whether it is its last checkpoint that was to be evaluated, whatever its pass@1."""
        return self.summary.get("evaluated", {}).get("checkpoint") == "last"

    def at_last_step(self) -> "RunFiles":
        """The same run with the samples of its last checkpoint."""
        chosen = self.summary.get("checkpoint_step") == self.summary.get("trained_steps")
        return RunFiles(self.directory, arm=self.arm, samples_in="evaluation" if chosen else LAST)

    @property
    def arm(self) -> str:
        return self._arm or self.summary.get("arm") or arm_name(self.config)

    @property
    def seed(self) -> int:
        # a config takes time to check; the summary of a run that was broken off has no more than seconds
        seed = self.summary.get("seed")
        return self.config.seed if seed is None else seed

    @property
    def scale(self) -> str:
        """Name of the scale it ran at."""
        return self.entry("scale")

    @property
    def finished(self) -> bool:
        """Whether it is trained and evaluated."""
        return self.summary.get("status") == "finished"

    @property
    def trains(self) -> bool:
        """Whether it trains at all; the base policy does not."""
        return self.config.training.steps > 0

    @property
    def commit(self) -> str:
        """Of the code it ran, twelve digits; "-dirty" follows if files differed from it, "unknown" is an
        installed package's."""
        git = self.provenance.get("git", {})
        return git.get("commit", "unknown")[:12] + ("-dirty" if git.get("dirty") else "")

    @property
    def seconds(self) -> float:
        """Time of all its stages together."""
        return sum(self.entry("seconds").values())

    def entry(self, *path: str) -> Any:
        """What summary.json has at a path of keys.

        Raises:
            UserError: where it has nothing there.
        """
        value: Any = self.summary
        for key in path:
            if not isinstance(value, dict) or key not in value:
                raise UserError(
                    f"{self.directory / 'summary.json'} has no {'.'.join(path)}: accepted is what rlvr wrote "
                    "there; restore it from a copy, or run the arm again"
                )
            value = value[key]
        return value


def _numbers(file: Path) -> list[Line]:
    """The lines of a log of numbers, without those that are null."""
    lines = step_lines.read(file, shape=NUMBERS)
    return [{name: value for name, value in line.items() if value is not None} for line in lines]


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object that a run's file holds, without its seal; empty where there is no file.

    Raises:
        UserError: for a file that is damaged: no object, other entries than were sealed, or of other types.
    """
    if not file.exists():
        return {}
    with damage_as_sentence(file):
        content = _object_in(file)
        if wrong := misfit(content, {key: ENTRIES[key] for key in content.keys() & ENTRIES.keys()}):
            raise ValueError(wrong)
        return content


def read_whole_json(file: Path, shape: dict[str, Any], **later: Any) -> dict[str, Any]:
    """The entries of a JSON file that a shape names, all of which have to be there.

    Args:
        later: what is taken for entries that files of an older version do not have.

    Raises:
        UserError: for a file that is none, or is damaged.
    """
    with damage_as_sentence(file):
        content = later | _object_in(file)
        if wrong := misfit(content, shape):
            raise ValueError(wrong)
        return {key: content[key] for key in shape}


def _object_in(file: Path) -> dict[str, Any]:
    """What a sealed file holds; ValueError for what is no object, or not what was sealed."""
    if file.exists() and not file.is_file():
        raise ValueError("it is no file")  # but a pipe, say, of which reading never ends
    try:
        content = json.loads(file.read_text("utf-8"))
    except RecursionError as error:
        raise ValueError("brackets nested too deep") from error
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__} in the place of an object")
    if (seal := content.pop(SEAL, None)) and seal != seal_of(content):
        raise ValueError("its entries are not those that were written")
    return content


def sealed_json(content: dict[str, Any]) -> str:
    """A JSON object for `read_json`, with a digest of its entries among them."""
    return json.dumps(content | {SEAL: seal_of(content)}, indent=2, sort_keys=True) + "\n"


def seal_of(content: dict[str, Any]) -> str:
    # as it will be read: keys are texts then, and tuples lists
    same = json.dumps(json.loads(json.dumps(content)), sort_keys=True)
    return hashlib.blake2b(same.encode(), digest_size=16).hexdigest()


@contextmanager
def damage_as_sentence(file: Path) -> Iterator[None]:
    """Say in a sentence that a file can't be read, whatever reads it (pyarrow's errors are of these two)."""
    try:
        yield
    except UserError:
        raise
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{file} is damaged ({reason}): restore it from a copy, or remove it and run what made it again"
        ) from error
