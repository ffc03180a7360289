import json
from dataclasses import replace

import numpy as np
import pytest
from table_runs import collect, finished

from rlvr.tables import figures, sweep_figures, training_figures
from rlvr.tables.spec import Dynamics, Sweep


@pytest.fixture
def swept(spec):
    """The arms of the table (see conftest) as group sizes: GRPO at 2 and 8, F-GRPO at 8."""
    for arm, series, x in zip(spec.arms, ("GRPO", "GRPO", "F-GRPO"), (2, 8, 8), strict=True):
        arm.series, arm.x = series, x
    return replace(spec, sweep=Sweep("group size N", base=2))


def test_a_metric_against_what_is_swept(swept, run_dirs):
    frame = collect(swept, finished(run_dirs), iterations=20)
    figure = sweep_figures.sweep_curves(swept, frame)
    assert len(figure.axes) == 4  # two metrics, two groups
    axes = figure.axes[0]
    assert axes.get_ylabel() == "In-domain avg.\npass@1 (%)" and axes.get_xscale() == "log"
    grpo, focal = (container.lines[0].get_xydata() for container in axes.containers)
    beside = 4**0.01  # two series stand a fiftieth of the axis apart, which goes from 2 to four times 2
    np.testing.assert_allclose(grpo, [[2 / beside, 18.75], [8 / beside, 37.5]])
    np.testing.assert_allclose(focal, [[8 * beside, 50]])
    assert [tick.get_text() for tick in figure.axes[2].get_xticklabels()] == ["2", "8"]


def test_many_series_stay_by_their_tick():
    """Of 31 over 0 and 1, the outermost are 0.15 from their tick: half of 0.3 of the gap."""
    first, middle = (sweep_figures.set_apart(np.array([0.0, 1.0]), p, 31, [0, 1], None) for p in (-15, 0))
    np.testing.assert_allclose(first, [-0.15, 0.85])
    assert middle.tolist() == [0, 1]


def test_a_series_is_a_fan_beside_the_pairs(swept, run_dirs):
    frame = collect(swept, finished(run_dirs), iterations=20)
    fan, pair = figures.pass_at_k_curves(swept, frame).axes[:2]
    assert [line.get_label() for line in fan.get_lines()] == ["Base", "GRPO"]
    assert [line.get_label() for line in pair.get_lines()] == ["GRPO", "F-GRPO"]
    assert len({line.get_color() for line in fan.get_lines()}) == 2


def test_arms_with_one_baseline_share_a_panel(spec, run_dirs):
    spec.arms[0].baseline = "grpo"
    frame = collect(spec, finished(run_dirs), iterations=20)
    in_domain, _ = figures.pass_at_k_curves(spec, frame).axes
    assert [line.get_label() for line in in_domain.get_lines()] == ["GRPO", "Base", "F-GRPO"]
    in_domain, _ = figures.difference_curves(spec, frame).axes
    labels = [line.get_label() for line in in_domain.get_lines()]
    assert [text for text in labels if not text.startswith("_")] == ["Base − GRPO", "F-GRPO − GRPO"]
    assert in_domain.get_title() == ""


def test_the_moving_average_by_hand():
    """.75 x 0 + .25 x 4 = 1; .75 x 1 + .25 x 1 = 1."""
    assert training_figures.moving_average([0, 4, 1], 0.25).tolist() == [0, 1, 1]


@pytest.fixture
def trained(run_dirs):
    """Twelve steps of entropy 1 to 12, and a validation; evaluated at step 11."""
    for offset, run in enumerate(run_dirs[1:]):
        keys = ("reward/mean", "policy/entropy", "completion/length_mean")
        steps = [{"step": step} | dict.fromkeys(keys, step + offset) for step in range(1, 13)]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in steps))
        validation = [{"step": step, "in_domain/pass@1": step / 24} for step in (0, 12)]
        (run / "validation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in validation))
        asked = {"domain": "in_domain", "problems": 2, "samples": 8}
        shares = (("easy", 0.5), ("hard", 0.75))
        results = {name: asked | {"pass@k": {"8": share}} for name, share in shares}
        summary = json.loads((run / "summary.json").read_text())
        summary |= {"evaluation": results, "checkpoint_step": 11}
        (run / "summary.json").write_text(json.dumps(summary))
    return run_dirs


def test_entropy_is_that_of_the_steps_before_the_evaluated_checkpoint(spec, trained):
    points = training_figures.entropy_points(spec, finished(trained))
    assert points["arm"].tolist() == ["f-grpo", "grpo", "grpo"]  # the untrained arm has none
    assert points["entropy"].tolist() == [6.5 + 2, 6.5, 6.5 + 1]  # the mean of 2 to 11
    assert points["pass_at_k"].tolist() == [0.625] * 3
    axes = training_figures.entropy_scatter(spec, points).axes[0]
    assert [line.get_xydata().tolist() for line in axes.get_lines()] == [
        [[6.5, 62.5], [7.5, 62.5]],
        [[8.5, 62.5]],
    ]


def test_dynamics_are_means_over_seeds(spec, trained):
    spec.dynamics = Dynamics(smoothing=1.0)
    reward, *_, validation = training_figures.dynamics_curves(spec, finished(trained)).axes
    of_grpo, of_focal = reward.get_lines()
    np.testing.assert_allclose(of_grpo.get_ydata(), np.arange(1, 13) + 0.5)
    np.testing.assert_allclose(of_focal.get_ydata(), np.arange(1, 13) + 2)
    np.testing.assert_allclose(validation.get_lines()[0].get_xydata(), [[0, 0], [12, 50]])


def test_dynamics_leave_out_a_step_that_a_seed_could_not_judge(spec, trained):
    """In seed 1 of GRPO nothing could be judged in step 5, nor in the first validation."""
    for name, hole in (("metrics", 5), ("validation", 0)):
        file = trained[2] / f"{name}.jsonl"
        steps = [json.loads(line) for line in file.read_text().splitlines()]
        kept = [{"step": hole, "policy/entropy": 9.0} if s["step"] == hole else s for s in steps]
        file.write_text("".join(json.dumps(line) + "\n" for line in kept))
    spec.dynamics = Dynamics(smoothing=1.0)
    reward, *_, validation = training_figures.dynamics_curves(spec, finished(trained)).axes
    of_grpo, of_focal = reward.get_lines()
    np.testing.assert_allclose(of_grpo.get_xdata(), [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12])
    np.testing.assert_allclose(of_grpo.get_ydata(), np.array([1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]) + 0.5)
    assert len(of_focal.get_xdata()) == 12
    np.testing.assert_allclose(validation.get_lines()[0].get_xydata(), [[12, 50]])
