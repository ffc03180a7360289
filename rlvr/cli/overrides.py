"""What of a command line is Hydra's: overrides (`key=value` of a config), and a Hydra program's flags."""

import logging
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template
from typing import Any, ClassVar

from rlvr.cli.arguments import Verb, flag, flag_lines, key, listing
from rlvr.errors import UserError, refuse_unknown, unknown

SEVERAL = ("benchmark", "data", "tracking")  # config groups of which several options are taken together
LABELS = {f"{group}.name" for group in ("algorithm", "model", "scale", "tracking")}  # which choose nothing


@dataclass(kw_only=True)
class Overrides:
    """Further `key=value` pairs, for Hydra to compose the config with."""

    overrides: list[str] = field(default_factory=list)

    @staticmethod
    def accept_override(verb: Verb, text: str) -> None:
        """Refuse what Hydra can't read, and a key that neither the verb nor a config has."""
        from rlvr.config import config_groups
        from rlvr.config.keys import meant

        name, _, value = text.partition("=")
        plain = name.lstrip("+~")
        if not plain:
            raise UserError(f"{text!r} has no key: write key=value, as in seed=2")
        root = re.split(r"[.@/]", plain)[0]
        if not name.startswith(("+", "~")) and root not in (keys := roots()):
            raise unknown("key", root, {*keys, *verb.fields("key")}, meant=meant(plain, value))
        if plain in ("hydra.sweeper", "hydra.launcher"):
            raise UserError(f"{text}: a config group has a slash; did you mean {text.replace('.', '/', 1)}?")
        if plain in ("hydra.run.dir", "hydra.sweep.subdir"):
            raise UserError(
                f"{text}: a run's folder is <runs>/<experiment>/<arm>/seed-<seed>; accepted are these "
                "four keys, or folder=<all of it>"
            )
        if plain in LABELS:
            raise UserError(f"{text}: that is what an option is called; choose it with {root}={value}")
        if "=" in text and not value:
            raise UserError(f"{name}= has no value: write {name}=..., or {name}=null for none")
        parsed = parse(text)
        if plain not in config_groups():
            return
        if plain not in SEVERAL and any(isinstance(one, list) for one in _values(parsed)):
            listed = value.strip("[]").replace(" ", "")
            raise UserError(
                f"{text}: accepted is one option, since Hydra lays several over each other; a sweep over "
                f"them is -m {plain}={listed}"
            )
        if any(isinstance(one, int | float) for one in _values(parsed)):
            hint = f"; did you mean {key}={value}?" if (key := first_number_of(plain)) else ""
            raise unknown(plain, value, options_of(plain), hint)

    @staticmethod
    def is_key(name: str) -> bool:
        return re.split(r"[.@/]", name)[0] in roots()

    @staticmethod
    def help_of_overrides() -> str:
        from rlvr.config import config_groups

        groups = listing({f"{group}=": options_of(group) for group in config_groups() if group != "hydra"})
        return (
            "Any key of a config is set with key=value, in Hydra's syntax (docs/how-to/hydra.md).\n"
            f"Config groups:\n{groups}"
        )


def wanted(overrides: list[str]) -> dict[str, list[Any]]:
    """{key: accepted values} of overrides that choose among runs rather than make one."""
    from hydra.core.override_parser.types import QuotedString

    found = {}
    for text in overrides:
        parsed = parse(text)
        if parsed.is_sweep_override() and not parsed.is_discrete_sweep():
            raise UserError(f"{text}: accepted are values with commas between them")
        values = list(parsed.sweep_iterator()) if parsed.is_sweep_override() else [parsed.value()]
        values = [value.text if isinstance(value, QuotedString) else value for value in values]
        found[parsed.get_key_element().lstrip("+~")] = values
    return found


def roots() -> set[str]:
    """What an override's key may begin with: a key of the config, a config group, or Hydra's own."""
    from rlvr.config import Config, config_groups

    return {*Config.__dataclass_fields__, *config_groups(), "hydra", "verifier"}


def options_of(group: str) -> list[str]:
    """The options of a config group, those of plug-ins and of --config-dir included."""
    from rlvr.config import options_of  # what it takes is imported where it is asked for

    return options_of(group)


def first_number_of(group: str) -> str | None:
    """The key that a number given for a group was probably meant for: group_size=8 for group_size.n."""
    from rlvr.config.check import groups_with_variants

    if group not in (variants := groups_with_variants()):
        return None
    items = (item for schema in variants[group].values() for item in schema.__dataclass_fields__.values())
    return next((f"{group}.{item.name}" for item in items if item.type in (int, float)), None)


