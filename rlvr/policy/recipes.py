"""How the policies that rlvr makes itself are made: the settings of `rlvr warm-start`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Shape and supervised training of a policy; the defaults made the embedded one.

    Attributes:
        start: a model of `conf/model` to go on from, with its own words and shape; "" for none, that is a
            policy from nothing.
        task: whose words and solved examples (`rlvr.warm_start.tokenizers`, `rlvr.warm_start.train`):
            arithmetic, maze, or sums in English.
        precision: of the forward and backward, float32 or bfloat16.
        maze_side: squares in a row of the mazes, for task=maze.
        schedule: of the learning rate after the warm-up: "decay" to 0 by a square root, or "constant".
    """

    start: str = ""
    task: str = "arithmetic"
    precision: str = "float32"
    maze_side: int = 17
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    key_value_heads: int = 2
    intermediate_size: int = 384
    max_positions: int = 128
    rope_theta: float = 10_000.0
    steps: int = 2500
    examples_per_step: int = 128
    learning_rate: float = 2e-3
    schedule: str = "decay"
    warmup_steps: int = 50
    weight_decay: float = 0.01
    seed: int = 0


RECIPES = {
    "embedded": WarmStart(),
    # F-GRPO's maze policy (App. K), made as MaxRL's code makes it; its learning rate decays over ten times
    # the steps that are taken
    "maze_3m": WarmStart(
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
    ),
    # smaller mazes and a smaller policy, for two CPU cores; after 400 steps it finds a new maze's way in one
    # of four tries, and so has something to gain and something to lose
    "maze_small": WarmStart(
        task="maze",
        maze_side=9,
        hidden_size=64,
        intermediate_size=256,
        max_positions=512,
        rope_theta=1e6,
        steps=400,
        examples_per_step=32,
        learning_rate=2e-3,
        schedule="constant",
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
