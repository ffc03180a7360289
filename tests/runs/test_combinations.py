"""Every method trains, in company that changes; all compose."""

import itertools
import json
from pathlib import Path

import pytest

from rlvr.config import CONF, load_config, registry
from rlvr.config.strict import load_yaml
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
    files = [load_yaml(file) for file in (CONF / "algorithm").glob("*.yaml")]
    assert {file["loss"] for file in files} == set(registry.methods("losses"))
    assert {file.get("advantage", "group_relative") for file in files} == set(registry.methods("advantages"))
    for group in registry.GROUPS:
        assert {file.stem for file in (CONF / group).glob("*.yaml")} == set(registry.variants(group))


# A run for each algorithm; the options of the other groups take turns, in pairs that are not always the same
TURNS = [
    {
        "algorithm": algorithm,
        **{
            group: CHOICES[group][(i // 2**shift) % len(CHOICES[group])]
            for shift, group in enumerate(group for group in CHOICES if group != "algorithm")
        },
        "curriculum": CURRICULA[i % len(CURRICULA)],
    }
    for i, algorithm in enumerate(CHOICES["algorithm"])
]


def test_the_turns_reach_every_option():
    for group, options in (CHOICES | {"curriculum": CURRICULA}).items():
        assert {turn[group] for turn in TURNS} == set(options)


def test_every_estimator_and_scaling_goes_with_every_clipped_loss():
    """The members of the family compose: keys of estimators, losses and scalings don't collide."""
    for loss, advantage in itertools.product(registry.methods("losses"), registry.methods("advantages")):
        algorithm = registry.algorithm_schema(loss, advantage)()
        for method in (registry.methods("losses")[loss], registry.methods("advantages")[advantage]):
            for key, default in registry.keyword_parameters(method).items():
                assert getattr(algorithm, key) == default
    for algorithm, scaling in (("dapo", "curverl"), ("cispo", "unsolved_only"), ("gspo", "rare_answer")):
        estimator = ["algorithm.advantage=pass_at_k", "algorithm.k=2", "credit=process_lambda"]
        config = load_config([f"algorithm={algorithm}", f"advantage_scaling={scaling}", *estimator])
        assert (config.algorithm.loss, config.algorithm.k) == (algorithm.replace("dapo", "grpo"), 2)
        assert config.advantage_scaling.name == scaling


@pytest.mark.slow
@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn["algorithm"])
def test_every_member_trains_two_steps(runs: Path, turn: dict[str, str]):
    overrides = [f"{group}={option}" for group, option in turn.items()]
    overrides += [f"arm={'-'.join(turn.values())}", f"runs={runs}", *NEEDED.get(turn["algorithm"], [])]
    if (runs / f"{turn['curriculum']}.json").exists():
        overrides.append(f"curriculum.selection={runs / turn['curriculum']}.json")
    path = run(load_config([*TINY, *overrides]))
    metrics = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in metrics] == [1, 2]
    assert all(line["update/gradient_norm"] > 0 for line in metrics)
    assert max(line["mismatch/log_ratio_max"] for line in metrics) < 1e-4


@pytest.mark.slow
def test_every_algorithm_trains_an_adapter(runs: Path):
    for name in CHOICES["algorithm"]:
        overrides = ["adapter=lora", f"algorithm={name}", f"arm=lora-{name}", f"runs={runs}"]
        path = run(load_config([*TINY, *overrides, *NEEDED.get(name, [])]))
        metrics = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        assert all(line["update/gradient_norm"] > 0 for line in metrics), name
        assert max(line["mismatch/log_ratio_max"] for line in metrics) < 1e-4, name
