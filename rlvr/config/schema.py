"""The schema of every config group, and the check of a composed config against it.

Whatever is wrong is found here, before anything is loaded, and said in one sentence (`UserError`).
"""

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from rlvr.config import plugins
from rlvr.config.places import check_names, expand_home
from rlvr.errors import UserError, unknown


@dataclass
class PromptConfig:
    """What stands around a problem's own words; the rest is the tokenizer's chat template."""

    system: str | None = None  # system message; null: what the template puts there by itself
    instruction: str | None = None  # after the question, a blank line between
    thinking: bool | None = None  # for templates that have the switch (Qwen3)
    date: str | None = None  # for templates that print today's (Llama 3), so that prompts stay the same


@dataclass
class ModelConfig:
    name: str = MISSING
    path: str = MISSING  # a policy of rlvr's own (rlvr.policy.recipes), a local folder, or a hub id
    dtype: str = "float32"  # of the weights: float32, bfloat16 or float16
    package: str | None = None  # a Python package with the weights as GGUF, used where the hub's are not
    max_completion_tokens: int | None = None  # as the model's paper samples; scale=paper takes it over
    end_tokens: list[str] = field(default_factory=list)  # end a completion, besides the tokenizer's own
    stop_strings: list[str] = field(default_factory=list)  # end it too, and are cut off its text
    prompts: dict[str, PromptConfig] = field(default_factory=dict)  # by verifier; `default` for the others


@dataclass
class DynamicSamplingConfig:
    enabled: bool = False  # replace groups without signal by fresh ones (DAPO)
    max_refills: int = 3  # then go on with what there is


@dataclass
class OverlongPenaltyConfig:
    buffer: int = 0  # last tokens before the maximum in which the penalty grows; 0 switches it off
    factor: float = 1.0  # largest penalty


@dataclass
class DifferentialSmoothingConfig:
    """Coefficients of a completion's log-probability in its reward (DS-GRPO)."""

    correct: float = 0.0  # taken off the reward of correct ones; 0 switches it off
    wrong: float = 0.0  # added to the reward of wrong ones


@dataclass
class AlgorithmConfig:
    name: str = MISSING
    loss: str = "grpo"  # grpo (two-sided clip) or cispo (clamped, detached weight)
    clip_low: float = 0.2
    clip_high: float = 0.2
    dual_clip: float | None = None
    is_weight_min: float = 0.0
    is_weight_max: float = 6.0
    normalize_std: bool = True
    ddof: int = 1
    advantage_eps: float = 1e-6
    aggregation: str = "token_mean"  # token_mean, or constant_length (Dr. GRPO)
    kl_coefficient: float = 0.0  # k3 against the initial policy
    entropy_coefficient: float = 0.0
    truncated: str = "wrong"  # wrong, or masked
    old_logprobs: str = "trainer"  # trainer, or engine
    mismatch_cap: float | None = None  # token-level truncated importance sampling, e.g. 2.0
    dynamic_sampling: DynamicSamplingConfig = field(default_factory=DynamicSamplingConfig)
    overlong_penalty: OverlongPenaltyConfig = field(default_factory=OverlongPenaltyConfig)
    differential_smoothing: DifferentialSmoothingConfig = field(default_factory=DifferentialSmoothingConfig)


@dataclass
class NoScalingConfig:
    name: str = "none"


@dataclass
class FocalConfig:
    name: str = "focal"
    gamma: float = 0.5


@dataclass
class CreditConfig:
    name: str = MISSING  # outcome, or process_lambda


@dataclass
class FixedGroupSizeConfig:
    name: str = "fixed"
    n: int = 8


@dataclass
class InverseSuccessConfig:
    name: str = "inverse_success"
    minimum: int = 2
    maximum: int = 8
    rounding: str = "down"  # to a power of two: down, nearest or up


@dataclass
class ProblemsConfig:
    """Where problems come from: a family of `rlvr.problems.SOURCES` and its parameters."""

    name: str = MISSING
    source: str = MISSING
    size: int | None = MISSING  # null: all there are
    seed: int = 0
    path: str | None = None  # a local JSONL or Parquet file in the place of a hub's data set
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass
class BenchmarkTaskConfig(ProblemsConfig):
    domain: str = "in_domain"  # or out_of_domain


@dataclass
class BenchmarkConfig:
    tasks: dict[str, BenchmarkTaskConfig] = field(default_factory=dict)


@dataclass
class CurriculumConfig:
    name: str = "shuffled"


@dataclass
class SGPOConfig(CurriculumConfig):
    name: str = "sgpo"
    threshold: float = 0.75  # a success rate above it is trivial
    unsolved_share: float = 0.1  # of the problems never solved, mixed into every phase
    seed: int = 0  # of that subset
    phase_end: str = "steps"  # steps, epochs or plateau
    epochs: float = 1  # of a phase
    window: int = 10  # steps over which a plateau is looked for
    minimum_gain: float = 0.01  # in success rate


