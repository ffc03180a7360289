"""From a command line to a checked `Config`: the schema, Hydra's composition, a run's identity, plug-ins."""

from rlvr.config.compose import (
    CONF,
    EXPERIMENTS,
    PACKAGE,
    compose,
    config_from_yaml,
    config_groups,
    hydra_errors_as_sentences,
    hydra_with_conf,
    load_config,
    project_folder,
    settable,
)
from rlvr.config.identity import arm_name, fingerprint, identity, run_directory, to_yaml
from rlvr.config.schema import (
    BackendConfig,
    Config,
    ModelConfig,
    ProblemsConfig,
    PromptConfig,
    check,
    schema_keys,
    variants_of,
)

__all__ = [
    "CONF",
    "EXPERIMENTS",
    "PACKAGE",
    "BackendConfig",
    "Config",
    "ModelConfig",
    "ProblemsConfig",
    "PromptConfig",
    "arm_name",
    "check",
    "compose",
    "config_from_yaml",
    "config_groups",
    "fingerprint",
    "hydra_errors_as_sentences",
    "hydra_with_conf",
    "identity",
    "load_config",
    "project_folder",
    "run_directory",
    "schema_keys",
    "settable",
    "to_yaml",
    "variants_of",
]
