"""Which run a config is: what decides its weights, its name and its folder."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlvr.config.schema import Config
from rlvr.functions.source import FileFunction


def to_yaml(config: Config) -> str:
    """The resolved config, enough on its own to run again."""
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


# what may differ between two starts of the same run
NOT_IDENTITY = (
    *("seed", "runs", "folder", "experiment", "arm"),
    *("tracking", "evaluation", "benchmark", "checkpoint"),
)

# what came later, as it was before there was a choice: runs that do without it keep their names
LATER: dict[str, Any] = {
    "reward": {"name": "correctness"},
    "adapter": {"name": "none"},
    "data.verifier": None,
    "data.parts": {},
    "model.revision": None,
    "model.sha256": None,
    "model.chat_template": None,
    "training.micro_batch": "auto",
    "training.keep_attention": False,
    "training.offload_activations": False,
    "training.without_signal": "skip",
    "training.off_policy_steps": 0,
    "training.num_iterations": 1,
    "algorithm.mismatch_weights": "token_truncate",
    "algorithm.mismatch_floor": None,
    "algorithm.dynamic_sampling.by": "advantage",
    "rollout.engine_args": {},
    "training.attention": "auto",
    "training.compile": False,
    "training.liger": False,
    "training.optimizer": "adamw",
    "training.offload_optimizer": False,
    "training.deterministic": False,
    "training.lr_scheduler_type": "constant",
}


# what a run may be given more of when it is started again: it goes on, and ends as one that had all of it
GROWING = ("training.steps", "training.epochs")


def identity(config: Config) -> dict[str, Any]:
    """The part of a config that decides what is trained, the seed aside."""
    kept = {key: value for key, value in asdict(config).items() if key not in NOT_IDENTITY}
    for part in (kept["data"], *kept["data"]["parts"].values()):
        del part["root"]  # where the files are says nothing of what is in them
    for key, before in LATER.items():
        *groups, name = key.split(".")
        part = kept
        for group in groups:
            part = part[group]
        if name in part and part[name] == before:
            del part[name]
    return kept


def fingerprint(value: Any) -> str:
    """Eight hexadecimal digits of any JSON-like value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def arm_name(config: Config) -> str:
    """The arm's given name, or one made of its choices and a fingerprint of all that is trained, whether
    for few steps or many."""
    if config.arm:
        return config.arm
    parts = [config.algorithm.name]
    if config.reward.name != "correctness":
        function = getattr(config.reward, "function", "")
        parts.append(FileFunction.of(function).name if function else config.reward.name)
    if config.adapter.name == "lora":
        parts.append(f"lora{config.adapter.rank}")
    if config.advantage_scaling.name != "none":
        settings = "-".join(
            f"{value}" for key, value in asdict(config.advantage_scaling).items() if key != "name"
        )
        parts.append(config.advantage_scaling.name + settings)
    parts += [
        choice.name
        for choice, default in (
            (config.credit, "outcome"),
            (config.curriculum, "shuffled"),
            (config.group_size, "fixed"),
        )
        if choice.name != default
    ]
    trained = identity(config)
    trained["training"] |= {"steps": min(config.training.steps, 1), "epochs": None}  # without, see GROWING
    return f"{'+'.join(parts)}-{fingerprint(trained)}"


def run_directory(config: Config) -> Path:
    """Where the run leaves what it makes; no two different runs share one."""
    if config.folder:
        return Path(config.folder)
    return Path(config.runs) / config.experiment / arm_name(config) / f"seed-{config.seed}"
