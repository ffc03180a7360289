"""From a command line to a checked `Config`: schema, composition, identity, registries, plug-ins."""

from rlvr.config.check import check
from rlvr.config.compose import (
    CONF,
    CONFIG_DIRS,
    EXPERIMENTS,
    PACKAGE,
    checked,
    compose,
    config_from_yaml,
    config_groups,
    hydra_errors_as_sentences,
    hydra_with_conf,
    load_config,
    options_of,
    read_yaml,
    settable,
)
from rlvr.config.hydra_text import hydra_text
from rlvr.config.identity import arm_name, fingerprint, identity, run_directory, to_yaml
from rlvr.config.schema import Config, DataConfig, ModelConfig, ProblemsConfig, PromptConfig

__all__ = [
    "CONF",
    "CONFIG_DIRS",
    "EXPERIMENTS",
    "PACKAGE",
    "Config",
    "DataConfig",
    "ModelConfig",
    "ProblemsConfig",
    "PromptConfig",
    "arm_name",
    "check",
    "checked",
    "compose",
    "config_from_yaml",
    "config_groups",
    "fingerprint",
    "hydra_errors_as_sentences",
    "hydra_text",
    "hydra_with_conf",
    "identity",
    "load_config",
    "options_of",
    "read_yaml",
    "run_directory",
    "settable",
    "to_yaml",
]