def parse(text: str) -> Any:
    """An override as Hydra reads it; what it can't read gets the sentence how to write it."""
    from hydra.core.override_parser.overrides_parser import OverrideParseException, OverridesParser

    from rlvr.config.places import is_path

    parser = OverridesParser.create()
    try:
        return parser.parse_overrides([text])[0]
    except OverrideParseException:
        name, _, value = text.partition("=")
    if value.startswith("~"):
        if is_path(name.lstrip("+")) and "," not in value:  # which the config expands, see `settable`
            return parse(f"{name}='{value}'")
        raise UserError(f'{text!r}: only the shell knows a home by ~; write {name}="$HOME{value[1:]}"')
    quoted = "{}='{}'".format(name, value.replace("'", "\\'"))
    try:
        parser.parse_overrides([quoted])
    except OverrideParseException:
        raise UserError(f"{text!r} is not an override: write key=value, as in seed=2") from None
    raise UserError(f'{text!r}: Hydra takes this value in quotes of its own only: write "{quoted}"')


def _values(parsed: Any) -> list[Any]:
    """The value of an override, or those of its sweep where they are listed."""
    from hydra.core.override_parser.types import ChoiceSweep

    value = parsed.value()
    return value.list if isinstance(value, ChoiceSweep) else [value]


@dataclass(kw_only=True)
class ConfigFolder(Overrides):
    """Where further configs are: in the folder of --config-dir, and those of hydra.searchpath=."""

    config_dir: str | None = flag(
        *("--config-dir", "-cd"), help="a folder of configs of your own, beside conf/", value="<folder>"
    )

    def __post_init__(self) -> None:
        from rlvr.config import CONFIG_DIRS

        if self.config_dir is not None and not Path(self.config_dir).is_dir():
            raise UserError(f"--config-dir {self.config_dir}: there is no such folder")
        given = [] if self.config_dir is None else [self.config_dir]
        CONFIG_DIRS[:] = [Path(folder) for folder in [*given, *searched(self.overrides)]]


def searched(overrides: list[str]) -> list[str]:
    """The folders that `hydra.searchpath=[file://...]` names."""
    texts = [text for text in overrides if text.lstrip("+").startswith("hydra.searchpath=")]
    paths = [path for text in texts for path in parse(text).value()]
    return [path.removeprefix("file://") for path in paths if path.startswith("file://")]


def gpus_per_run() -> Any:
    return key(
        "GPUs of each run, which torchrun then starts a process on each of; processes where there are none",
        1,
        least=1,
        example="8",
    )


@dataclass(kw_only=True)
class HydraFlags(ConfigFolder):
    """The flags of a Hydra program that look at a config, or say where it comes from, and what the launcher
    asks for."""

    gpus_per_run: int = gpus_per_run()
    cfg: str | None = flag(
        *("--cfg", "-c"),
        help="print the config and stop: job (the run's own; also without a word), hydra, or all",
        value="job|hydra|all",
        choices=("job", "hydra", "all"),
        bare="job",
    )
    resolve: bool = flag("--resolve", help="with --cfg: interpolations such as ${seed} as their values")
    package: str | None = flag(
        *("--package", "-p"), help="with --cfg: this part of it only, as in -p training", value="<part>"
    )
    info: str | None = flag(
        *("--info", "-i"),
        help="print what Hydra knows and stop: all (also without a word), config, defaults, defaults-tree, "
        "plugins, searchpath",
        value="<what>",
        choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
        bare="all",
    )
    config_name: str = flag(
        *("--config-name", "-cn"), help="another primary config than conf/config.yaml", value="<name>"
    )
    hydra_help: bool = flag("--hydra-help", help="Hydra's own config groups and flags")
    version: bool = flag("--version", help="the versions of rlvr and Hydra")

    refused: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("--shell-completion", "-sc"),
            'rlvr completes more than configs: eval "$(rlvr completion bash)", or zsh, or fish',
        ),
        **dict.fromkeys(
            ("--config-path", "-cp"), "conf/ is always there; --config-dir adds a folder of your own"
        ),
        "--experimental-rerun": "a run's folder has its config.yaml, and the same command goes on from it",
    }

    def __post_init__(self) -> None:
        self.config_name = (self.config_name or "config").removesuffix(".yaml")
        if (self.resolve or self.package) and not self.cfg:
            raise UserError(
                f"{'--resolve' if self.resolve else '--package'} goes with --cfg, as in --cfg job"
            )
        if self.cfg and self.info:
            raise UserError("--cfg and --info: accepted is one of the two")
        super().__post_init__()
        refuse_unknown("primary config", [self.config_name], options_of("."))


