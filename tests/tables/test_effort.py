"""Effort from run directories whose curves are known."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from table_runs import finished, page_of

from rlvr.errors import UserError
from rlvr.tables.effort import (
    OWN_BEST,
    cost_panel,
    cost_to_reach,
    costs,
    curves,
    saving_panels,
    savings,
    validation_curves,
)
from rlvr.tables.spec import Effort, TableSpec, check_spec
from rlvr.tables.write import write_table

EFFORT = Effort(units=["flops", "steps"], shares=[0.5, 1.0], claimed={"flops": {"f-grpo": "2"}})


def add_training(
    directory: Path, rewards: list[float], flops: float, *, profiling: float = 0.0, every: int = 2
) -> None:
    """`flops` and 3 seconds a step, a validation every two steps; a profile takes its FLOPs and 5 seconds."""
    steps = every * (len(rewards) - 1)
    files = {
        "metrics": [{"step": step, "compute/flops": flops} for step in range(1, steps + 1)],
        "timing": [{"step": step, "seconds/step": 3.0} for step in range(1, steps + 1)],
        "validation": [{"step": every * i, "in_domain/pass@1": reward} for i, reward in enumerate(rewards)],
    }
    for name, lines in files.items():
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = json.loads((directory / "summary.json").read_text())
    parts = {"generated": flops * steps / 4, "trained": flops * steps * 3 / 4, "profiling": profiling}
    summary |= {"trained_steps": steps, "flops": parts | {"selection": 0.0}}
    summary["seconds"] |= {"profiling": 5.0} if profiling else {}
    (directory / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def trained(run_dirs: list[Path], write_run, tmp_path: Path) -> list[Path]:
    """Base; GRPO twice, 10 FLOPs a step; F-GRPO twice, 4 FLOPs a step and a profile of 12."""
    base, *grpo, f_grpo = run_dirs
    add_training(base, [0.2], 0.0)
    (base / "validation.jsonl").unlink()
    for directory in grpo:
        add_training(directory, [0.2, 0.4, 0.6, 0.5], 10.0)
    second = write_run(tmp_path, "f-grpo", 1, {"easy": [8, 4], "hard": [2, 2], "other": [0, 0]})
    add_training(f_grpo, [0.2, 0.4, 0.5, 0.7], 4.0, profiling=12.0)
    add_training(second, [0.2, 0.6, 0.5, 0.5], 4.0, profiling=12.0)
    return [*run_dirs, second]


@pytest.fixture
def spec_with_effort(spec: TableSpec) -> TableSpec:
    return replace(spec, effort=EFFORT)


def test_a_cost_to_reach_by_hand():
    """.2 at 10, .4 at 20, back to .3 at 30, .6 at 50; a target on the way is interpolated."""
    curve = [10.0, 20.0, 30.0, 50.0], [0.2, 0.4, 0.3, 0.6]
    reached = [cost_to_reach(target, *curve) for target in (0.1, 0.2, 0.35, 0.4, 0.5, 0.6)]
    assert reached == pytest.approx([10, 10, 17.5, 20, 30 + 20 * 2 / 3, 50])
    assert cost_to_reach(0.7, *curve) == math.inf


def test_curves_and_costs_have_what_was_spent_before_training(trained: list[Path]):
    runs = finished(trained)
    first = curves(runs).query("arm == 'f-grpo' and seed == 0")
    assert first["steps"].tolist() == [0, 2, 4, 6]
    assert first["flops"].tolist() == [12, 20, 28, 36]
    assert first["seconds"].tolist() == [5, 11, 17, 23]
    spent = costs(runs)
    assert set(spent["arm"]) == {"grpo", "f-grpo"}, "the base policy was not trained"
    f_grpo = spent.query("arm == 'f-grpo' and seed == 0").iloc[0]
    assert f_grpo[["generated", "trained", "profiling", "flops"]].tolist() == [6, 18, 12, 36]
    assert f_grpo["seconds"] == 60 + 5


def test_savings_by_hand(trained: list[Path], spec_with_effort: TableSpec):
    """GRPO gains .4 at its best. Half of it: 20 FLOPs against 20 and 12 + 4 in F-GRPO's two seeds.

    All of it: 40 against 28 + 8 / 2 and 20. Own best: 40 against 36 and 20, or step 4 against 6 and 2.
    """
    found = savings(spec_with_effort, curves(finished(trained))).set_index(["unit", "target"])
    assert (found["seeds"] == "0 1").all() and (found["reached"] == 2).all()
    expected = {
        ("flops", 0.5): (20 / 20, 20 / 16),
        ("flops", 1.0): (40 / 32, 40 / 20),
        ("flops", OWN_BEST): (40 / 36, 40 / 20),
        ("steps", 0.5): (2 / 2, 2 / 1),
        ("steps", 1.0): (4 / 5, 4 / 2),
        ("steps", OWN_BEST): (4 / 6, 4 / 2),
    }
    for place, (one, two) in expected.items():
        assert found.loc[place, "saving"] == pytest.approx(math.sqrt(one * two))
        # two values: standard error |ln one - ln two| / 2, and t = 12.706 with one degree of freedom
        half_width = 12.7062 * abs(math.log(one / two)) / 2
        bounds = found.loc[place, ["low", "high"]].astype(float)
        assert np.log(bounds.tolist()) == pytest.approx(
            [math.log(one * two) / 2 - half_width, math.log(one * two) / 2 + half_width], rel=1e-4
        )


def test_all_of_the_gain_is_no_more_than_the_gain(trained: list[Path], spec_with_effort: TableSpec):
    """.31927 + (.834375 - .31927) is rounded to more than .834375, which the baseline then never reached."""
    low, high = 0.31927083333333334, 0.834375
    assert low + 1.0 * (high - low) > high
    for directory in trained[1:]:
        add_training(directory, [low, high, high, high], 4.0, profiling=0.0)
    found = savings(spec_with_effort, curves(finished(trained))).set_index(["unit", "target"])
    assert found.loc[("steps", 1.0), ["reached", "saving"]].tolist() == [2, 1.0]


def test_what_other_trainers_would_spend_is_a_unit_of_its_own(
    trained: list[Path], spec_with_effort: TableSpec
):
    """GRPO would spend 30 a step in place of 10, F-GRPO 5 in place of 4: half the gain at 60 against
    12 + 10 and 12 + 5. Without a line of it, as in older runs, the unit is left out."""
    spec = replace(spec_with_effort, effort=Effort(units=["flops", "flops_undropped"], shares=[0.5]))
    assert set(savings(spec, curves(finished(trained)))["unit"]) == {"flops"}
    for directory in trained[1:]:
        file = directory / "metrics.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        factor = {10.0: 30.0, 4.0: 5.0}
        lines = [line | {"compute/flops_undropped": factor[line["compute/flops"]]} for line in lines]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = savings(spec, curves(finished(trained))).set_index(["unit", "target"])
    assert found.loc[("flops_undropped", 0.5), "saving"] == pytest.approx(math.sqrt(60 / 22 * 60 / 17))
    assert found.loc[("flops", 0.5), "saving"] == pytest.approx(math.sqrt(20 / 20 * 20 / 16))


def test_an_arm_that_never_gets_there_has_no_saving(trained: list[Path], spec_with_effort: TableSpec):
    add_training(trained[3], [0.2, 0.4, 0.5, 0.5], 4.0, profiling=12.0)
    found = savings(spec_with_effort, curves(finished(trained)))
    all_of_it = found[(found["unit"] == "flops") & (found["target"] == 1.0)].iloc[0]
    assert math.isnan(all_of_it["saving"]) and all_of_it["reached"] == 1
    flops, _ = saving_panels(spec_with_effort, found)
    assert flops.header == ["", "50%", "100%", "own best", "claimed"]
    assert flops.rows[0][0] == "F-GRPO vs GRPO"
    assert flops.rows[0][1].startswith("1.12 (")
    assert flops.rows[0][2] == "reached in 1 of 2 seeds"
    assert flops.rows[0][-1] == "2"


def test_an_arm_that_was_there_before_it_trained_has_no_saving(
    trained: list[Path], spec_with_effort: TableSpec
):
    """It has spent nothing: there is no number of times that it spends less."""
    add_training(trained[3], [0.9, 0.4, 0.5, 0.6], 4.0)
    found = savings(spec_with_effort, curves(finished(trained)))
    half = found[(found["unit"] == "steps") & (found["target"] == 0.5)].iloc[0]
    assert math.isnan(half["saving"]) and half["reached"] == 1


def test_one_seed_has_no_interval(trained: list[Path], spec_with_effort: TableSpec):
    found = savings(spec_with_effort, curves(finished(trained[:-1])))
    _, steps = saving_panels(spec_with_effort, found)
    assert steps.rows == [["F-GRPO vs GRPO", "1.00", "0.80", "0.67"]]


def test_costs_are_means_over_seeds(trained: list[Path], spec_with_effort: TableSpec):
    panel = cost_panel(spec_with_effort, costs(finished(trained)))
    assert panel.header[2:7] == ["FLOPs", "of sampling", "of updates", "of profile", "of selection"]
    assert panel.rows == [
        ["GRPO", "2", "6.00e+01", "1.50e+01", "4.50e+01", "0", "0", "1 min"],
        ["F-GRPO", "2", "3.60e+01", "6.00e+00", "1.80e+01", "1.20e+01", "0", "1 min"],
    ]


def test_curves_are_drawn_by_step_and_by_flops(trained: list[Path], spec_with_effort: TableSpec):
    by_step, by_flops = validation_curves(spec_with_effort, curves(finished(trained))).axes
    (line,) = [line for line in by_step.get_lines() if line.get_label() == "F-GRPO"]
    np.testing.assert_allclose(line.get_xydata(), [[0, 20], [2, 50], [4, 50], [6, 60]])
    (line,) = [line for line in by_flops.get_lines() if line.get_label() == "GRPO"]
    np.testing.assert_allclose(line.get_xydata(), [[0, 20], [20, 40], [40, 60], [60, 50]])


def test_a_checkpoint_that_a_seed_lacks_is_on_no_curve(trained: list[Path], spec_with_effort: TableSpec):
    file = trained[-1] / "validation.jsonl"
    one, two, *rest = file.read_text().splitlines()
    file.write_text("\n".join([one, two.replace("in_domain/pass@1", "in_domain/pass@2"), *rest, ""]))
    for axes in validation_curves(spec_with_effort, curves(finished(trained))).axes:
        (line,) = [line for line in axes.get_lines() if line.get_label() == "F-GRPO"]
        np.testing.assert_allclose(np.asarray(line.get_ydata()), [20, 50, 60])


def test_the_page_has_it_and_the_numbers_are_written(
    trained: list[Path], spec_with_effort: TableSpec, tmp_path: Path
):
    written = write_table(page_of(spec_with_effort, trained), tmp_path / "results")
    page = written[0].read_text()
    assert "**Cost of training one policy**" in page
    assert "(../figures/paper-table9-laptop-validation.png)" in page
    names = [path.stem.removeprefix("paper-table9-laptop") for path in written if path.suffix == ".csv"]
    assert names == ["", "-differences", "-runs", "-training", "-savings"]
    assert len(pd.read_csv(written[4])) == 16


@pytest.mark.parametrize(
    ("effort", "sentence"),
    [
        (Effort(["flop"], [1]), "did you mean flops"),
        (Effort([], [0]), "holds 0"),
        (Effort(["flops"], [1], {"flop": {"f-grpo": "2"}}), "did you mean flops"),
        (Effort(["flops"], [1], {"flops": {"fgrpo": "2"}}), "did you mean f-grpo"),
    ],
)
def test_a_wrong_effort_is_refused(spec: TableSpec, effort: Effort, sentence: str):
    with pytest.raises(UserError, match=sentence):
        check_spec(replace(spec, effort=effort))