@dataclass
class SelectionConfig(CurriculumConfig):
    selection: str | None = None  # a file that `rlvr select` wrote


@dataclass
class ProfileConfig:
    """What `rlvr profile` samples, for `curriculum=sgpo` and `group_size=inverse_success`."""

    n: int = 8  # samples a problem
    seed: int = 0
    file: str | None = None  # null: where `rlvr profile` puts that of this model, data and sampling


@dataclass
class TransformersRolloutConfig:
    name: str = "transformers"
    max_rows: int = 1024  # rollouts that run together


@dataclass
class VLLMRolloutConfig:
    name: str = "vllm"
    gpu_memory_utilization: float = 0.5
    tensor_parallel_size: int = 1
    enforce_eager: bool = False
    enable_prefix_caching: bool = True
    sleep: bool = True  # free the GPU while the trainer works


@dataclass
class SamplingConfig:
    max_tokens: int = MISSING
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0


@dataclass
class TrainingConfig:
    steps: int | None = MISSING  # rollout batches; null: as many as `epochs` take
    epochs: int | None = None  # passes over the data, each without its last incomplete batch
    prompts_per_step: int = MISSING
    mini_batch_prompts: int = MISSING  # an optimizer step each
    learning_rate: float = MISSING
    warmup_steps: int = 0  # optimizer steps
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    max_tokens_per_micro_batch: int = 32768
    precision: str = "float32"  # of the forward and backward: float32, or bfloat16 (autocast)
    checkpoint_every: int | None = MISSING  # rollout batches; null: an epoch
    activation_checkpointing: bool = False  # compute a layer twice instead of keeping its activations
    threads: int = 1  # CPU threads of one process
    device: str = "auto"
    sampling: SamplingConfig = field(default_factory=SamplingConfig)


@dataclass
class RareConfig:
    """The set of rare correct answers whose NLL is followed (F-GRPO, section 5.3)."""

    prompts: int = 0  # training problems asked; 0: it is not measured
    samples: int = 800  # of each
    share: float = 0.01  # of the correct ones that is kept: those least likely
    seed: int = 0


@dataclass
class EvaluationConfig:
    samples: int = MISSING  # per problem
    validation_samples: int = 16  # per in-domain problem, at every checkpoint
    k: list[int] = field(default_factory=lambda: [1, 2, 4, 8, 16, 32, 64, 128, 256])
    seed: int = 12345
    checkpoint: str = "best"  # the one measured: best by validation, or last
    latest_step: int | None = None  # choose among checkpoints up to this one
    after_training: bool = True
    samples_per_shard: int = 16384
    rare: RareConfig = field(default_factory=RareConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)


@dataclass
class TrackingConfig:
    name: str = MISSING  # wandb, or local
    project: str = "rlvr"
    mode: str = "auto"  # auto (offline without credentials), online, offline
    entity: str | None = None
    group: str | None = None


@dataclass
class BackendConfig:
    name: str = "native"


@dataclass
class VerlConfig(BackendConfig):
    """verl 0.9 on a Ray cluster; docs/verl.md."""

    name: str = "verl"
    nodes: int = 1
    gpus_per_node: int = 8
    reward_workers: int = 8  # processes that verify, each with the verifier's own pool
    overrides: list[str] = field(default_factory=list)  # in verl's own words, after rlvr's


@dataclass
class ScaleConfig:
    name: str = MISSING


@dataclass
class Config:
    """One run, complete."""

    experiment: str = "adhoc"
    arm: str | None = None  # named after its choices when not given
    seed: int = 1
    runs: str = "results/runs"
    folder: str | None = None  # of the run; null: <runs>/<experiment>/<arm>/seed-<seed>
    verb: str = "train"  # train, or evaluate
    deadline: float | None = None  # Unix time to stop at, with a checkpoint; stop_after_minutes= sets it
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    advantage_scaling: Any = None
    credit: CreditConfig = field(default_factory=CreditConfig)
    group_size: Any = None
    data: ProblemsConfig = field(default_factory=ProblemsConfig)
    curriculum: Any = None
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    rollout: Any = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    backend: Any = None


# groups whose options have fields of their own: option name -> schema
VARIANTS: dict[str, dict[str, type]] = {
    "advantage_scaling": {"none": NoScalingConfig, "focal": FocalConfig},
    "group_size": {"fixed": FixedGroupSizeConfig, "inverse_success": InverseSuccessConfig},
    "curriculum": {
        "shuffled": CurriculumConfig,
        "sgpo": SGPOConfig,
        "lim": SelectionConfig,
        "linear": SelectionConfig,
        "random_subset": SelectionConfig,
    },
    "rollout": {"transformers": TransformersRolloutConfig, "vllm": VLLMRolloutConfig},
    "backend": {"native": BackendConfig, "verl": VerlConfig},
}

