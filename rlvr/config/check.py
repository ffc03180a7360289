"""The check of a composed config against the schema.

Whatever is wrong is found here, before anything is loaded, and said in one sentence (`UserError`).
"""

from dataclasses import asdict, fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from rlvr.config import registry
from rlvr.config.chat_template import with_text
from rlvr.config.elsewhere import option_meant
from rlvr.config.identity import LATER
from rlvr.config.limits import check_limits
from rlvr.config.places import check_names, expand_home
from rlvr.config.problem_sets import check_parts, check_verifiers, problem_sets, verifiers_of_rows
from rlvr.config.schema import (
    AlgorithmConfig,
    BackendConfig,
    Config,
    LoRAConfig,
    NoAdapterConfig,
    TransformersRolloutConfig,
    VerlConfig,
    VLLMRolloutConfig,
)
from rlvr.errors import UserError, closest, refuse_unknown, unknown
from rlvr.functions.source import REWARD_OFFERS, VERIFIER_OFFERS, is_file_function, resolved

# groups that choose no method, and whose options have keys of their own
VARIANTS: dict[str, dict[str, type]] = {
    "adapter": {"none": NoAdapterConfig, "lora": LoRAConfig},
    "rollout": {"transformers": TransformersRolloutConfig, "vllm": VLLMRolloutConfig},
    "backend": {"native": BackendConfig, "verl": VerlConfig},
}
LACKING = ("reward", "adapter")  # groups that runs of older versions lack


def groups_with_variants() -> dict[str, dict[str, type]]:
    """Groups whose options have keys of their own: option -> schema, those of plug-ins included."""
    return VARIANTS | {group: registry.variants(group) for group in registry.GROUPS}


def check(composed: DictConfig) -> Config:
    """Hold a composed config against the schema; returns it as plain dataclasses."""
    try:
        return _check(composed)
    except ConfigKeyError as error:
        raise _unknown_key(error, composed) from error
    except OmegaConfBaseException as error:
        reason = str(error.msg or error).splitlines()[0]
        if "is not a ListConfig" in reason:
            reason = f"accepted is a list, as in {error.full_key}=[...]"
        raise UserError(f"{error.full_key or 'the configuration'}: {reason}") from error


def _check(composed: DictConfig) -> Config:
    schema = OmegaConf.structured(Config)
    config = OmegaConf.create({key: composed[key] for key in composed if key != "hydra"})
    for group in LACKING:
        if group not in config:
            config[group] = LATER[group]
    if is_file_function(config.reward):
        config.reward = {"name": "python", "function": config.reward}
    for group, variants in groups_with_variants().items():
        option = OmegaConf.select(config, f"{group}.name")
        if option not in variants:
            raise unknown(group, option, variants, option_meant(group, str(option), variants))
        OmegaConf.update(schema, group, OmegaConf.structured(variants[option]), merge=False)
    algorithm = registry.algorithm_schema(*chosen_methods(config))
    OmegaConf.update(schema, "algorithm", OmegaConf.structured(algorithm), merge=False)
    _refuse_missing(config)  # a default of the schema would hide it
    expand_home(config)
    merged = OmegaConf.merge(schema, config)
    check_parts(merged.data)
    _refuse_missing(merged)
    _count_epochs(merged)
    result = OmegaConf.to_object(merged)
    assert isinstance(result, Config)
    _check_temperatures(result)
    check_limits(result)
    check_names(result.experiment, result.arm, result.benchmark.tasks)
    _check_together(result)
    check_verifiers(result)
    _note_digests(result)
    result.model.chat_template = with_text(result.model.chat_template)
    if key := interpolated(asdict(result)):
        raise UserError(f"{key} holds '${{', which config.yaml can't keep as it is: write it in another way")
    return result


def interpolated(content: Any, key: str = "") -> str:
    """The first key with a text that omegaconf would resolve; empty if there is none."""
    if isinstance(content, str):
        return key if "${" in content else ""
    if isinstance(content, dict | list):
        for name, inner in content.items() if isinstance(content, dict) else enumerate(content):
            if found := interpolated(inner, f"{key}.{name}".strip(".")):
                return found
    return ""


def _refuse_missing(config: DictConfig) -> None:
    for key in sorted(OmegaConf.missing_keys(config)):
        raise UserError(f"{key} has no value: give one with {key}=...")


def _note_digests(config: Config) -> None:
    """Add the digest of its file to every function of a file: it is part of what the run is."""
    if config.reward.name == "python":
        parameters = config.reward.parameters
        config.reward.function = resolved(
            "reward", config.reward.function, offers=REWARD_OFFERS, parameters=parameters
        )
    for part in problem_sets(config).values():
        if is_file_function(part.verifier):
            part.verifier = resolved("verifier", part.verifier, offers=VERIFIER_OFFERS)
        if is_file_function(judge := part.parameters.get("verifier")):
            part.parameters["verifier"] = resolved("parameters.verifier", judge, offers=VERIFIER_OFFERS)
        by_value = verifiers_of_rows(part)
        for value, judge in by_value.items():
            if is_file_function(judge):
                key = f"parameters.verifiers.{value}"
                by_value[value] = resolved(key, judge, offers=VERIFIER_OFFERS)