def show(keys: HydraFlags, overrides: list[str]) -> bool:
    """Print what the flags ask to see, if anything; whether that was all."""
    if keys.version:
        import hydra

        from rlvr import __version__

        print(f"rlvr {__version__}\nHydra {hydra.__version__}")
    elif keys.hydra_help:
        print(hydra_help())
    elif keys.info:
        show_info(keys.info, overrides, keys.config_name)
    elif keys.cfg:
        print(config_text(keys, overrides), end="")
    else:
        return False
    return True


def config_text(keys: HydraFlags, overrides: list[str]) -> str:
    """What `--cfg` prints: a composed config as YAML, checked, and with the schema's defaults."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from rlvr.config import checked, compose, hydra_errors_as_sentences

    with hydra_errors_as_sentences():
        composed = compose(overrides, config_name=keys.config_name, with_hydra=True)
        if keys.cfg != "job" and keys.gpus_per_run > 1:
            from rlvr.runs.placement import gpus_here, placement

            placed, _ = placement(composed.hydra.launcher, overrides, keys.gpus_per_run, len(gpus_here()))
            composed = compose([*overrides, *placed], config_name=keys.config_name, with_hydra=True)
    HydraConfig.instance().set_config(composed)  # what ${hydra:...} asks
    shown = asdict(checked(composed, overrides))
    if not keys.resolve:
        _restore_interpolations(shown, OmegaConf.to_container(composed, resolve=False))
    if keys.cfg != "job":
        hydra: Any = OmegaConf.to_container(composed.hydra, resolve=keys.resolve, enum_to_str=True)
        own = {key: value for key, value in hydra.items() if key not in ("hydra_help", "help")}
        shown = (shown if keys.cfg == "all" else {}) | {"hydra": own}
    return part_of(shown, keys.package)


def part_of(config: dict[str, Any], package: str | None = None) -> str:
    """A part of a config, as YAML; all of it where none is named.

    Raises:
        UserError: for a part that is not there.
    """
    from omegaconf import OmegaConf

    if package in (None, "_global_"):
        return OmegaConf.to_yaml(OmegaConf.create(config))
    part: Any = config
    for name in package.split("."):
        if not isinstance(part, dict) or name not in part:
            raise unknown("part of the config", package, part if isinstance(part, dict) else config)
        part = part[name]
    if not isinstance(part, dict | list):
        return f"{'null' if part is None else part}\n"
    return f"# @package {package}\n{OmegaConf.to_yaml(OmegaConf.create(part))}"


def _restore_interpolations(shown: dict[str, Any], written: Any) -> None:
    """Put `${...}` back where a file or an override has it."""
    for name in shown.keys() & written.keys():
        if isinstance(written[name], dict) and isinstance(shown[name], dict):
            _restore_interpolations(shown[name], written[name])
        elif isinstance(written[name], str) and "${" in written[name]:
            shown[name] = written[name]


def show_info(what: str, overrides: list[str], config_name: str) -> None:
    """What `--info` prints: Hydra's own account of its plug-ins, search path, defaults list and config."""
    from rlvr.config import hydra_errors_as_sentences, hydra_with_conf, load_config, settable

    load_config(overrides, config_name)  # Hydra would end the process by itself where this fails
    root = logging.getLogger()  # Hydra prints through it, at its lowest level
    handlers, level = root.handlers[:], root.level
    with hydra_errors_as_sentences(), hydra_with_conf() as hydra:
        hydra.show_info(what, config_name=config_name, overrides=settable(overrides))
    root.handlers[:] = handlers
    root.setLevel(level)


def hydra_help() -> str:
    """What `--hydra-help` prints: Hydra's template, with the flags that rlvr takes."""
    from omegaconf import OmegaConf

    from rlvr.config import compose, hydra_with_conf

    config = compose([], with_hydra=True)
    with hydra_with_conf() as hydra:
        groups = hydra.format_config_groups(lambda group: group.split("/")[0] == "hydra")
        own = hydra.format_config_groups(lambda group: group.split("/")[0] != "hydra")
    return Template(config.hydra.hydra_help.template).substitute(
        FLAGS_HELP=flag_lines(Verb("train", show, HydraFlags)),
        HYDRA_CONFIG_GROUPS=groups,
        APP_CONFIG_GROUPS=own,
        CONFIG=OmegaConf.to_yaml(config.hydra),
    )
