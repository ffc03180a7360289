"""Every command of README and docs composes; those that need nothing special run, small (marked slow)."""

import re
import shutil
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import wandb_dashboard
from markdown_commands import BLOCK, PAGES, ROOT, Command, all_commands

from rlvr import config
from rlvr.cli import main as cli
from rlvr.cli.arguments import read
from rlvr.cli.overrides import wanted
from rlvr.runs import schedule
from rlvr.runs.evaluation_config import overrides_of_evaluation
from rlvr.runs.sweep import expand, launch
from rlvr.tables.names import read_table

SHELL = {"source", "eval", "cd", "git", "hf", "pytest"}
# what a real run of a command is cut down to
SMALL = [
    "tracking=local",
    "training.steps=2",
    "training.checkpoint_every=2",
    "training.prompts_per_step=4",
    "training.mini_batch_prompts=4",
    "evaluation.samples=4",
    "evaluation.k=[1,4]",
    "evaluation.validation_samples=1",
    *(f"benchmark.tasks.countdown_{name}.size=1" for name in ("3", "4", "5", "add", "large")),
    "benchmark.tasks.chain_sum.size=1",
    "benchmark.tasks.gcd.size=1",
]
OWN_TESTS = (
    "the plug-in, which tests/config installs",
    "the files of this page",  # tests/docs/test_rewards_page.py
    "the runs of this page",  # tests/docs/test_own_table_page.py
    "the folder of this page",  # the same
)


@cache  # many pages show the same
def composes(words: tuple[str, ...]) -> None:
    """A command of rlvr, up to the point where it would begin to work."""
    name, *rest = words
    assert name in cli.VERBS, name
    if "--help" in rest or "--config-dir" in rest or not rest:
        return
    verb = cli.VERBS[name]
    keys = read(verb, rest)
    if not verb.takes_overrides:
        return
    if getattr(keys, "table", None):
        given = dict(word.partition("=")[::2] for word in rest)
        overrides = tuple(o for o in keys.overrides if not o.startswith("scale="))
        table_composes(keys.table, given.get("scale", "laptop"), overrides)
    elif name == "table":
        wanted(keys.overrides)
    elif name == "evaluate":
        config.load_config(overrides_of_evaluation(keys.overrides, n=keys.n, config_name=keys.config_name))
    elif "hydra/sweeper=optuna" not in rest:
        jobs = expand(keys.overrides) if getattr(keys, "multirun", False) else [keys.overrides]
        by_choices = {tuple(o for o in job if not o.startswith("seed=")): job for job in jobs}
        for job in by_choices.values():  # one of those that differ in their seed
            config.load_config(job)


@cache
def table_composes(table: str, scale: str, overrides: tuple[str, ...]) -> None:
    assert schedule.schedule_runs(read_table(table, scale), [1], [f"scale={scale}", *overrides])


def exists(command: Command) -> None:
    """The target, extra, script or program that a command of another kind names."""
    program, *rest = command.words
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        for word in rest:
            name, assigned, _ = word.partition("=")
            known = rf"^{name}\s*\?=" if assigned else rf"^{name}:.*##"
            assert re.search(known, makefile, re.M), word
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for word in rest:
            if named := re.fullmatch(r"\.\[(.+)\]", word):
                assert set(named[1].split(",")) <= extras.keys()
            elif word.startswith("./"):
                assert (ROOT / word / "pyproject.toml").exists(), word
    elif program == "python":
        assert (ROOT / rest[0]).exists(), rest[0]
    elif program == "wandb":
        assert rest[0] in ("login", "sync")
    else:
        assert program in SHELL, f"{command}: tests/docs has no check for {program!r}"


@pytest.mark.parametrize("command", dict.fromkeys(all_commands()), ids=str)
def test_every_command_composes(command: Command):
    words = list(command.words)
    if words[0] == "torchrun":
        words = words[words.index("rlvr") :]
    if Path(words[0]).name != "rlvr":
        exists(command)
    elif command.needs not in OWN_TESTS:
        composes(tuple(words[1:]))


def test_every_block_of_commands_is_seen():
    """A block that is fenced otherwise would be left out of the tests."""
    for page in PAGES:
        text = page.read_text()
        fenced = re.findall(r"^```.*\n(?:rlvr|make|pip|python|wandb|torchrun) ", text, re.M)
        assert len(fenced) <= len(BLOCK.findall(text)), page
        assert text.count("```bash\n") == len(BLOCK.findall(text)), page


RUN = [c for c in dict.fromkeys(all_commands()) if c.needs is None and c.words[0] in ("rlvr", "python")]


@pytest.mark.slow
def test_what_needs_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One folder, one command after the other, as a reader would; only the sizes are smaller."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    shutil.copytree(ROOT / "rlvr/policy/embedded", tmp_path / "my-model")
    for words in dict.fromkeys(command.words for command in RUN):
        print(*words)
        run_small(*words)


def run_small(program: str, verb: str, *rest: str) -> None:
    """A command with less to do; what other tests run and takes minutes is left to them."""
    looks = {"--cfg", "--help", "--info"} & set(rest)
    if program == "python":
        wandb_dashboard.main([*rest])
    elif verb in ("reproduce", "simulate", "bench") and not looks:
        return  # tests/cli, tests/theory and tests/bench
    elif verb == "plan" and "scale=paper" in rest:
        return  # wants files of a hub: tests/plan has them
    elif verb == "train" and "-m" in rest:
        launch(expand(smaller(verb, read(cli.VERBS[verb], rest).overrides))[:2])  # the first two of the sweep
    elif verb in ("train", "evaluate", "profile") and not looks:
        cli.main([verb, *smaller(verb, rest)])
    else:
        cli.main([verb, *rest])


def smaller(verb: str, words: Sequence[str]) -> list[str]:
    """The command's own choices, at the sizes of `SMALL`; what it says of sizes itself stays."""
    given = {word.partition("=")[0] for word in words}
    scale = [] if verb == "evaluate" or "scale=smoke" in words else ["scale=smoke"]
    kept = [word for word in words if not word.startswith("scale=") or word == "scale=smoke"]
    if verb == "evaluate":  # of a model as it is
        given.add("training.steps")
    if "n" in given:
        given |= {"evaluation.samples", "evaluation.k"}
    small = [word for word in SMALL if word.partition("=")[0] not in given]
    if "benchmark" in given:
        small = [word for word in small if not word.startswith("benchmark.")]
    return [*kept, *scale, *small]