def chosen_methods(config: DictConfig) -> tuple[str, str]:
    """The names of the loss and of the advantage estimator."""
    names = []
    for kind in ("losses", "advantages"):
        key = registry.KINDS[kind].key
        default = getattr(AlgorithmConfig, key.removeprefix("algorithm."))
        names.append(OmegaConf.select(config, key, default=default))
        refuse_unknown(key, names[-1:], registry.methods(kind))
    return names[0], names[1]


def _unknown_key(error: ConfigKeyError, composed: DictConfig) -> UserError:
    from rlvr.config.keys import meant

    parent, _, leaf = str(error.full_key).rpartition(".")
    given, value = _as_given(composed, str(error.full_key))
    accepted = [item.name for item in fields(error.object_type)] if is_dataclass(error.object_type) else []
    place = parent or "the configuration"
    sentence = str(unknown(f"key in {place}", leaf, accepted, meant=meant(given, value)))
    options = groups_with_variants().get(parent, {})
    if owners := [
        f"{parent}={option}" for option, kind in options.items() if leaf in kind.__dataclass_fields__
    ]:
        chosen = OmegaConf.select(composed, f"{parent}.name")
        sentence += f"; {leaf} is a key of {' and '.join(owners)}, not of {parent}={chosen}: give that too"
    if parent == "algorithm" and (owners := _methods_with(leaf)):
        loss, advantage = chosen_methods(composed)
        sentence += (
            f"; {leaf} is a key of {' and '.join(owners)}, not of loss={loss} with advantage={advantage}"
        )
    return UserError(sentence)


def _as_given(composed: DictConfig, key: str) -> tuple[str, Any]:
    """A key that the schema does not have down to where it has a value, and that value: a.b.c, 8 for a."""
    value = OmegaConf.select(composed, key)
    while isinstance(value, DictConfig) and len(value) == 1:
        (name,) = value
        key, value = f"{key}.{name}", value[name]
    return key, value


def _methods_with(name: str) -> list[str]:
    """The losses and advantage estimators that have a key."""
    return [
        f"{registry.KINDS[kind].key}={option}"
        for kind in ("losses", "advantages")
        for option, method in registry.methods(kind).items()
        if name in registry.keyword_parameters(method)
    ]