CHOICES: dict[str, tuple[str, ...]] = {
    "verb": ("train", "evaluate"),
    "model.dtype": ("float32", "bfloat16", "float16"),
    "algorithm.loss": ("grpo", "cispo"),
    "algorithm.aggregation": ("token_mean", "constant_length"),
    "algorithm.truncated": ("wrong", "masked"),
    "algorithm.old_logprobs": ("trainer", "engine"),
    "credit.name": ("outcome", "process_lambda"),
    "evaluation.checkpoint": ("best", "last"),
    "training.precision": ("float32", "bfloat16"),
    "tracking.name": ("wandb", "local"),
    "tracking.mode": ("auto", "online", "offline"),
}

# key -> (condition that must hold, what is accepted, the nearest valid choice)
BOUNDS: dict[str, tuple[Any, str, str]] = {
    "model.stop_strings": (all, "texts of one character or more", "[]"),
    "group_size.n": (lambda n: n >= 2, "2 or more rollouts a problem", "2"),
    "group_size.minimum": (lambda n: n >= 2, "2 or more rollouts a problem", "2"),
    "group_size.rounding": (lambda way: way in ("down", "nearest", "up"), "down, nearest or up", "down"),
    "curriculum.threshold": (lambda rate: 0 < rate <= 1, "above 0 and at most 1", "0.75"),
    "curriculum.unsolved_share": (lambda share: 0 <= share <= 1, "0 to 1", "0.1"),
    "curriculum.phase_end": (
        lambda end: end in ("steps", "epochs", "plateau"),
        "steps, epochs or plateau",
        "steps",
    ),
    "curriculum.epochs": (lambda epochs: epochs > 0, "above 0", "1"),
    "curriculum.window": (lambda steps: steps >= 1, "1 or more", "1"),
    "profile.n": (lambda n: n >= 1, "1 or more", "8"),
    "advantage_scaling.gamma": (lambda gamma: gamma >= 0, "0 or more", "0 (no scaling)"),
    "algorithm.clip_low": (lambda clip: 0 < clip <= 1, "above 0 and at most 1", "0.2"),
    "algorithm.clip_high": (lambda clip: clip > 0, "above 0", "0.2"),
    "algorithm.dual_clip": (lambda clip: clip is None or clip > 1, "above 1, or null", "3.0"),
    "algorithm.is_weight_min": (lambda weight: weight >= 0, "0 or more", "0"),
    "algorithm.is_weight_max": (
        lambda weight: weight > 1,
        "an absolute maximum above 1 (on-policy tokens have weight 1)",
        "6.0, the paper's 1 + 5.0",
    ),
    "algorithm.kl_coefficient": (lambda beta: beta >= 0, "0 or more", "0"),
    "algorithm.differential_smoothing.correct": (lambda factor: factor >= 0, "0 or more", "0"),
    "algorithm.differential_smoothing.wrong": (lambda factor: factor >= 0, "0 or more", "0"),
    "algorithm.mismatch_cap": (lambda cap: cap is None or cap >= 1, "1 or more, or null", "2.0"),
    "algorithm.ddof": (lambda ddof: ddof in (0, 1), "0 or 1", "1"),
    "training.steps": (lambda steps: steps >= 0, "0 or more", "0 (the base policy)"),
    "training.epochs": (lambda epochs: epochs is None or epochs >= 1, "1 or more, or null", "1"),
    "training.learning_rate": (lambda rate: rate > 0, "above 0", "1e-6"),
    "training.threads": (lambda threads: threads >= 1, "1 or more", "1"),
    "training.checkpoint_every": (lambda every: every >= 1, "1 or more", "1"),
    "training.prompts_per_step": (lambda count: count >= 1, "1 or more", "1"),
    "training.mini_batch_prompts": (lambda count: count >= 1, "1 or more", "1"),
    "evaluation.rare.prompts": (lambda count: count >= 0, "0 or more", "0 (not measured)"),
    "evaluation.rare.samples": (lambda count: count >= 1, "1 or more", "1"),
    "evaluation.rare.share": (lambda share: 0 < share <= 1, "above 0 and at most 1", "0.01"),
    "evaluation.samples": (lambda samples: samples >= 1, "1 or more", "1"),
}


def variants_of(group: str) -> dict[str, type]:
    """The schemas of a group's options, those of plug-ins included."""
    if group != "advantage_scaling":
        return VARIANTS[group]
    functions = plugins.added("advantage_scalings", {})
    return {name: plugins.schema_of(name, function) for name, function in functions.items()} | VARIANTS[group]


