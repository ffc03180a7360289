"""The schema of every config group: keys, types, defaults and limits, with the meaning of each behind it.

The keys of methods (advantages, losses, curricula, ...) are not here: they are the parameters of the
method's own function (`rlvr.config.registry`).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from omegaconf import MISSING, OmegaConf

from rlvr.config.limits import limited, one_of

SEED = {"at_least": 0, "at_most": 2**32 - 1}  # as numpy takes them
# a path below `runs`, in characters that a terminal shows as they are
FOLDER = {
    "pattern": r"(?!/)(?!.*(^|/)\.{1,2}(/|$))[^\x00-\x1f\x7f\\]+",
    "accepted": "a name, or names with / between them, without . and .. among them",
}
DEVICE = {"pattern": r"auto|cpu|mps|cuda(:\d+)?", "accepted": "auto, cpu, mps, cuda or cuda:<number>"}


@dataclass
class PromptConfig:
    """What stands around a problem's own words; the rest is the chat template."""

    system: str | None = None  # system message; null: what the template puts there by itself
    instruction: str | None = None  # after the question, a blank line between
    thinking: bool | None = None  # for templates that have the switch (Qwen3)
    date: str | None = None  # for templates that print today's (Llama 3), so that prompts stay the same


@dataclass
class ModelConfig:
    name: str = MISSING  # of the option; chosen by model=
    # a policy of rlvr's own (rlvr.policy.recipes), a local folder or GGUF file, or a hub id
    path: str = MISSING
    revision: str | None = None  # of a model on the hub: a commit, branch or tag; null: its main branch
    dtype: str = one_of("float32", "bfloat16", "float16")  # of the weights; in 16 bits small steps are lost
    # Python packages with the weights as GGUF, or a part of it each, in order; used where the hub's are not
    package: str | None = None
    sha256: str | None = limited(
        None, pattern="[0-9a-f]{64}", accepted="64 hexadecimal digits, or null", nearest="null"
    )  # of the whole GGUF; another one is refused
    # as the model's paper samples; scale=paper takes it over, and so does `rlvr evaluate` of a model
    max_completion_tokens: int | None = limited(None, at_least=1)
    end_tokens: list[str] = field(default_factory=list)  # end a completion, besides the tokenizer's own
    # end it too, and are cut off its text
    stop_strings: list[str] = limited(
        [], pattern=".+", accepted="texts of one character or more", nearest="[]"
    )
    # null: the tokenizer's own; none: the messages' texts with a blank line between, and nothing else; or a
    # .jinja file, whose text config.yaml keeps, or such a text
    chat_template: str | None = None
    prompts: dict[str, PromptConfig] = field(default_factory=dict)  # by verifier; `default` for the others


@dataclass
class NoAdapterConfig:
    name: str = "none"


@dataclass
class LoRAConfig:
    """A low-rank adapter, which alone is trained; the model itself is frozen (`rlvr.policy.adapter`)."""

    name: str = "lora"
    rank: int = limited(16, at_least=1)  # of the product that is added to a weight
    alpha: float = limited(32.0, above=0)  # the product is scaled by alpha / rank
    dropout: float = limited(0.0, at_least=0, below=1)  # of what goes into the adapter, in the update alone
    # around which linear layers of the decoder; their names, or all
    target_modules: Any = limited(
        "all-linear", pattern=r"[\w-]+", accepted="all-linear, or a list of names as [q_proj,v_proj]"
    )


@dataclass
class DynamicSamplingConfig:
    enabled: bool = False  # replace groups without signal by fresh ones (DAPO)
    # then go on with what there is; a step has seeds for so many
    max_refills: int = limited(3, at_least=0, at_most=100)
    # what a group with signal is: any rollout with an advantage, or right and wrong ones (as in the paper),
    # which differ where a reward is more than correctness
    by: str = one_of("advantage", "correctness")


