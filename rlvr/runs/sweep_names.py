"""What the runs of a sweep are called: by the keys that differ among them, as in `gamma=0.5,n=8`."""

import glob
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rlvr.config import Config, config_from_yaml, load_config, run_directory
from rlvr.config.places import at_home
from rlvr.files.run_directory import conflicts
from rlvr.functions.source import is_file_function
from rlvr.tables.settings import short_names, short_values, with_function

# where a run goes and what watches it, and seeds, which are runs of one arm
NO_NAME = ("seed", "experiment", "runs", "folder", "tracking", "cluster", "hydra")
LONGEST = 100  # characters of a name, of 200 that a folder may have
NOT_OF_A_NAME = re.compile(r"[^\w.,=+@%\[\]-]+", re.ASCII)


def named(jobs: Sequence[Sequence[str]], config_name: str = "config") -> list[list[str]]:
    """The jobs of a sweep with an `arm=` each, named after the keys in which they differ.

    Where a folder of that name holds another run already, all of the sweep's names say what is the same in
    it too. Jobs that name their arms, and those that differ in nothing but seeds, are left as they are.
    """
    settings = [settings_of(job) for job in jobs]
    if any("arm" in one or "folder" in one for one in settings):
        return [list(job) for job in jobs]
    telling = [key for key in settings[0] if len({one.get(key) for one in settings}) > 1]
    if not telling:
        return [list(job) for job in jobs]
    longer = [*telling, *(key for key in settings[0] if key not in telling)]
    first, second = (names_of(settings, keys) for keys in (telling, longer))
    taken = [found(job, name, config_name) for job, name in zip(jobs, second, strict=True)]
    others = [found(job, name, config_name) for job, name in zip(jobs, first, strict=True)]
    chosen = second if "this" in taken or "another" in others else first
    return [[*job, f"arm='{name}'"] for job, name in zip(jobs, chosen, strict=True)]


def settings_of(job: Sequence[str]) -> dict[str, str]:
    """The overrides of a run that may name it: key -> value as it is written."""
    pairs = (override.lstrip("+").partition("=") for override in job if "=" in override)
    named = {key: value.strip("'\"") for key, _, value in pairs if re.split(r"[.@/]", key)[0] not in NO_NAME}
    for key, value in named.items():
        if is_file_function(plain := value.replace("\\:", ":")):  # as Hydra writes it
            named[key] = plain
    return with_function(named, "reward")


def names_of(settings: Sequence[Mapping[str, str]], keys: Sequence[str]) -> list[str]:
    """A name for each run, of some of its settings."""
    short = short_names(keys)
    said = {key: short_values(one[key] for one in settings if key in one) for key in keys}
    return [name_of({short[key]: said[key][one[key]] for key in keys if key in one}) for one in settings]


def name_of(settings: Mapping[str, str]) -> str:
    """A folder's name that says all settings; what has no room or no place in it is cut, with a digest."""
    parts = [f"{key}={value}" for key, value in settings.items()]
    whole = ",".join(parts)
    if len(whole) <= LONGEST and not NOT_OF_A_NAME.search(whole):
        return whole
    room = max(LONGEST // len(settings) - 2, 12)
    cut = (
        part if len(part) <= room else f"{part[: room // 2]}..{part[-(room // 2 - 2) :]}" for part in parts
    )
    short = NOT_OF_A_NAME.sub("-", ",".join(cut))[:150]
    return f"{short}~{hashlib.blake2b(whole.encode(), digest_size=3).hexdigest()}"


def found(job: Sequence[str], name: str, config_name: str) -> str:
    """Whose run the folder of a job under a name holds: "this" config's, "another" one's or "none"."""
    given = dict(override.lstrip("+").split("=", 1) for override in job if "=" in override)
    root = at_home(given.get("runs", "results/runs").strip("'\""))
    if not any(root.glob(f"**/{glob.escape(name)}/seed-*/config.yaml")):
        return "none"  # without composing it, which is slow
    return holder(load_config([*job, f"arm='{name}'"], config_name))


def holder(config: Config) -> str:
    """Whose run a config's folder holds."""
    path = run_directory(config)
    if not (path / "config.yaml").is_file():
        return "none"
    return "another" if conflicts(path, config_from_yaml(path / "config.yaml"), config) else "this"


def trial_name(config: Config, job: Sequence[str], chosen: Sequence[str]) -> str:
    """The arm of a run that a sweeper asks for, named after what it chose of the run's overrides."""
    short, longer = settings_of(chosen), settings_of([*chosen, *job])
    names = [names_of([one], list(one))[0] for one in (short, longer) if one]
    held = [holder(replace(config, arm=name)) for name in names]
    return names[-1] if held and (held[-1] == "this" or held[0] == "another") else names[0]
