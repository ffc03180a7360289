"""Methods that remember, and what plug-ins may add, each in training that really runs."""

import importlib
import json
import math
import shutil
from pathlib import Path
from typing import Annotated

import pytest
import torch
from torch import Tensor
from training_groups import RIGHT, WRONG, make_groups

from rlvr.algorithms import focal_weight, success_rate
from rlvr.config import load_config, plugins, registry
from rlvr.config.limits import Limits
from rlvr.config.plugins import Plugin
from rlvr.curriculum.shuffled import ShuffledCurriculum
from rlvr.errors import UserError
from rlvr.runs.run import run
from rlvr.training.batch import make_batch, rollout_columns, signal, token_weights
from rlvr.training.checkpoint import checkpoint_path, load_state
from rlvr.training.methods import Methods


class SmoothedFocal:
    """Focal weight of a success rate averaged over epochs: the mean of a Beta posterior a problem.

    Args:
        gamma: exponent of the failure rate.
        prior: right and wrong answers assumed before any was seen.
    """

    def __init__(
        self,
        *,
        gamma: Annotated[float, Limits(at_least=0)] = 1.0,
        prior: Annotated[float, Limits(above=0)] = 1.0,
    ):
        self.gamma, self.prior = gamma, prior
        self.counts: dict[str, list[float]] = {}  # problem -> right, scored

    def __call__(self, correct: Tensor, problem_ids: list[str]) -> Tensor:
        right, scored = self._with(correct, problem_ids)
        rates = [(right[p] + self.prior) / (scored[p] + 2 * self.prior) for p in problem_ids]
        return focal_weight(torch.tensor(rates), self.gamma)

    def observe(self, correct: Tensor, problem_ids: list[str]) -> None:
        right, scored = self._with(correct, problem_ids)
        self.counts |= {problem: [right[problem], scored[problem]] for problem in problem_ids}

    def _with(self, correct: Tensor, problem_ids: list[str]) -> tuple[dict[str, float], dict[str, float]]:
        right = {problem: self.counts.get(problem, [0.0, 0.0])[0] for problem in problem_ids}
        scored = {problem: self.counts.get(problem, [0.0, 0.0])[1] for problem in problem_ids}
        for problem, value in zip(problem_ids, correct.tolist(), strict=True):
            if not math.isnan(value):
                right[problem] += value
                scored[problem] += 1
        return right, scored

    def state_dict(self) -> dict[str, list[float]]:
        return dict(self.counts)

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        self.counts = dict(state)


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a plug-in for a test, with an option file of no keys for each `group/option`."""

    def install(*options: str, **methods) -> None:
        for option in options:
            file = tmp_path / "conf" / f"{option}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"name: {file.stem}\n")
        plugin = Plugin(conf=tmp_path / "conf" if options else None, **methods)
        plugins.validate(plugin)
        monkeypatch.setattr(plugins, "installed", lambda: {"test": plugin})

    return install


def test_the_posterior_by_hand(plug_in):
    """One of two right, prior 1: rate (1+1)/(2+2), weight 1/2; seen again all wrong: rate (1+1)/(4+2)."""
    plug_in("advantage_scaling/smoothed", advantage_scalings={"smoothed": SmoothedFocal})
    config = load_config(["advantage_scaling=smoothed"])
    methods = Methods(config)
    first, second = make_groups([[RIGHT, WRONG]]), make_groups([[WRONG, WRONG]])

    assert make_batch(first, config, methods).focal_R.tolist() == [0.5, 0.5]
    assert make_batch(first, config, methods).focal_R.tolist() == [0.5, 0.5]  # a call changes nothing
    methods.observe(rollout_columns(first, config))
    torch.testing.assert_close(make_batch(second, config, methods).focal_R, torch.tensor([2 / 3, 2 / 3]))

    resumed = Methods(config)
    resumed.load_state_dict(methods.state_dict())
    batches = [make_batch(second, config, each) for each in (methods, resumed)]
    assert torch.equal(batches[0].focal_R, batches[1].focal_R)


@pytest.mark.parametrize(
    ("overrides", "has_signal"),
    [
        (["algorithm=grpo"], False),
        (["algorithm=psr"], False),
        (["algorithm=pkpo"], False),
        (["algorithm=ds_grpo", "algorithm.differential_smoothing.correct=0.1"], False),
        (["algorithm=reinforce_plus_plus", "algorithm.baseline=group"], False),
        (["algorithm=maxrl", "algorithm.overlong_penalty.buffer=15"], False),
        (["algorithm=nsr"], True),
        (["algorithm=w_reinforce"], True),
        (["algorithm=reinforce_plus_plus"], True),
        (["algorithm=grpo", "algorithm.overlong_penalty.buffer=15"], True),
        (["algorithm=grpo", "algorithm.differential_smoothing.wrong=0.1"], True),
    ],
)
def test_what_gives_a_group_without_a_success_a_signal(overrides: list[str], has_signal: bool):
    """As "What to watch" of docs/reference/weightings.md says; the other group has one of two right."""
    batch = make_batch(make_groups([[WRONG, WRONG], [RIGHT, WRONG]]), load_config(overrides))
    assert len({len(completion.token_ids) for completion in batch.groups[0].completions}) == 2
    assert signal(batch)[0] is has_signal


TINY = [
    *("scale=smoke", "tracking=local", "benchmark=gcd", "benchmark.tasks.gcd.size=2", "data.size=16"),
    *("training.steps=4", "training.checkpoint_every=2"),
    *("training.prompts_per_step=8", "training.mini_batch_prompts=4"),
    *("evaluation.after_training=false", "evaluation.validation_samples=1"),
]


def resumed_and_unbroken(overrides: list[str], folder: Path) -> tuple[Path, Path]:
    """A run of four steps, and its copy that lost all after the second and went on from there."""
    overrides = [*TINY, *overrides, f"runs={folder}"]
    unbroken = run(load_config([*overrides, "arm=unbroken"]))
    broken = folder / "adhoc" / "broken" / "seed-1"
    shutil.copytree(unbroken, broken)
    shutil.rmtree(checkpoint_path(broken, 4))
    for name in ("summary.json", "config.yaml"):
        (broken / name).unlink()
    return run(load_config([*overrides, "arm=broken"])), unbroken


def assert_same_bits(resumed: Path, unbroken: Path) -> dict:
    """The state of the scaling, which both have."""
    states = [
        load_state(checkpoint_path(path, 4))["methods"]["advantage_scaling"] for path in (resumed, unbroken)
    ]
    assert states[0] == states[1]
    for file in ("metrics.jsonl", "checkpoints/step-000004/model.safetensors"):
        assert (resumed / file).read_bytes() == (unbroken / file).read_bytes()
    return states[0]


def test_what_a_scaling_remembers_is_in_the_checkpoint_and_resumes_to_the_same_bits(plug_in, tmp_path: Path):
    """16 problems in batches of 8: steps 3 and 4 ask again what steps 1 and 2 asked."""
    plug_in("advantage_scaling/smoothed", advantage_scalings={"smoothed": SmoothedFocal})
    overrides = ["advantage_scaling=smoothed", "advantage_scaling.gamma=0.5"]
    state = assert_same_bits(*resumed_and_unbroken(overrides, tmp_path))
    assert len(state) == 16
    assert {scored for _, scored in state.values()} == {16.0}  # two groups of 8 a problem


@pytest.mark.slow
@pytest.mark.parametrize("scaling", ["unsolved_only", "focal_posterior", "curverl"])
def test_rlvrs_own_weights_with_a_memory_resume_to_the_same_bits(scaling: str, tmp_path: Path):
    """The last step's mean weight is not that of none: what is remembered plays a part."""
    overrides = [f"advantage_scaling={scaling}", "algorithm.normalize_std=false"]
    resumed, unbroken = resumed_and_unbroken(overrides, tmp_path)
    (state,) = assert_same_bits(resumed, unbroken).values()
    assert len(state) > 0
    last = json.loads((unbroken / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["focal/weight_mean"] != 1


def longest_first(lengths: Tensor, *, weight: float = 0.0) -> Tensor:
    return weight * lengths.float()


def every_other(completions: list[list[int]], *, first: float = 1.0) -> list[Tensor]:
    return [torch.tensor([first, 0.0] * len(ids))[: len(ids)] for ids in completions]


def three_or(*, n: Annotated[int, Limits(at_least=2)] = 3) -> int:
    return n


def backwards(problems, group_size, batch_size: int, *, start: int = 0) -> ShuffledCurriculum:
    return ShuffledCurriculum(problems[::-1], group_size=group_size, batch_size=batch_size, seed=start)


def centred(rewards: Tensor, group_index: Tensor, *, strength: float = 1.0) -> Tensor:
    return strength * (rewards - rewards.nanmean()).nan_to_num(0.0)


def test_a_plug_in_may_add_to_every_kind_and_all_of_it_trains(plug_in, tmp_path: Path):
    plug_in(
        *("credit/every_other", "group_size/three_or", "curriculum/backwards"),
        advantages={"centred": centred},
        rewards={"longest_first": longest_first},
        credits={"every_other": every_other},
        group_sizes={"three_or": three_or},
        curricula={"backwards": backwards},
    )
    config = load_config(
        [
            *TINY,
            *("credit=every_other", "credit.first=0.5", "group_size=three_or", "group_size.n=4"),
            *("curriculum=backwards", "curriculum.start=3", "algorithm.advantage=centred"),
            *("algorithm.strength=2", "algorithm.longest_first.weight=0.125", f"runs={tmp_path}", "arm=all"),
            *("training.steps=1", "training.checkpoint_every=1"),
        ]
    )
    groups = make_groups([[RIGHT, WRONG]])
    lengths = [len(completion.token_ids) for completion in groups[0].completions]
    batch = make_batch(groups, config)
    rewards = torch.tensor([1 + 0.125 * lengths[0], 0.125 * lengths[1]])
    torch.testing.assert_close(batch.reward_R, rewards)
    torch.testing.assert_close(batch.advantage_R, 2 * (rewards - rewards.mean()))
    assert token_weights(groups[0].completions, config.credit)[0][:2].tolist() == [0.5, 0.0][: lengths[0]]

    path = run(config)
    (metrics,) = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert metrics["update/gradient_norm"] > 0
    (record,) = [json.loads(line) for line in (path / "rollouts.jsonl").read_text().splitlines()]
    assert {len(group["completions"]) for group in record["groups"]} == {4}
    with pytest.raises(UserError, match=r"group_size.n=1: accepted is 2 or more; the nearest valid .* is 2"):
        load_config(["group_size=three_or", "group_size.n=1"])


def test_a_wrong_result_names_the_method(plug_in):
    plug_in(advantages={"one": lambda rewards: 1.0})
    config = load_config(["algorithm.advantage=one"])
    with pytest.raises(UserError, match=r"the method of algorithm.advantage returned float: accepted is"):
        make_batch(make_groups([[RIGHT, WRONG]]), config)


def test_a_weight_that_is_no_number_is_refused(plug_in):
    """log(1 + 1/p) at p = 0 is infinite, and the advantage there is 0: their product would be NaN."""

    def rare(correct: Tensor, group_index: Tensor) -> Tensor:
        return (1 + 1 / success_rate(correct, group_index)).log()

    plug_in("advantage_scaling/rare", advantage_scalings={"rare": rare})
    config = load_config(["advantage_scaling=rare"])
    weight_R = make_batch(make_groups([[RIGHT, WRONG]]), config).focal_R
    torch.testing.assert_close(weight_R, torch.tensor([math.log(3)] * 2))
    with pytest.raises(UserError, match=r"advantage_scaling=rare gave inf .* 0 of 2 right: accepted"):
        make_batch(make_groups([[RIGHT, WRONG], [WRONG, WRONG]]), config)


def test_a_key_with_two_meanings_is_said(plug_in):
    def clashing(rewards: Tensor, *, clip_low: float = 1.0) -> Tensor:
        return rewards

    plug_in(advantages={"clashing": clashing})
    with pytest.raises(UserError, match=r"algorithm.clip_low has two meanings"):
        load_config(["algorithm.advantage=clashing"])


@pytest.mark.parametrize("kind", registry.KINDS)
def test_signatures_read_from_the_source_are_those_of_the_functions(kind: str):
    """They are read without importing, so that composing needs no torch."""
    home = registry.KINDS[kind]
    module = importlib.import_module("rlvr." + home.module.removesuffix(".py").replace("/", "."))
    functions = getattr(module, home.table)
    signatures = registry.methods(kind)
    assert list(signatures) == list(functions)
    for option, function in functions.items():
        read = signatures[option]
        assert registry.positional_parameters(read) == registry.positional_parameters(function)
        assert registry.keyword_parameters(read) == registry.keyword_parameters(function)
        described = [(name, hint, item.metadata) for name, hint, item in registry.keys_of(read)]
        assert described == [(name, hint, item.metadata) for name, hint, item in registry.keys_of(function)]
        if kind != "losses":
            registry.validate(kind, option, function)