@dataclass
class AlgorithmConfig:
    """What every algorithm has. To it come the keys of its loss, of its advantage and of the rewards."""

    name: str = MISSING  # of the option; chosen by algorithm=
    loss: str = "grpo"  # of `rlvr.algorithms.losses.LOSSES`
    advantage: str = "group_relative"  # the estimator, of `rlvr.algorithms.advantages.ADVANTAGES`
    # constant_length is Dr. GRPO's, sequence_mean GSPO's and GMPO's
    aggregation: str = one_of("token_mean", "constant_length", "sequence_mean")
    kl_coefficient: float = limited(0.0, at_least=0)  # k3 against the initial policy
    entropy_coefficient: float = 0.0  # of a bonus; below 0 a penalty
    truncated: str = one_of("wrong", "masked")  # what a truncated completion is
    # who computed them; the trainer has none in its first mini-batch, where its policy is the old one
    old_logprobs: str = one_of("trainer", "engine")
    # of the importance weights between trainer and engine; null switches them off
    mismatch_cap: float | None = limited(None, at_least=1, accepted="1 or more, or null", nearest="2.0")
    # of tokens or of whole rollouts; cut at the cap, or left out above it
    mismatch_weights: str = one_of("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")
    # of a mask: left out below it too; null: no such bound
    mismatch_floor: float | None = limited(None, above=0, at_most=1, accepted="above 0, at most 1, or null")
    dynamic_sampling: DynamicSamplingConfig = field(default_factory=DynamicSamplingConfig)


@dataclass
class ProblemsConfig:
    """Where problems come from: a family of `rlvr.problems.SOURCES` and its parameters."""

    name: str = MISSING  # of the option, and in file names
    source: str = MISSING  # of `rlvr.problems.SOURCES`
    size: int | None = limited(MISSING, at_least=1, at_most=10**9)  # null: all there are
    seed: int = limited(0, **SEED)  # of generated problems; of a data set, of the order of choices
    path: str | None = None  # a local JSONL, JSON, CSV or Parquet file in the place of a hub's data set
    root: str | None = None  # a folder of such files, looked through for known data sets before the hub
    parameters: dict[str, Any] = field(default_factory=dict)  # keyword arguments of the source
    # who judges in the place of the source's own: a name, or a function of a file, my_judge.py:judge;
    # verifier= is short for data.verifier=
    verifier: str | None = None


@dataclass
class DataConfig(ProblemsConfig):
    """What is trained on."""

    # of a mixture, data=[gsm8k,math_train]: the data sets by name, with the keys of each
    parts: dict[str, ProblemsConfig] = field(default_factory=dict)


@dataclass
class BenchmarkTaskConfig(ProblemsConfig):
    domain: str = one_of("in_domain", "out_of_domain")  # in_domain ones choose the checkpoint
    root: str | None = "${data.root}"  # as that of the training data


@dataclass
class BenchmarkConfig:
    tasks: dict[str, BenchmarkTaskConfig] = field(default_factory=dict)


@dataclass
class ProfileConfig:
    """What `rlvr profile` samples, for `curriculum=sgpo` and `group_size=inverse_success`."""

    n: int = limited(8, at_least=1)  # samples a problem
    seed: int = limited(0, **SEED)  # of its samples
    file: str | None = None  # null: where `rlvr profile` puts that of this model, data and sampling


@dataclass
class TransformersRolloutConfig:
    name: str = "transformers"
    max_rows: int = limited(1024, at_least=1)  # rollouts that run together


@dataclass
class VLLMRolloutConfig:
    name: str = "vllm"
    gpu_memory_utilization: float = limited(0.5, above=0, at_most=1)  # share of the GPU
    tensor_parallel_size: int = limited(1, at_least=1)  # GPUs
    enforce_eager: bool = False  # without CUDA graphs
    enable_prefix_caching: bool = True  # prompts of a group are computed once
    sleep: bool = True  # free the GPU while the policy is updated
    engine_args: dict[str, Any] = field(default_factory=dict)  # further ones of vLLM's EngineArgs


@dataclass
class SamplingConfig:
    max_tokens: int = limited(MISSING, at_least=1)  # of a completion
    # 0 is greedy decoding, for evaluation alone; otherwise 0.01 or more
    temperature: float = limited(1.0, at_least=0)
    top_p: float = limited(1.0, above=0, at_most=1)  # 1 switches it off
    top_k: int = limited(0, at_least=0)  # 0 switches it off


