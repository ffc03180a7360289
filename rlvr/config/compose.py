"""How a command line becomes a checked `Config`: Hydra composes the YAML files of `conf/`."""

import io
import re
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlvr.config.check import LACKING, check, groups_with_variants, interpolated
from rlvr.config.elsewhere import PLUGGED, option_meant
from rlvr.config.idle import refuse_idle
from rlvr.config.plugins import config_folders
from rlvr.config.schema import Config
from rlvr.errors import UserError, unknown
from rlvr.functions.source import is_file_function

PACKAGE = Path(__file__).parents[1]


def project_folder(name: str, packaged: str) -> Path:
    """A top-level folder of a clone, or its copy inside an installed package."""
    clone = PACKAGE.parent / name
    return clone if clone.is_dir() else PACKAGE / packaged


CONF = project_folder("conf", "_conf")
EXPERIMENTS = project_folder("experiments", "_experiments")
# further folders of configs, of this process: Hydra's own state is the process's too
CONFIG_DIRS: list[Path] = []


@contextmanager
def hydra_errors_as_sentences():
    """Turn Hydra's composition errors into one sentence each."""
    from hydra.core.override_parser.overrides_parser import OverrideParseException
    from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException

    try:
        yield
    except MissingConfigException as error:
        if error.options is None:
            raise UserError(str(error).splitlines()[0]) from error
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        if option.startswith("submitit"):
            raise UserError(f"hydra/launcher={option} needs `pip install 'rlvr[slurm]'`") from error
        if group == "hydra/sweeper" and option in ("optuna", "ax", "nevergrad"):
            package = "'rlvr[optuna]'" if option == "optuna" else f"hydra-{option}-sweeper"
            raise UserError(f"hydra/sweeper={option} needs its plug-in: `pip install {package}`") from error
        root, slash, folder = group.partition("/")
        if root in ("model", "data", "benchmark") and slash:  # a path was given as an option's name
            group, option = root, f"{folder}/{option}"
        options = error.options
        hint = hint_of_a_place(group, option) or option_meant(group, option, options)
        raise unknown(group or "config", option, options, hint) from error
    except OverrideParseException as error:
        raise UserError(f"{error.override!r} is not an override: write key=value, as in seed=2") from error
    except ConfigCompositionException as error:
        lines = str(error).replace("'++", "'").splitlines()
        if several := re.match(r"Ambiguous value for argument '((.+?)=.*)'$", lines[0]):
            raise UserError(
                f"{several[1]}: several values are a sweep, which requires --multirun; a list is written "
                f"{several[2]}=[...]"
            ) from error
        raise UserError(" ".join(lines[: 2 if lines[0].endswith(":") else 1])) from error
    except HydraException as error:
        raise UserError(" ".join(str(error).split())) from error
    except UserError:
        raise
    except ValueError as error:  # Hydra's for a group that is given no option, as in algorithm=null
        raise UserError(" ".join(str(error).split())) from error


def hint_of_a_place(group: str, given: str) -> str:
    """What takes a model's folder or hub id, or a file, that was given as an option's name; "" for others."""
    if group == "reward":
        return ", and a function of a file, as my_rewards.py:length_penalised"
    if group == "model" and ("/" in given or Path(given).is_dir()):
        return f"; did you mean model=local model.path={given}?"
    if group in ("data", "benchmark") and (Path(given).suffix or Path(given).is_file()):
        key = "data.path" if group == "data" else "benchmark.tasks.jsonl.path"
        return f"; did you mean {group}=jsonl {key}={given}?"
    if group in PLUGGED and ".py" in given:
        return "; one of your own is a plug-in: docs/how-to/add-an-algorithm.md"
    return ""


def config_groups() -> list[str]:
    """Names of the config groups: the folders of `conf/`."""
    return sorted(folder.name for folder in CONF.iterdir() if folder.is_dir())


def options_of(group: str) -> list[str]:
    """The options of a config group, those of plug-ins and of `CONFIG_DIRS` included."""
    folders = (CONF, *config_folders(), *CONFIG_DIRS)
    return sorted({file.stem for folder in folders for file in folder.glob(f"{group}/*.yaml")})


