"""How the samples of a run were judged and made, as their files say: no key of its config has all of it."""

from collections.abc import Iterable

from rlvr.files.run_files import RunFiles
from rlvr.tables.settings import Settings

COMPARED = ("problems", "verifiers", "engine", "precision")  # of the samples' keys, see `samples_key`


def judged_settings(run: RunFiles, benchmarks: Iterable[str]) -> Settings:
    """By benchmark and part, as "maze_9.verifiers", what its samples were judged by and made with.

    Problems are those with their references, and verifiers those with their versions, each as a digest. What
    a file does not say is absent.
    """
    from rlvr.evaluation.sampling import key_of  # it imports torch, which no other part of a table needs

    found: Settings = {}
    for name in benchmarks:
        key = (key_of(file) if (file := run.samples(name)) else None) or {}
        for part in COMPARED:
            if part in key:
                found[f"{name}.{part}"] = _text(key[part])
    return found


def _text(part: object) -> str:
    if isinstance(part, dict):
        return ", ".join(f"{name} {value}" for name, value in sorted(part.items()))
    return str(part)
