"""The embedded policy from nothing: a tokenizer of some two hundred words, a small Qwen2, and supervised
training on solved examples until it answers some problems often, most sometimes and some rarely.

`rlvr warm-start` repeats it; the weights in `rlvr/policy/embedded/` are its output.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import Progress
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rlvr.policy.attention import PackedLayout
from rlvr.policy.policy import Policy
from rlvr.policy.token_logprobs import backward_through_head
from rlvr.problems.countdown import solved_countdowns
from rlvr.problems.gym import solved_gym
from rlvr.problems.problem import Problem

LARGEST_NUMBER = 199
WORDS = ["<pad>", "<bos>", "<eos>", "<unk>", "<answer>", *"+-*()", "make", "from", "with", "compute", "gcd"]
CHAT_TEMPLATE = (
    "<bos> {% for message in messages %}{{ message['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}<answer>{% endif %}"
)


@dataclass(frozen=True, slots=True)
class WarmStart:
    """The recipe; its defaults made the weights that ship with rlvr."""

    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    key_value_heads: int = 2
    intermediate_size: int = 384
    steps: int = 2500
    examples_per_step: int = 128
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    weight_decay: float = 0.01
    seed: int = 0


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Whole numbers, operators and task names are one token each."""
    words = [*WORDS, *map(str, range(LARGEST_NUMBER + 1))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"\s+|(?<=[^\s\d])(?=\d)|(?=[-+*()])|(?<=[-+*()])"), "removed"
    )
    tokenizer.decoder = decoders.Sequence([decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<answer>"],
        chat_template=CHAT_TEMPLATE,
    )


def build_policy(recipe: WarmStart) -> Policy:
    """A freshly initialised embedded policy."""
    torch.manual_seed(recipe.seed)
    tokenizer = build_tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.key_value_heads,
        intermediate_size=recipe.intermediate_size,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Policy(Qwen2ForCausalLM(config), tokenizer)


def solved_examples(seed: int) -> Iterator[tuple[Problem, str]]:
    """Two thirds countdown in all the shapes of the in-domain suite, one third the tasks outside it."""
    rng = random.Random(f"warm start/{seed}")
    streams = [
        (4, solved_countdowns(held_out=False, seed=f"warm/{seed}/a")),
        (2, solved_countdowns(count=(3, 5), held_out=False, seed=f"warm/{seed}/b")),
        (1, solved_countdowns(operators="+-", held_out=False, seed=f"warm/{seed}/c")),
        (1, solved_countdowns(largest=20, target_max=99, held_out=False, seed=f"warm/{seed}/d")),
        (2, solved_gym("chain_sum", held_out=False, seed=seed)),
        (2, solved_gym("gcd", held_out=False, seed=seed)),
    ]
    weights, iterators = zip(*streams, strict=True)
    while True:
        yield next(rng.choices(iterators, weights)[0])


def warm_start(recipe: WarmStart, folder: Path) -> Policy:
    """Train by the recipe on the completions alone, and save the policy to `folder`."""
    policy = build_policy(recipe)
    optimizer = torch.optim.AdamW(
        policy.model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        betas=(0.9, 0.95),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / recipe.warmup_steps, 1.0) * (1 - step / recipe.steps) ** 0.5,
    )
    examples = solved_examples(recipe.seed)
    policy.model.train()
    with Progress() as progress:
        task = progress.add_task("warm start", total=recipe.steps)
        for step in range(recipe.steps):
            drawn = [next(examples) for _ in range(recipe.examples_per_step)]
            loss = supervised_step(policy, drawn)
            torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            progress.update(task, advance=1, description=f"warm start, loss {loss:.3f}")
            if step % 250 == 0:
                progress.console.print(f"step {step:5d}  loss {loss:.4f} nats a token")
    policy.model.eval()
    policy.save(folder)
    return policy


def supervised_step(policy: Policy, examples: list[tuple[Problem, str]]) -> float:
    """Gradients of the mean negative log-likelihood of the answers' tokens; returns its value in nats."""
    answers = policy.tokenizer([answer for _, answer in examples], add_special_tokens=False)["input_ids"]
    layout = PackedLayout(
        [policy.encode(problem) for problem, _ in examples],
        [[[*answer, policy.tokenizer.eos_token_id]] for answer in answers],
        policy.device,
    )
    hidden_NE = policy.hidden(layout.tokens_T, layout.positions_T, layout)[layout.predictor_N]
    count = len(layout.targets_N)  # one answer a prompt: every token is a prefix of its own
    logprobs_N, _ = backward_through_head(
        hidden_NE,
        policy.head,
        layout.targets_N,
        lambda logprobs_C, _entropy, _chunk: -logprobs_C.sum() / count,
    )
    return -logprobs_N.mean().item()


def main(recipe: WarmStart, folder: Path) -> None:
    started = time.perf_counter()
    policy = warm_start(recipe, folder)
    parameters = sum(parameter.numel() for parameter in policy.model.parameters())
    print(f"{parameters:,} parameters in {folder}, {time.perf_counter() - started:.0f} s")