def settable(overrides: Sequence[str]) -> list[str]:
    """Overrides such that every key of the schema can be set, whether or not a YAML file mentions it.

    Hydra refuses keys that no file mentions; `++` lets them pass, and the schema then judges them all. A
    value that begins with `~` is quoted: Hydra's grammar has no such character.
    """
    overrides = [re.sub(r"^([\w.+]+)=(~[^,'\"]*)$", r"\1='\2'", text) for text in overrides]
    overrides = [short for text in overrides for short in _written_out(text)]
    groups = config_groups()
    plain = re.compile(r"[A-Za-z_][\w.]*(?==)")
    return [
        f"++{text}"
        if (key := plain.match(text)) and key[0] not in groups and not key[0].startswith("hydra")
        else text
        for text in overrides
    ]


def _written_out(text: str) -> list[str]:
    """`data=[gsm8k,math_train]`, `reward=my_rewards.py:f` and `verifier=my_judge.py:f` in the keys that they
    are short for."""
    key, _, value = text.partition("=")
    if key == "data" and (listed := re.fullmatch(r"\[([^\[\]]*)\]", value)):
        parts = [part.strip() for part in listed[1].split(",") if part.strip()]
        return ["data=mixture", *(f"+data@data.parts.{part}={part}" for part in parts)]
    value = value.replace("\\:", ":") if key == "reward" else value  # as Hydra writes a sweep's values
    if key == "verifier":
        return [f"data.verifier={value}"]
    if key == "reward" and all(is_file_function(one.strip(" '\"")) for one in value.split(",")):
        return ["reward=python", f"reward.function={value}"]
    return [text]


@contextmanager
def hydra_with_conf():
    """Hydra's object for `conf/`, the plug-ins' config folders and those of `--config-dir`."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    from rlvr.config.search_path import register

    register()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), job_name="rlvr", version_base="1.3"):
        yield GlobalHydra.instance().hydra


def compose(overrides: Sequence[str], *, config_name: str = "config", with_hydra: bool = False) -> DictConfig:
    """Compose `conf/config.yaml`, or another primary config, with overrides, unchecked."""
    import hydra

    with hydra_with_conf():
        return hydra.compose(config_name, settable(overrides), return_hydra_config=with_hydra)


def load_config(overrides: Sequence[str] = (), config_name: str = "config") -> Config:
    """Compose and check: what `rlvr train <overrides>` would run."""
    with hydra_errors_as_sentences():
        composed = compose(overrides, config_name=config_name)
    return checked(composed, overrides)


def checked(composed: DictConfig, overrides: Sequence[str]) -> Config:
    """The config, once nothing that was given is wrong or would be passed over."""
    config = check(composed)
    refuse_idle(config)
    _refuse_idle_epochs(composed, overrides)
    return config


def _refuse_idle_epochs(composed: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse a number of epochs that a scale's number of steps goes before, without a word of the latter."""
    given = {text.lstrip("+").partition("=")[0] for text in overrides}
    epochs, steps = (OmegaConf.select(composed, f"training.{name}") for name in ("epochs", "steps"))
    if "training.epochs" in given and "training.steps" not in given and None not in (epochs, steps):
        raise UserError(
            f"training.epochs={epochs} with training.steps={steps}, which goes before it: give "
            "training.steps=null too"
        )


def config_from_yaml(path: Path) -> Config:
    """The config of a finished or broken-off run, from its run directory."""
    return check(read_yaml(path))


# keys that older config.yaml files have and that say nothing of the run
FORMER_KEYS = ("verb", "deadline")


def read_yaml(path: Path) -> DictConfig:
    """A run's config.yaml, not yet checked. Runs are handed around, so nothing in it is resolved.

    Raises:
        UserError: for an interpolation, which a run never writes and which could read the environment
            (`${oc.env:...}`), and for what is no YAML of a config.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no file: restore it")
    try:
        text = path.read_text(encoding="utf-8")
        # a few lines of them stand for more values than there is memory
        if "&" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise UserError(f"{path} refers to a part of itself (*name), which no run writes: not read")
        stored = OmegaConf.load(io.StringIO(text))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, OSError, OmegaConfBaseException) as error:
        raise UserError(f"{path} can't be read as a config: {' '.join(str(error).split())}") from error
    groups = ["model", "algorithm", "data", "training", *groups_with_variants().keys() - LACKING]
    lacking = [key for key in groups if key not in stored] if isinstance(stored, DictConfig) else groups
    if lacking:
        raise UserError(f"{path} is no whole config of a run: it lacks {', '.join(lacking)}")
    if key := interpolated(OmegaConf.to_container(stored, resolve=False)):
        raise UserError(f"{path}: {key} holds an interpolation (${{...}}), which no run writes: not read")
    for key in FORMER_KEYS:
        stored.pop(key, None)
    return stored
