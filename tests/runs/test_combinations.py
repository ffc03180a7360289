"""Every combination of the papers' methods trains."""

import itertools
import json
from pathlib import Path

import pytest

from rlvr.config import CONF, load_config, registry
from rlvr.curriculum.lim import Selection, write_selection
from rlvr.files.run_directory import fingerprint_of
from rlvr.problems import load_problems
from rlvr.runs.profile import profile
from rlvr.runs.run import run

TINY = [
    "scale=smoke",
    "tracking=local",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=1",
    "data.size=32",
    "training.steps=2",
    "training.checkpoint_every=2",
    "training.prompts_per_step=8",
    "training.mini_batch_prompts=4",
    "evaluation.validation_samples=1",
    "evaluation.after_training=false",
    "profile.n=4",
]
NEEDED = {"ds_grpo": ["algorithm.differential_smoothing.correct=0.1"]}  # has no published value
CURRICULA = list(registry.methods("curricula"))
APART = ("curriculum", "reward")  # the test's parameter; tests/verification/test_grading.py
CHOICES = {
    "algorithm": sorted(file.stem for file in (CONF / "algorithm").glob("*.yaml")),
    **{group: list(registry.variants(group)) for group in registry.GROUPS if group not in APART},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with a profile and a selection of every other problem by each method."""
    folder = tmp_path_factory.mktemp("combinations")
    config = load_config([*TINY, f"runs={folder}"])
    profile(config)
    ids = [problem.id for problem in load_problems(config.data, held_out=False)]
    for method in (name for name in CURRICULA if "selected" in registry.takes("curricula", name)):
        selection = Selection(method, fingerprint_of(ids), "", {}, 0.0, ids[::2], {})
        write_selection(selection, folder / f"{method}.json")
    return folder


def test_every_method_is_reached_by_an_option():
    """What is registered and no YAML file chooses would be left out of the combinations."""
    names = CHOICES["algorithm"]
    algorithms = [load_config([f"algorithm={name}", *NEEDED.get(name, [])]).algorithm for name in names]
    assert {algorithm.loss for algorithm in algorithms} == set(registry.methods("losses"))
    assert {algorithm.advantage for algorithm in algorithms} == set(registry.methods("advantages"))
    for group in registry.GROUPS:
        assert {file.stem for file in (CONF / group).glob("*.yaml")} == set(registry.variants(group))


@pytest.mark.slow
@pytest.mark.parametrize("curriculum", CURRICULA)
def test_every_combination_trains_two_steps(runs: Path, curriculum: str):
    for choice in itertools.product(*CHOICES.values()):
        overrides = [f"{group}={option}" for group, option in zip(CHOICES, choice, strict=True)]
        overrides += [f"curriculum={curriculum}", f"arm={'-'.join([curriculum, *choice])}", f"runs={runs}"]
        if (runs / f"{curriculum}.json").exists():
            overrides.append(f"curriculum.selection={runs / f'{curriculum}.json'}")
        path = run(load_config([*TINY, *overrides, *NEEDED.get(choice[0], [])]))
        metrics = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in metrics] == [1, 2], overrides
        assert all(line["update/gradient_norm"] > 0 for line in metrics), overrides
        assert max(line["mismatch/log_ratio_max"] for line in metrics) < 1e-4, overrides