def _count_epochs(merged: DictConfig) -> None:
    """Give `steps` and `checkpoint_every` as rollout batches where they are left to the size of the data."""
    training, size = merged.training, merged.data.size
    if None not in (training.steps, training.checkpoint_every):
        return
    if size is None:
        open_ended = [name for name in ("steps", "checkpoint_every") if training[name] is None]
        left = " and ".join(f"training.{name}=null" for name in open_ended)
        given = " ".join(f"training.{name}=..." for name in open_ended)
        raise UserError(
            f"{left}: counted in epochs, which needs the number of problems, and data.size=null; give "
            f"data.size=<problems of the data>, or {given}"
        )
    epoch = max(size // max(training.prompts_per_step, 1), 1)
    if training.steps is None:
        if training.epochs is None:
            raise UserError(
                "training.steps=null and training.epochs=null: accepted is one of the two; "
                "try training.epochs=1"
            )
        training.steps = training.epochs * epoch
    if training.checkpoint_every is None:
        training.checkpoint_every = epoch


COLDEST = 0.01  # temperature that vLLM samples at

# key, what it must not exceed, whether it may be equal
ORDER = (
    ("algorithm.is_weight_min", "algorithm.is_weight_max", False),
    ("algorithm.cov_min", "algorithm.cov_max", False),
    ("algorithm.overlong_penalty.buffer", "training.sampling.max_tokens", True),
    ("group_size.minimum", "group_size.maximum", True),
    ("algorithm.k", "group_size.n", True),
    ("training.prompts_per_step", "data.size", True),
)


def _check_together(config: Config) -> None:
    """What holds between values."""
    for low, high, may_equal in ORDER:
        smaller, larger = _value(config, low), _value(config, high)
        if smaller is None or larger is None or smaller < larger or (may_equal and smaller == larger):
            continue
        at_most, nearest = ("at most", larger) if may_equal else ("less than", 0)
        raise UserError(
            f"{low}={smaller}: accepted is {at_most} {high}={larger}; the nearest valid choice is {nearest}"
        )
    _check_rewards(config)
    _check_mismatch(config.algorithm)
    training, evaluation = config.training, config.evaluation
    if training.prompts_per_step % training.mini_batch_prompts:
        raise UserError(
            f"training.mini_batch_prompts={training.mini_batch_prompts} does not divide prompts_per_step="
            f"{training.prompts_per_step}; the nearest valid choice is "
            f"{_nearest_divisor(training.prompts_per_step, training.mini_batch_prompts)}"
        )
    _check_latest_step(config)
    _check_device(config)
    if not training.activation_checkpointing:
        for name in ("keep_attention", "offload_activations"):
            if getattr(training, name):
                raise UserError(
                    f"training.{name}=true without activation checkpointing: accepted is true with "
                    "training.activation_checkpointing=true, which keeps little else"
                )
    too_large = [k for k in evaluation.k if k > evaluation.samples]
    if too_large:
        raise UserError(
            f"evaluation.k holds {too_large[-1]}, but pass@k needs 1 <= k <= evaluation.samples="
            f"{evaluation.samples}: draw more samples or leave that k out"
        )
    if len(set(evaluation.k)) < max(len(evaluation.k), 1):
        nearest = list(dict.fromkeys(evaluation.k)) or [1]
        raise UserError(
            f"evaluation.k={evaluation.k}: accepted is one k or more, each once; the nearest valid choice is "
            f"{nearest}"
        )


def _check_device(config: Config) -> None:
    """vLLM in the trainer's process samples on the first GPU that the process sees."""
    kind, _, number = config.training.device.partition(":")
    if config.rollout.name == "vllm" and kind == "cuda" and int(number or 0):
        raise UserError(
            f"training.device={config.training.device} with rollout=vllm: vLLM takes the first GPU it sees; "
            f"accepted are auto and cuda, with CUDA_VISIBLE_DEVICES={number} in front of the command"
        )


def _check_latest_step(config: Config) -> None:
    """Refuse to choose among no checkpoints, which would be found out at the end of the run."""
    latest, training = config.evaluation.latest_step, config.training
    first = min(training.checkpoint_every, training.steps)
    if latest and latest < first:
        raise UserError(
            f"evaluation.latest_step={latest}: the first checkpoint is that of step {first}, accepted are "
            f"{first} or more and 0 (the policy before training); the nearest valid choice is {first}"
        )


def _check_temperatures(config: Config) -> None:
    """Greedy decoding is for evaluation; what is nearly greedy vLLM would sample at another temperature."""
    for name in ("training", "evaluation"):
        value = getattr(config, name).sampling.temperature
        greedy = name == "evaluation" or config.training.steps == 0
        if value < COLDEST and not (value == 0 and greedy):
            accepted = f"0 (greedy decoding), or {COLDEST} or more" if greedy else f"{COLDEST} or more"
            nearest = 0 if greedy and value < COLDEST / 2 else COLDEST
            reason = " (greedy decoding gives a group one completion again and again)" if value == 0 else ""
            raise UserError(
                f"{name}.sampling.temperature={value}{reason}: accepted is {accepted}; the nearest valid "
                f"choice is {nearest}"
            )


def _check_rewards(config: Config) -> None:
    """Refuse a reward that the chosen estimator would not see."""
    algorithm = config.algorithm
    if "rewards" in registry.takes("advantages", algorithm.advantage):
        return
    if config.reward.name != "correctness":
        raise UserError(
            f"reward={config.reward.name} with algorithm.advantage={algorithm.advantage}: that estimator "
            "sees raw correctness only, accepted are reward=correctness, or another estimator"
        )
    for option, method in registry.methods("rewards").items():
        if registry.is_switched_on(method, getattr(algorithm, option)):
            raise UserError(
                f"algorithm.{option} with algorithm.advantage={algorithm.advantage}: that estimator sees raw "
                f"correctness only, accepted are the defaults of {option}, or another estimator"
            )


def _value(config: Config, key: str) -> Any:
    """The value of a key, None where the chosen options have none of that name."""
    part: Any = config
    for name in key.split("."):
        part = getattr(part, name, None)
    return part


def _nearest_divisor(number: int, wanted: int) -> int:
    return closest(wanted, [d for d in range(1, number + 1) if number % d == 0])


def _check_mismatch(algorithm: AlgorithmConfig) -> None:
    if algorithm.mismatch_cap is None and (
        algorithm.mismatch_weights != "token_truncate" or algorithm.mismatch_floor is not None
    ):
        raise UserError(
            "algorithm.mismatch_weights and mismatch_floor say how mismatch_cap is applied, and "
            "algorithm.mismatch_cap=null: accepted is a number of 1 or more with them; try 2.0"
        )
    if algorithm.mismatch_floor is not None and algorithm.mismatch_weights.endswith("_truncate"):
        raise UserError(
            f"algorithm.mismatch_floor={algorithm.mismatch_floor} with algorithm.mismatch_weights="
            f"{algorithm.mismatch_weights}: only a mask leaves out what is below it, accepted are token_mask "
            "and sequence_mask, or a floor of null"
        )
    if algorithm.mismatch_cap is not None and algorithm.old_logprobs == "engine":
        raise UserError(
            f"algorithm.mismatch_cap={algorithm.mismatch_cap} with algorithm.old_logprobs=engine: it bounds "
            "the trainer's old probabilities over the engine's, which are then one and the same; accepted "
            "are mismatch_cap=null, or old_logprobs=trainer"
        )
