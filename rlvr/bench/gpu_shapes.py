"""What the check of a GPU measures: models of Qwen2.5's shapes with random weights, and rollouts for them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase, Qwen2Config

from rlvr.config import Config, load_config
from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.policy.adapter import Adapter
from rlvr.policy.architecture import QWEN25, Architecture
from rlvr.policy.kernels import DTYPES
from rlvr.policy.policy import Policy, load_tokenizer
from rlvr.problems import load_problems
from rlvr.training.batch import Batch, make_batch
from rlvr.training.layers import prepare_layers
from rlvr.training.learner import Learner

PROMPT = 128  # tokens
GROUP_SIZE = 8
SHAPES = {size: QWEN25[size] for size in ("0.5B", "1.5B", "7B")}
DTYPE = {"7B": "bfloat16"}  # of the weights; the others are float32
WORKS = ((64, 512), (16, 4096), (4, 8192))  # rollouts, tokens of each
WAYS = {
    "full": [],
    "checkpointed": ["training.activation_checkpointing=true"],
    "LoRA": ["adapter=lora", "training.activation_checkpointing=true"],
    "attention kept": ["training.activation_checkpointing=true", "training.keep_attention=true"],
    "offloaded": ["training.activation_checkpointing=true", "training.offload_activations=true"],
    "compiled": ["training.compile=true"],
    "Liger": ["training.liger=true"],
    "blocks": ["training.attention=blocks"],
    "flex": ["training.attention=flex"],
}
TINY = Architecture(2, 128, 128, 4, 2, 32, 512, True, attention_bias=True)
TINY_WORKS = ((8, 16), (4, 32), (2, 64))


@dataclass(frozen=True, slots=True)
class Work:
    """An update of one shape, one way.

    Attributes:
        dry: in a tiny shape, on whatever device there is.
    """

    shape: str
    rollouts: int
    tokens: int
    way: str
    dry: bool

    @property
    def architecture(self) -> Architecture:
        return TINY if self.dry else SHAPES[self.shape]

    @property
    def config(self) -> Config:
        return config_of(self)

    @property
    def prompt(self) -> int:
        return 8 if self.dry else PROMPT


# composing a config and reading the problems take a second each, and a part has a minute
@cache
def config_of(work: Work) -> Config:
    groups = max(1, work.rollouts // GROUP_SIZE)
    return load_config(
        [
            *("tracking=local", "training.precision=bfloat16", "training.learning_rate=1e-9"),
            f"model.dtype={DTYPE.get(work.shape, 'float32')}",
            f"group_size.n={work.rollouts // groups}",
            f"training.prompts_per_step={groups}",
            f"training.mini_batch_prompts={groups}",
            f"training.sampling.max_tokens={work.tokens}",
            *WAYS[work.way],
        ]
    )


@cache
def problems() -> Sequence[Problem]:
    """What is asked: the embedded policy's problems, whatever the model."""
    return load_problems(load_config().data, held_out=False)


@cache
def tokenizer() -> PreTrainedTokenizerBase:
    """The embedded policy's, whatever the model."""
    return load_tokenizer(load_config().model)


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def random_model(shape: Architecture, dtype: str):
    """Random weights, made on the device."""
    config = Qwen2Config(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        intermediate_size=shape.feed_forward,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=32768,
    )
    torch.manual_seed(0)
    with torch.device(device()):
        return AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype]).eval()


def learner_of(work: Work) -> Learner:
    """A policy of the shape and its learner, layers as the way says."""
    config = work.config
    model = random_model(work.architecture, config.model.dtype)
    adapter = None
    if config.adapter.name == "lora":
        adapter = Adapter(model, config.adapter, path=config.model.path, seed=0, base="random")
        model.to(device())
    policy = Policy(model, tokenizer(), adapter=adapter, runs_on="cuda")
    prepare_layers(policy, config, on_cuda=device() == "cuda")
    return Learner(policy, config)


def random_batch(work: Work) -> Batch:
    """Rollouts of random tokens, half of each group right, so that all are trained on."""
    rng = random.Random(0)
    config, vocabulary = work.config, range(5, work.architecture.vocabulary)
    groups = []
    for number in range(config.training.prompts_per_step):
        completions = [
            Completion(rng.choices(vocabulary, k=work.tokens), [-11.9] * work.tokens, "", "stop", 0)
            for _ in range(config.group_size.n)
        ]
        verdicts = [Verdict.CORRECT if i % 2 == 0 else Verdict.WRONG for i in range(len(completions))]
        groups.append(
            Group(problems()[number], rng.choices(vocabulary, k=work.prompt), completions, verdicts)
        )
    return make_batch(groups, config)


def update_flops(work: Work) -> float:
    """6 a weight and token, the head for completion tokens alone, and attention's products; nothing that is
    computed twice. Of a frozen weight 4: it has no gradient.
    """
    shape, groups = work.architecture, work.config.training.prompts_per_step
    body = shape.parameters - shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
    a_weight = 4 if work.way == "LoRA" else 6
    completion, prompts = work.rollouts * work.tokens, groups * work.prompt
    head = shape.vocabulary * shape.hidden * completion
    pairs = work.rollouts * (work.tokens * work.prompt + work.tokens**2 / 2) + groups * work.prompt**2 / 2
    attention = 12 * shape.layers * shape.heads * shape.head_size * pairs
    return a_weight * (body * (completion + prompts) + head) + attention
