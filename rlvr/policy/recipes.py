"""How the policies that rlvr makes itself are made: the settings of `rlvr warm-start`."""

from dataclasses import dataclass, field, replace
from typing import Any


def setting(default: Any, help: str, **limits: Any) -> Any:
    """A setting and what `rlvr warm-start --help` says of it."""
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Shape and supervised training of a policy; the defaults made the embedded one."""

    start: str = setting(
        "", "a model of conf/model to go on from, with its own words and shape; without it, from nothing"
    )
    task: str = setting("arithmetic", "whose words and solved examples: arithmetic, maze, or sums in English")
    precision: str = setting("float32", "of forward and backward", choices=("float32", "bfloat16"))
    maze_side: int = setting(17, "squares in a row of the mazes, for task=maze", least=1)
    hidden_size: int = setting(128, "of the residual stream", least=1)
    layers: int = setting(4, "transformer layers", least=1)
    heads: int = setting(4, "attention heads of a layer", least=1)
    key_value_heads: int = setting(2, "key and value heads of a layer", least=1)
    intermediate_size: int = setting(384, "of the MLP", least=1)
    max_positions: int = setting(128, "longest prompt with its completion, in tokens", least=1)
    rope_theta: float = setting(10_000.0, "base of the rotary embedding", above=0)
    steps: int = setting(2500, "optimizer steps", least=1)
    examples_per_step: int = setting(128, "solved examples of a step", least=1)
    learning_rate: float = setting(2e-3, "the highest", above=0)
    schedule: str = setting(
        "decay", "of the learning rate after the warm-up: decay to 0 by a square root, or constant"
    )
    warmup_steps: int = setting(50, "in which the learning rate grows", least=0)
    weight_decay: float = setting(0.01, "AdamW's", least=0)
    seed: int = setting(0, "of weights and examples", least=0, most=2**32 - 1)


# F-GRPO's maze policy (App. K), made as MaxRL's code makes it; its learning rate decays over ten times the
# steps that are taken
MAZE_3M = WarmStart(
    task="maze",
    maze_side=17,
    hidden_size=256,
    intermediate_size=1024,
    max_positions=512,
    rope_theta=1e6,
    steps=1500,
    examples_per_step=32,
    learning_rate=5e-4,
    schedule="constant",
    warmup_steps=0,
)
RECIPES = {
    # the weights that ship saw some 900 sums and 900 divisors over and over, where it now draws new ones
    "embedded": WarmStart(),
    "maze_3m": MAZE_3M,
    # smaller mazes and a smaller policy, for two CPU cores; after 400 steps it finds a new maze's way in one
    # of four tries, and so has something to gain and something to lose
    "maze_small": replace(
        MAZE_3M,
        maze_side=9,
        hidden_size=64,
        intermediate_size=256,
        steps=400,
        learning_rate=2e-3,
        warmup_steps=50,
    ),
    # a language model that has seen a few hundred worked sums: it knows how to answer, and is right in one
    # of three tries
    "smollm2_sums": WarmStart(
        start="smollm2-135m",
        task="sums",
        precision="bfloat16",
        steps=14,
        examples_per_step=32,
        learning_rate=2e-5,
        schedule="constant",
        warmup_steps=10,
    ),
}
