"""The shape of a model, and what follows from it without its weights: parameters, memory, operations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlvr.config import ModelConfig
from rlvr.errors import UserError, unknown
from rlvr.policy.location import local_files
from rlvr.policy.model_files import read_object


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder of the Llama family: grouped-query attention and a gated feed-forward in every layer."""

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    tied: bool  # input and output embedding are one
    attention_bias: bool = False  # of queries, keys and values (Qwen2)
    query_key_norm: bool = False  # (Qwen3)

    @property
    def parameters(self) -> int:
        queries, keys_values = self.heads * self.head_size, 2 * self.key_value_heads * self.head_size
        attention = self.hidden * (2 * queries + keys_values)
        attention += (queries + keys_values) * self.attention_bias + 2 * self.head_size * self.query_key_norm
        layer = attention + 3 * self.hidden * self.feed_forward + 2 * self.hidden
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * layer + embeddings + self.hidden

    @property
    def linear_layers(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each linear layer of a decoder layer, by name."""
        queries, keys = self.heads * self.head_size, self.key_value_heads * self.head_size
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.feed_forward),
            "up_proj": (self.hidden, self.feed_forward),
            "down_proj": (self.feed_forward, self.hidden),
        }

    @property
    def matrices(self) -> list[tuple[int, int]]:
        """Rows and columns of every weight that is no vector."""
        layer = [(outputs, inputs) for inputs, outputs in self.linear_layers.values()]
        return self.layers * layer + [(self.vocabulary, self.hidden)] * (1 if self.tied else 2)

    def adapter_matrices(self, rank: int, targets: str | Sequence[str]) -> list[tuple[int, int]]:
        """Of a low-rank adapter around the named layers of every decoder layer, or around "all-linear"."""
        layers = self.linear_layers
        names = layers if targets == "all-linear" else [name for name in layers if name in targets]
        pairs = [((rank, layers[name][0]), (layers[name][1], rank)) for name in names]
        return self.layers * [matrix for pair in pairs for matrix in pair]

    def adapter_parameters(self, rank: int, targets: str | Sequence[str] = "all-linear") -> int:
        """Of the adapter's matrices, which are all it has."""
        return sum(rows * columns for rows, columns in self.adapter_matrices(rank, targets))

    def forward_operations(self, context: float) -> float:
        """Floating-point operations of one token's forward that attends to `context` tokens."""
        return 2 * self.parameters + 4 * self.layers * self.heads * self.head_size * context

    def key_value_bytes(self, bytes_per_number: int = 2) -> int:
        """Of one token's keys and values in all layers."""
        return 2 * self.layers * self.key_value_heads * self.head_size * bytes_per_number


QWEN25 = {
    "0.5B": Architecture(24, 896, 4864, 14, 2, 64, 151936, True, attention_bias=True),
    "1.5B": Architecture(28, 1536, 8960, 12, 2, 128, 151936, True, attention_bias=True),
    "3B": Architecture(36, 2048, 11008, 16, 2, 128, 151936, True, attention_bias=True),
    "7B": Architecture(28, 3584, 18944, 28, 4, 128, 152064, False, attention_bias=True),
}
# of the models of conf/model, for machines that have none of their files
KNOWN = {
    **{f"Qwen/Qwen2.5-{size}{kind}": shape for size, shape in QWEN25.items() for kind in ("", "-Instruct")},
    **{
        f"Qwen/Qwen2.5-Math-{size}{kind}": QWEN25[size]
        for size in ("1.5B", "7B")
        for kind in ("", "-Instruct")
    },
    "Qwen/Qwen2.5-Coder-0.5B-Instruct": QWEN25["0.5B"],
    "Qwen/Qwen3-4B-Base": Architecture(36, 2560, 9728, 32, 8, 128, 151936, True, query_key_norm=True),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": replace(QWEN25["1.5B"], tied=False),
    "meta-llama/Llama-3.2-3B-Instruct": Architecture(28, 3072, 8192, 24, 8, 128, 128256, True),
    "meta-llama/Llama-3.2-1B-Instruct": Architecture(16, 2048, 8192, 32, 8, 64, 128256, True),
    "maze_3m": Architecture(4, 256, 1024, 4, 2, 64, 32, True, attention_bias=True),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Architecture(30, 576, 1536, 9, 3, 64, 49152, True),
}
KNOWN["smollm2_sums"] = KNOWN["HuggingFaceTB/SmolLM2-135M-Instruct"]


def architecture_of(model: ModelConfig) -> Architecture:
    """From the model's config.json where it is on this machine, else from what is known of its hub id.

    Raises:
        UserError: when the model is neither here nor known.
    """
    if model.path in KNOWN:
        return KNOWN[model.path]
    folder = local_files(model)
    if folder is None:
        raise unknown("model without files here", model.path, KNOWN)
    return architecture_from(folder / "config.json")


def architecture_from(file: Path) -> Architecture:
    """Read a transformers config.json of the Llama, Qwen2 or Qwen3 family.

    Raises:
        UserError: for a file that is damaged or missing, or of another family.
    """
    content = read_object(file)
    try:
        return architecture_in(content or {})
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise UserError(
            f"{file} is missing, or of no model of the Llama, Qwen2 or Qwen3 family ({error!r}), whose shape "
            "would follow from it"
        ) from error


def architecture_in(config: Mapping[str, Any]) -> Architecture:
    """What the keys of a config.json say; KeyError for one of another family."""
    if experts := {"num_experts", "num_local_experts", "n_routed_experts"} & config.keys():
        raise KeyError(f"{experts.pop()} of a mixture")
    heads = config["num_attention_heads"]
    return Architecture(
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        feed_forward=config["intermediate_size"],
        heads=heads,
        key_value_heads=config.get("num_key_value_heads") or heads,
        head_size=config.get("head_dim") or config["hidden_size"] // heads,
        vocabulary=config["vocab_size"],
        tied=config.get("tie_word_embeddings", False),
        attention_bias=config.get("model_type") == "qwen2" or config.get("attention_bias", False),
        query_key_norm=config.get("model_type") == "qwen3",
    )