def check(composed: DictConfig) -> Config:
    """Hold a composed config against the schema; returns it as plain dataclasses."""
    schema = OmegaConf.structured(Config)
    config = OmegaConf.create({key: composed[key] for key in composed if key != "hydra"})
    for group in VARIANTS:
        variants = variants_of(group)
        name = OmegaConf.select(config, f"{group}.name")
        if name not in variants:
            raise unknown(group, name, variants)
        OmegaConf.update(schema, group, OmegaConf.structured(variants[name]), merge=False)
    if lacking := sorted(OmegaConf.missing_keys(config)):  # a default of the schema would hide it
        raise UserError(f"{lacking[0]} has no value: give one with {lacking[0]}=...")
    expand_home(config)
    try:
        merged = OmegaConf.merge(schema, config)
        _count_epochs(merged)
        result = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        raise _unknown_key(error) from error
    except OmegaConfBaseException as error:
        reason = str(error.msg or error).splitlines()[0]
        raise UserError(f"{error.full_key or 'the configuration'}: {reason}") from error
    assert isinstance(result, Config)
    _check_values(merged, result)
    check_names(result.experiment, result.arm, result.benchmark.tasks)
    return result


def _unknown_key(error: ConfigKeyError) -> UserError:
    parent, _, leaf = str(error.full_key).rpartition(".")
    accepted = [item.name for item in fields(error.object_type)] if is_dataclass(error.object_type) else []
    return unknown(f"key in {parent or 'the configuration'}", leaf, accepted)


def _count_epochs(merged: DictConfig) -> None:
    """Give `steps` and `checkpoint_every` as rollout batches where they are left to the size of the data."""
    training, size = merged.training, merged.data.size
    if None not in (training.steps, training.checkpoint_every):
        return
    if size is None:
        raise UserError(
            "data.size=null: counting training in epochs needs the number of problems, as data.size=..."
        )
    epoch = max(size // training.prompts_per_step, 1)
    if training.steps is None:
        if training.epochs is None:
            raise UserError(
                "training.steps=null and training.epochs=null: accepted is one of the two; "
                "try training.epochs=1"
            )
        training.steps = training.epochs * epoch
    if training.checkpoint_every is None:
        training.checkpoint_every = epoch


def _check_values(merged: DictConfig, config: Config) -> None:
    for key, accepted in CHOICES.items():
        given = OmegaConf.select(merged, key)
        if given not in accepted:
            raise unknown(key, given, accepted)
    for key, (holds, accepted, suggestion) in BOUNDS.items():
        parent, _, leaf = key.rpartition(".")
        if leaf in OmegaConf.select(merged, parent) and not holds(given := OmegaConf.select(merged, key)):
            raise UserError(
                f"{key}={given}: accepted is {accepted}; the nearest valid choice is {suggestion}"
            )
    algorithm, training, evaluation = config.algorithm, config.training, config.evaluation
    if algorithm.is_weight_min >= algorithm.is_weight_max:
        raise UserError(
            f"algorithm.is_weight_min={algorithm.is_weight_min}: accepted is less than is_weight_max="
            f"{algorithm.is_weight_max}; the nearest valid choice is 0"
        )
    if training.prompts_per_step % training.mini_batch_prompts:
        raise UserError(
            f"training.mini_batch_prompts={training.mini_batch_prompts} does not divide prompts_per_step="
            f"{training.prompts_per_step}; the nearest valid choice is "
            f"{_nearest_divisor(training.prompts_per_step, training.mini_batch_prompts)}"
        )
    too_large = [k for k in evaluation.k if not 1 <= k <= evaluation.samples]
    if too_large:
        raise UserError(
            f"evaluation.k holds {too_large[-1]}, but pass@k needs 1 <= k <= evaluation.samples="
            f"{evaluation.samples}: draw more samples or leave that k out"
        )
    if config.data.size is not None and training.prompts_per_step > config.data.size:
        raise UserError(
            f"training.prompts_per_step={training.prompts_per_step} is more than "
            f"data.size={config.data.size}; the nearest valid choice is {config.data.size}"
        )


def _nearest_divisor(number: int, wanted: int) -> int:
    return min((d for d in range(1, number + 1) if number % d == 0), key=lambda d: abs(d - wanted))


def schema_keys(schema: type = Config, prefix: str = "") -> list[str]:
    """All keys of the schema, for completion and documentation."""
    keys = []
    for item in fields(schema):
        keys.append(prefix + item.name)
        if isinstance(item.type, type) and is_dataclass(item.type):
            keys += schema_keys(item.type, f"{prefix}{item.name}.")
    return keys
