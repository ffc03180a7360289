"""The other verbs: simulate, warm-start, bench, doctor, completion."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.bench.parts import MODELS, PARTS, PRECISIONS
from rlvr.cli.arguments import NoKeys, Verb, flag, given_of, key, optional_keys, word
from rlvr.errors import UserError
from rlvr.policy.recipes import RECIPES, WarmStart


@dataclass(kw_only=True)
class Simulate:
    what: str = key("what is simulated", "categorical", choices=("categorical", "toy_tree"))
    figures: bool = flag("--figures", help="draw figures 1a to 5 from what has been simulated")


def simulate(keys: Simulate) -> None:
    """Simulate group sampling on 128,000 actions (F-GRPO, Fig. 2), or λ-GRPO's toy tree.

    rlvr simulate                    17 group sizes, two gammas, four seeds: minutes on two cores
    rlvr simulate --figures          draw figures 1a to 5 from what has been simulated
    rlvr simulate what=toy_tree      a path behind bad first steps, five minutes of one core

    A killed simulation goes on with the runs it lacks. Files: results/theory, results/figures/theory, and
    results/tables/lambda_grpo-toy_tree.md.
    """
    grid = Path("results/theory/categorical.npz")
    if keys.what == "toy_tree":
        if keys.figures:
            raise UserError("--figures with what=toy_tree: its page holds all there is; leave --figures out")
        from rlvr.tables.toy_tree import write_toy_tree

        print(write_toy_tree(Path("results")).read_text())
        return
    if keys.figures and not grid.exists():
        raise UserError(f"{grid} is not there: run rlvr simulate without --figures first")
    from rlvr.theory import run_simulation_grid
    from rlvr.theory.figures import figure_1a, figure_2, figure_3, figure_4, figure_5

    if not keys.figures:
        grid = run_simulation_grid(grid.parent)
    folder = Path("results/figures/theory")
    drawn = [*figure_1a(folder / "figure_1a"), *figure_2(grid, folder / "figure_2")]
    for number, draw in ((3, figure_3), (4, figure_4), (5, figure_5)):
        drawn += draw(folder / f"figure_{number}")
    print("\n".join(map(str, [grid, *drawn])))


@dataclass(kw_only=True)
class OfARecipe:
    policy: str = key("which recipe is followed", "embedded", choices=tuple(RECIPES))
    folder: Path | None = key(
        "where to write; without it, a policy whose weights do not come with rlvr goes where its model finds "
        "it, unless one of the keys below is given; all else goes to ./warm-start",
        None,
    )


WarmStartKeys: Any = optional_keys("WarmStartKeys", WarmStart, (OfARecipe,))


def warm_start(keys: Any) -> None:
    """Make one of rlvr's own policies from nothing: supervised training on solved examples.

    rlvr warm-start policy=embedded folder=my-policy steps=2500 seed=0
    rlvr warm-start policy=maze_3m        F-GRPO's maze policy, where model=maze_3m finds it

    The keys after folder= change the recipe; without them it is as rlvr.policy.recipes has it.
    """
    from rlvr.warm_start.train import make_or_warm_start

    print(make_or_warm_start(keys.policy, keys.folder, **given_of(keys, WarmStart)))


@dataclass(kw_only=True)
class Bench:
    part: list[str] = key("what is measured; without it, all of", PARTS, choices=PARTS)
    model: list[str] = key("whose step is timed; without it, both of", MODELS, choices=MODELS)
    precision: list[str] = key(
        "of forward, backward and sampling; without it, both of", PRECISIONS, choices=PRECISIONS
    )
    rounds: int = key("how often each is timed", 5, least=1)
    threads: int = key("CPU threads, the same for every side", 2, least=1)
    trl_micro_batch: int | None = key("rollouts that go through TRL's model together", None, least=1)
    folder: Path = key("where results go, and what was measured before is", Path("results/bench"))


def bench(keys: Bench) -> None:
    """Measure rlvr, against TRL and vLLM where they are installed, and against what was measured before.

    rlvr bench                                        everything: most of an hour on two cores
    rlvr bench part=step,update model=embedded rounds=10
    rlvr bench part=generation model=smollm2 precision=float32,bfloat16

    `make bench` builds TRL's environment.
    """
    from rlvr.bench.command import bench

    bench(**vars(keys))


def doctor(keys: NoKeys) -> None:
    """Say what this machine can run, and what to do about each lack. Nothing is changed.

    rlvr doctor
    """
    from rlvr.cli.doctor import examine

    examine()


@dataclass(kw_only=True)
class Completion:
    shell: str | None = word("shell", "bash, zsh or fish", choices=("bash", "zsh", "fish"), optional=True)
    line: str | None = flag("--line", help="what could stand at its end", value="<line>", hidden=True)


def completion(keys: Completion) -> None:
    """Print what makes a shell complete verbs, keys and values: bash, zsh or fish.

    eval "$(rlvr completion bash)"                         for this shell; in ~/.bashrc, for all
    rlvr completion fish > ~/.config/fish/completions/rlvr.fish
    """
    from rlvr.cli.completion import SHELLS, candidates
    from rlvr.cli.main import VERBS

    if keys.line is not None:
        print("\n".join(candidates(keys.line, VERBS)))
    elif keys.shell is None:
        raise UserError(
            "completion needs a shell, as in `rlvr completion bash`: accepted are bash, zsh, fish"
        )
    else:
        print(SHELLS[keys.shell])


VERBS = (
    Verb("simulate", simulate, Simulate),
    Verb("warm-start", warm_start, WarmStartKeys),
    Verb("bench", bench, Bench),
    Verb("doctor", doctor),
    Verb("completion", completion, Completion),
)
