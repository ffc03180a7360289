"""How a command line becomes a checked `Config`: Hydra composes the YAML files of `conf/`."""

import re
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rlvr.config import plugins
from rlvr.config.schema import Config, check
from rlvr.errors import UserError, unknown

PACKAGE = Path(__file__).parents[1]


def project_folder(name: str, packaged: str) -> Path:
    """A top-level folder of a clone, or its copy inside an installed package."""
    clone = PACKAGE.parent / name
    return clone if clone.is_dir() else PACKAGE / packaged


CONF = project_folder("conf", "_conf")
EXPERIMENTS = project_folder("experiments", "_experiments")


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
        raise unknown(group or "config", option, error.options) from error
    except OverrideParseException as error:
        raise UserError(f"{error.override!r} is not an override: write key=value, as in seed=2") from error
    except ConfigCompositionException as error:
        raise UserError(str(error).splitlines()[0]) from error
    except HydraException as error:
        raise UserError(" ".join(str(error).split())) from error


def config_groups() -> list[str]:
    """Names of the config groups: the folders of `conf/`."""
    return sorted(folder.name for folder in CONF.iterdir() if folder.is_dir())


def settable(overrides: Sequence[str]) -> list[str]:
    """Overrides such that every key of the schema can be set, whether or not a YAML file mentions it.

    Hydra refuses keys that no file mentions; `++` lets them pass, and the schema then judges them all. A
    value that begins with `~` is quoted: Hydra's grammar has no such character.
    """
    overrides = [re.sub(r"^([\w.+]+)=(~[^,'\"]*)$", r"\1='\2'", text) for text in overrides]
    groups = config_groups()
    plain = re.compile(r"[A-Za-z_][\w.]*(?==)")
    return [
        f"++{text}"
        if (key := plain.match(text)) and key[0] not in groups and not key[0].startswith("hydra")
        else text
        for text in overrides
    ]


def compose(overrides: Sequence[str], *, with_hydra: bool = False) -> DictConfig:
    """Compose `conf/config.yaml` with overrides, unchecked."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        overrides = [*plugins.search_path(), *settable(overrides)]
        return hydra.compose("config", overrides, return_hydra_config=with_hydra)


def load_config(overrides: Sequence[str] = ()) -> Config:
    """Compose and check: what `rlvr train <overrides>` would run."""
    with hydra_errors_as_sentences():
        composed = compose(overrides)
    return check(composed)


def config_from_yaml(path: Path) -> Config:
    """The config of a finished or broken-off run, from its run directory."""
    return check(OmegaConf.load(path))  # type: ignore[arg-type]
