"""Policies to start from: supervised training on solved examples until some problems are answered often,
most sometimes and some rarely. It begins with a small Qwen2 of few words, or with a language model.

`rlvr warm-start policy=<name>` follows a recipe of `rlvr.policy.recipes`; the weights in
`rlvr/policy/embedded/` and `rlvr/policy/maze_small/` are its output.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from rich.progress import Progress
from transformers import Qwen2Config, Qwen2ForCausalLM

from rlvr.config import load_config
from rlvr.data import Problem
from rlvr.errors import UserError, unknown
from rlvr.files.atomic import place_folder
from rlvr.policy.location import SHIPPED, made_here
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.policy.recipes import RECIPES, WarmStart
from rlvr.problems.countdown import solved_countdowns
from rlvr.problems.gym import solved_gym
from rlvr.problems.gym_words import worked_sums
from rlvr.problems.maze import solved_mazes
from rlvr.warm_start.tokenizers import arithmetic_tokenizer, maze_tokenizer

Examples = Iterator[tuple[Problem, str]]
TOKENIZERS = {"arithmetic": arithmetic_tokenizer, "maze": maze_tokenizer}
SCHEDULES: dict[str, Callable[[float], float]] = {  # share of the steps taken -> share of the learning rate
    "decay": lambda done: (1 - done) ** 0.5,
    "constant": lambda done: 1.0,
}


def build_policy(recipe: WarmStart, device: str = "cpu") -> Policy:
    """The policy before its training, on a device: a language model as it is, or one freshly initialised."""
    if recipe.start:
        model = load_config([f"model={recipe.start}"]).model
        return load_policy(model.path, settings=model, device=device)
    if recipe.task not in TOKENIZERS:
        raise unknown("task of the warm start", recipe.task, TOKENIZERS)
    torch.manual_seed(recipe.seed)
    tokenizer = TOKENIZERS[recipe.task]()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.key_value_heads,
        intermediate_size=recipe.intermediate_size,
        max_position_embeddings=recipe.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": recipe.rope_theta},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Policy(Qwen2ForCausalLM(config).to(device), tokenizer)


def solved_examples(recipe: WarmStart) -> Examples:
    """What a recipe's policy is shown: problems from the training side of the split, each with an answer."""
    if recipe.task == "maze":
        return solved_mazes(side=recipe.maze_side, held_out=False, seed=f"warm/{recipe.seed}")
    if recipe.task == "sums":
        data = load_config(["data=arithmetic"]).data  # but numbers drawn anew
        terms = {name: value for name, value in data.parameters.items() if name != "task"}
        return worked_sums(held_out=False, seed=recipe.seed + 1_000, **terms)
    return solved_arithmetic(recipe.seed)


def solved_arithmetic(seed: int) -> Examples:
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


def warm_start(recipe: WarmStart, folder: Path, *, device: str = "cpu") -> Policy:
    """Train by the recipe on the completions alone, and save the policy to `folder`."""
    if recipe.schedule not in SCHEDULES:
        raise unknown("schedule of the warm start", recipe.schedule, SCHEDULES)
    if recipe.steps < 1 or recipe.examples_per_step < 1:
        raise UserError(
            f"a warm start of steps={recipe.steps} with examples_per_step={recipe.examples_per_step}: "
            "accepted are 1 or more of both"
        )
    policy = build_policy(recipe, device)
    optimizer = torch.optim.AdamW(
        policy.model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        betas=(0.9, 0.95),
    )
    share = SCHEDULES[recipe.schedule]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / max(recipe.warmup_steps, 1), 1.0) * share(step / recipe.steps),
    )
    examples = solved_examples(recipe)
    policy.model.train()
    with Progress() as progress:
        task = progress.add_task("warm start", total=recipe.steps)
        for step in range(recipe.steps):
            drawn = [next(examples) for _ in range(recipe.examples_per_step)]
            with policy.autocast(recipe.precision):
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
    tree = PrefixTree.build(
        [policy.encode(problem) for problem, _ in examples],
        [[[*answer, policy.tokenizer.eos_token_id]] for answer in answers],
        policy.device,
    )
    logp_M, _ = policy.logprobs(tree)
    loss = -logp_M.mean()
    loss.backward()
    return loss.item()


def make_policy(name: str) -> Path:
    """Make a policy of a recipe where its model finds it (`rlvr.policy.location`), unless it is there."""
    folder = made_here(name)
    if folder.exists():
        return folder
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    warm_start_timed(RECIPES[name], aside)
    place_folder(aside, folder)
    return folder


def warm_start_timed(recipe: WarmStart, folder: Path) -> None:
    started = time.perf_counter()
    policy = warm_start(recipe, folder, device="cuda" if torch.cuda.is_available() else "cpu")
    print(f"{policy.model.num_parameters():,} parameters, {time.perf_counter() - started:.0f} s")


def make_or_warm_start(name: str, folder: Path | None = None, **settings: str | float) -> Path:
    """A policy of a recipe, changed by `settings`; returns its folder.

    As the recipe has it, and without a folder of its own, it is made where its model finds it, unless rlvr
    comes with its weights.
    """
    recipe = replace(RECIPES[name], **settings)
    if folder is None and recipe == RECIPES[name] and name not in SHIPPED:
        return make_policy(name)
    folder = folder or Path("warm-start")
    warm_start_timed(recipe, folder)
    return folder