@dataclass
class TrainingConfig:
    # rollout batches; null: as many as `epochs` take
    steps: int | None = limited(MISSING, at_least=0, nearest="0 (the base policy)")
    # passes over data.size problems, also where the curriculum trains on fewer; each without its last
    # incomplete batch
    epochs: int | None = limited(None, at_least=1, accepted="1 or more, or null")
    prompts_per_step: int = limited(MISSING, at_least=1)  # problems of a rollout batch
    mini_batch_prompts: int = limited(MISSING, at_least=1)  # an optimizer step each
    # passes over a rollout batch, GRPO's μ; from the second on all ratios are to the policy before the first
    num_iterations: int = limited(1, at_least=1)
    # adamw, its state in 8 bits (torchao), or its state in host memory
    optimizer: str = one_of("adamw", "adamw_8bit", "adamw_host")
    # its state leaves the GPU while there is no update, for an engine on the same GPU
    offload_optimizer: bool = False
    learning_rate: float = limited(MISSING, above=0, nearest="1e-6")  # of AdamW, after the warm-up
    warmup_steps: int = limited(0, at_least=0)  # optimizer steps
    # of the rate after the warm-up: it stays, or falls towards 0 over the optimizer steps of `steps`
    lr_scheduler_type: str = one_of("constant", "linear", "cosine")
    # 1: the next step is sampled while this one is trained (with vLLM before it), so with the weights of the
    # step before
    off_policy_steps: int = limited(0, at_least=0, at_most=1)
    # of AdamW
    betas: list[float] = limited([0.9, 0.999], at_least=0, below=1, length=2, nearest="[0.9,0.999]")
    weight_decay: float = limited(0.01, at_least=0)  # of AdamW
    gradient_clip: float = limited(1.0, above=0, infinite=True)  # largest norm of the gradient; .inf: any
    # optimizer steps in a row without a finite gradient, which are skipped; then the run ends
    max_skipped_steps: int = limited(10, at_least=1)
    max_tokens_per_micro_batch: int = limited(32768, at_least=1)  # prompts and completions, at most
    # auto: on CUDA no more of them than fit in the memory that is free; tokens: always as many
    micro_batch: str = one_of("auto", "tokens")
    # a mini-batch in which no rollout has a gradient: AdamW stands still, or steps with one of zeros, as
    # verl's and TRL's do (momentum moves on, weights decay)
    without_signal: str = one_of("skip", "step")
    precision: str = one_of("float32", "bfloat16")  # of the forward and backward; bfloat16 is autocast
    # rollout batches; null: an epoch
    checkpoint_every: int | None = limited(MISSING, at_least=1)
    # as rlvr.policy.attention says; auto: on a GPU FlashAttention, or in float32 the memory-efficient kernel,
    # on a CPU its own
    attention: str = one_of("auto", "varlen", "efficient", "blocks", "flex", "dense")
    compile: bool = False  # each decoder layer, through torch.compile
    liger: bool = False  # Liger's kernels for norms and MLPs, on CUDA (pip install 'rlvr[liger]')
    activation_checkpointing: bool = False  # compute a layer twice instead of keeping its activations
    keep_attention: bool = False  # with activation_checkpointing: but keep the output of attention
    offload_activations: bool = False  # with activation_checkpointing: keep a layer's input in host memory
    # on a GPU the same bits twice: deterministic kernels, micro-batches of max_tokens_per_micro_batch tokens,
    # and vLLM's batch-invariant mode; slower
    deterministic: bool = False
    # CPU threads of one process; the same limit on every machine, so that any of them can read a run
    threads: int = limited(1, at_least=1, at_most=1024)
    device: str = limited("auto", **DEVICE)  # auto: CUDA where there is one
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    @property
    def optimizer_steps(self) -> int:
        """Of the whole training, those that are left out for want of a signal among them."""
        return self.steps * self.optimizer_steps_a_batch

    @property
    def optimizer_steps_a_batch(self) -> int:
        return self.num_iterations * (self.prompts_per_step // self.mini_batch_prompts)


@dataclass
class CheckpointConfig:
    """Which checkpoints there are beside those of `training.checkpoint_every`, and which are kept."""

    # of the last ones with the best by validation, and optimizer state in the last alone; null: all, whole
    keep: int | None = limited(None, at_least=1, accepted="1 or more, or null")
    # one more so long after the last, which the next replaces; null: none
    every_minutes: float | None = limited(None, above=0, accepted="above 0, or null")


@dataclass
class RareConfig:
    """The set of rare correct answers whose NLL is followed (F-GRPO, section 5.3)."""

    # training problems asked; 0: it is not measured
    prompts: int = limited(0, at_least=0, at_most=1_000_000_000, nearest="0 (not measured)")
    samples: int = limited(800, at_least=1)  # of each
    share: float = limited(0.01, above=0, at_most=1)  # of the correct ones that is kept: those least likely
    seed: int = limited(0, **SEED)  # of their samples


@dataclass
class EvaluationConfig:
    samples: int = limited(MISSING, at_least=1, at_most=1_000_000)  # per problem
    # per in-domain problem, at every checkpoint
    validation_samples: int = limited(16, at_least=1, at_most=1_000_000)
    k: list[int] = limited([1, 2, 4, 8, 16, 32, 64, 128, 256], at_least=1)  # of pass@k
    seed: int = limited(12345, **SEED)  # of its samples
    checkpoint: str = one_of("best", "last")  # the one measured; best is by validation
    # what the best is best on: the benchmarks' own problems, or as many others of the same generator; a
    # benchmark that is a fixed list has no others
    select_on: str = one_of("test", "validation")
    # the k of the pass@k that the best is best by: 1, or one of evaluation.k up to validation_samples
    select_by: int = limited(1, at_least=1)
    latest_step: int | None = limited(None, at_least=0)  # choose among checkpoints up to this one
    last_too: bool = False  # measure the last checkpoint as well where it is not the chosen one
    after_training: bool = True  # evaluate when training is done
    samples_per_shard: int = limited(16384, at_least=1)  # what a kill can cost
    rare: RareConfig = field(default_factory=RareConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    @property
    def validated_k(self) -> list[int]:
        """The k of pass@k that a validation measures: 1, and those of `k` that its samples allow."""
        return [1, *(k for k in self.k if 1 < k <= self.validation_samples)]


@dataclass
class TrackingConfig:
    # chosen by tracking=; of several, as in tracking=[wandb,tensorboard], the last
    name: str = one_of(MISSING, "wandb", "tensorboard", "mlflow", "local")
    wandb: bool = False  # send to W&B; set by the option, as the next two
    tensorboard: bool = False  # write event files in <run>/tensorboard
    mlflow: bool = False  # send to MLflow
    project: str = "rlvr"  # of W&B; of MLflow the experiment
    mode: str = one_of("auto", "online", "offline")  # auto is offline without credentials
    entity: str | None = None  # of W&B; null: the account's own
    group: str | None = None  # of W&B; null: the experiment
    # of MLflow: a server, file:///folder, or with all of MLflow (pip install mlflow) sqlite:///file; null:
    # MLFLOW_TRACKING_URI, else <runs>/mlruns
    uri: str | None = limited(
        None,
        pattern=r"(?!\S*://[^/@]*:[^/@]*@).*",
        accepted="an address without a password, which config.yaml would keep (but not MLFLOW_TRACKING_URI)",
        nearest="null",
    )


@dataclass
class BackendConfig:
    name: str = "native"


@dataclass
class VerlConfig(BackendConfig):
    """verl 0.9 on a Ray cluster; docs/verl.md."""

    name: str = "verl"
    nodes: int = limited(1, at_least=1)  # of the Ray cluster
    gpus_per_node: int = limited(8, at_least=1)  # of each node
    reward_workers: int = limited(8, at_least=1)  # processes that verify, each with the verifier's own pool
    overrides: list[str] = field(default_factory=list)  # in verl's own words, after rlvr's


@dataclass
class ScaleConfig:
    name: str = MISSING  # of the option; chosen by scale=


@dataclass
class Config:
    """One run, complete."""

    experiment: str = limited("adhoc", **FOLDER)  # folder of its runs
    arm: str | None = limited(None, **FOLDER)  # named after its choices when not given
    seed: int = limited(1, **SEED)  # of the training
    runs: str = "results/runs"  # folder of all experiments
    folder: str | None = None  # of the run; null: <runs>/<experiment>/<arm>/seed-<seed>
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    adapter: Any = None
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    reward: Any = None
    advantage_scaling: Any = None
    credit: Any = None
    group_size: Any = None
    data: DataConfig = field(default_factory=DataConfig)
    curriculum: Any = None
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    rollout: Any = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    backend: Any = None

    def __reduce__(self) -> tuple[Callable, tuple[dict[str, Any]]]:
        # the classes of methods' keys are made as they are chosen, so pickle can't find them by name
        return _checked_again, (asdict(self),)


def _checked_again(values: dict[str, Any]) -> Config:
    from rlvr.config.check import check

    return check(OmegaConf.create(values))
