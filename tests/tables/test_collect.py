from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from table_runs import collect, finished

from rlvr.errors import UserError
from rlvr.tables.collect import AVERAGE, differences, measure, tidy
from rlvr.tables.measures import collect_measures
from rlvr.tables.panels import notes
from rlvr.tables.spec import Measures


def everywhere(cs: list[int]) -> dict[str, list[int]]:
    return {benchmark: cs for benchmark in ("easy", "hard", "other")}


def cell(frame: pd.DataFrame, arm: str, benchmark: str, metric: str, group: str = "in_domain") -> pd.Series:
    rows = frame.query("arm == @arm and benchmark == @benchmark and metric == @metric and group == @group")
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture
def frame(spec, run_dirs):
    return collect(spec, finished(run_dirs), iterations=500)


@pytest.mark.parametrize(
    ("arm", "benchmark", "pass_1", "pass_8"),
    [
        ("base", "easy", 1 / 4, 1 / 2),
        ("base", "hard", 1 / 8, 1),
        ("base", AVERAGE, 3 / 16, 3 / 4),
        ("grpo", "easy", (1 / 2 + 3 / 4) / 2, (1 / 2 + 1) / 2),
        ("grpo", "hard", 1 / 8, 1 / 2),
        ("grpo", AVERAGE, (5 / 8 + 1 / 8) / 2, (3 / 4 + 1 / 2) / 2),
        ("f-grpo", AVERAGE, (3 / 4 + 1 / 4) / 2, 1),
    ],
)
def test_values_are_means_over_seeds_and_averages_over_benchmarks(frame, arm, benchmark, pass_1, pass_8):
    assert cell(frame, arm, benchmark, "pass@1").value == pytest.approx(pass_1)
    assert cell(frame, arm, benchmark, "pass@8").value == pytest.approx(pass_8)


def test_every_cell_has_a_row_in_the_order_of_the_table(frame, spec):
    assert list(frame["metric"].unique()) == ["pass@1", "pass@2", "pass@4", "pass@8"]
    assert list(frame["arm"].unique()) == ["base", "grpo", "f-grpo"]
    assert list(frame["benchmark"].unique()) == ["easy", "hard", AVERAGE, "other"]
    assert len(frame) == 3 * 5 * 4
    assert frame.groupby("arm", sort=False)["seeds"].unique().explode().tolist() == [1, 2, 1]


def test_pass_at_k_in_between(frame):
    """4 of 8 correct: pass@2 = 1 - (4 * 3) / (8 * 7)."""
    assert cell(frame, "base", "easy", "pass@2").value == pytest.approx((11 / 14) / 2)


def test_differences_are_to_the_baseline(frame):
    row = cell(frame, "f-grpo", AVERAGE, "pass@1")
    assert row.difference == pytest.approx(1 / 2 - 3 / 8)
    assert row.difference_low <= row.difference <= row.difference_high
    assert row.low <= row.value <= row.high
    assert frame[frame["arm"] == "grpo"][["difference", "p_value"]].isna().all(axis=None)


def test_a_k_above_half_the_samples_is_not_tested(frame):
    focal = frame[frame["arm"] == "f-grpo"].set_index("metric")
    assert focal.loc[["pass@1", "pass@2", "pass@4"], "p_value"].notna().all()
    assert focal.loc["pass@8", ["p_value", "significant"]].isna().all(axis=None)


def test_clear_differences_are_significant_and_equal_arms_are_not(write_run, tmp_path, spec):
    half, none = [16] * 10, [0] * 10
    runs = [
        write_run(tmp_path, "grpo", 0, {"easy": half, "hard": half, "other": half}, n=32),
        write_run(tmp_path, "f-grpo", 0, {"easy": [24] * 10, "hard": half, "other": none}, n=32),
    ]
    frame = collect(spec, finished(runs), iterations=2000)
    better, equal = cell(frame, "f-grpo", "easy", "pass@1"), cell(frame, "f-grpo", "hard", "pass@1")
    worse = cell(frame, "f-grpo", "other", "pass@1", "out_of_domain")
    assert better.significant and better.difference == 0.25
    assert not equal.significant and equal.difference == 0
    assert worse.significant and worse.difference == -0.5
    assert better.p_value == pytest.approx(2 / 2001)


def test_the_interval_of_a_difference_is_paired_by_problem(write_run, tmp_path, spec):
    """Problems differ widely and the arms by the same on each: no spread is left in the difference."""
    runs = [
        write_run(tmp_path, "grpo", 0, everywhere([0, 2, 4, 6])),
        write_run(tmp_path, "f-grpo", 0, everywhere([1, 3, 5, 7])),
    ]
    row = cell(collect(spec, finished(runs), iterations=50), "f-grpo", "easy", "pass@1")
    assert (row.difference_low, row.difference_high) == pytest.approx((1 / 8, 1 / 8))
    assert row.high - row.low > 0.3


def test_two_arms_that_solve_all_are_not_known_to_be_equal(write_run, tmp_path, spec):
    """None of four problems parts them: up to Jeffreys' bound either way."""
    runs = [write_run(tmp_path, arm, 0, everywhere([8, 8, 8, 8])) for arm in ("grpo", "f-grpo")]
    row = cell(collect(spec, finished(runs), iterations=50), "f-grpo", "easy", "pass@1")
    assert row.difference == 0
    assert (row.difference_low, row.difference_high) == pytest.approx((row.low - 1, 1 - row.low))
    assert row.low == pytest.approx(beta.ppf(0.025, 4.5, 0.5))


def test_an_average_over_small_and_large_benchmarks_is_as_sure_as_the_small_ones_let_it_be(
    write_run, tmp_path, spec
):
    """All of 4 and of 12 problems: 4 make half of the average, so 2^2 / (1/4 + 1/12) = 12 of one weight.

    The file of differences has the width that the table has."""
    counts = {"easy": [8] * 4, "hard": [8] * 12, "other": [8]}
    runs = finished(write_run(tmp_path, arm, 0, counts) for arm in ("grpo", "f-grpo"))
    measured = measure(spec, runs, iterations=50)
    row = cell(tidy(spec, measured), "f-grpo", AVERAGE, "pass@1")
    low = beta.ppf(0.025, 12.5, 0.5)
    assert (row.problems, row.low, row.high) == (16, pytest.approx(low), 1)
    assert (row.difference_low, row.difference_high) == pytest.approx((low - 1, 1 - low))
    rows = differences(spec, measured).set_index(["group", "metric"])
    assert rows.loc[("in_domain", "pass@1"), ["low", "high"]].tolist() == pytest.approx([low - 1, 1 - low])


def test_what_did_not_run_stays_empty(tmp_path, spec, run_dirs):
    (run_dirs[0] / "summary.json").unlink()
    (run_dirs[2] / "evaluation" / "hard.parquet").unlink()
    frame = collect(spec, finished(run_dirs), iterations=50)
    assert cell(frame, "base", "easy", "pass@1")[["seeds", "problems"]].tolist() == [0, 0]
    assert np.isnan(cell(frame, "base", "easy", "pass@1").value)
    assert cell(frame, "grpo", "easy", "pass@1").seeds == 2
    for benchmark in ("hard", AVERAGE):  # one of two seeds is no mean over seeds
        assert cell(frame, "grpo", benchmark, "pass@1").seeds == 0
        assert np.isnan(cell(frame, "f-grpo", benchmark, "pass@1").difference)
    assert not np.isnan(cell(frame, "f-grpo", AVERAGE, "pass@1").value)


def test_a_k_above_the_samples_is_empty(tmp_path, spec, run_dirs):
    frame = collect(replace(spec, metrics=["pass@1", "pass@12"]), finished(run_dirs), iterations=50)
    assert list(frame["metric"].unique()) == ["pass@1", "pass@2", "pass@4", "pass@8", "pass@12"]
    assert frame[frame["k"] == 12]["value"].isna().all()
    assert frame[frame["k"] == 8]["value"].notna().all()


def lose(run: Path, *places: int) -> None:
    """Take the verdicts of some samples of easy, of which each problem has eight."""
    easy = run / "evaluation" / "easy.parquet"
    samples = pd.read_parquet(easy)
    samples.loc[list(places), "verdict"] = "timeout"
    samples.to_parquet(easy)


def test_problems_that_lost_samples_are_left_out_for_every_arm(write_run, tmp_path, spec):
    """Five of eight samples of easy/0: too few at every k, also of the arm that solved it with all eight."""
    one = everywhere([8, 0, 4])
    runs = [write_run(tmp_path, "grpo", 0, one), write_run(tmp_path, "f-grpo", 0, one)]
    lose(runs[0], 0, 1, 2, 3, 4)
    frame = collect(spec, finished(runs), iterations=50)
    for arm, unscorable in (("grpo", 5), ("f-grpo", 0)):
        row = cell(frame, arm, "easy", "pass@1")
        assert row[["value", "problems", "left_out", "samples", "unscorable"]].tolist() == [
            0.25, 2, 1, 8, unscorable
        ]  # fmt: skip
        assert cell(frame, arm, "easy", "pass@8").value == 0.5
        assert cell(frame, arm, "hard", "pass@1").value == 0.5


@pytest.mark.parametrize(("losing", "problems"), [(5, 95), (6, 100)])
def test_a_large_k_gives_way_before_more_than_one_problem_in_twenty(
    write_run, tmp_path, spec, losing, problems
):
    """A problem that lost one of its samples has none to spare for pass@8, and all others do."""
    half = {"easy": [8, 0] * 50, "hard": [8], "other": [8]}
    runs = [write_run(tmp_path, arm, 0, half) for arm in ("base", "grpo")]
    lose(runs[1], *(8 * place for place in range(losing)))
    ran = finished(runs)
    frame = collect(spec, ran)
    assert cell(frame, "base", "easy", "pass@1").problems == problems
    assert np.isnan(cell(frame, "base", "easy", "pass@8").value) == (problems == 100)
    said = (
        "Not measured, since more than 5 % of the problems lack as many scorable samples in some run: "
        "Easy pass@8."
    )
    assert (said in notes(spec, frame)) == (problems == 100)

    spec = replace(spec, measures=Measures("base", [0.5]))
    in_domain = collect_measures(spec, ran)[0].query("group == 'in_domain' and arm == 'grpo'")
    area = f"log-k area to {4 if problems == 100 else 8}"
    assert in_domain["measure"].tolist() == ["cover@0.5", area, "lost", "won"]


def test_one_lost_sample_in_each_problem_costs_the_largest_k_alone(write_run, tmp_path, spec):
    """Of 8 samples 7 are left, no problem has 8: before, the whole table was refused."""
    runs = [write_run(tmp_path, arm, 0, everywhere([8, 0, 4])) for arm in ("grpo", "f-grpo")]
    easy = runs[0] / "evaluation" / "easy.parquet"
    samples = pd.read_parquet(easy)
    samples.loc[~samples["problem_id"].duplicated(), "verdict"] = "timeout"
    samples.to_parquet(easy)
    frame = collect(spec, finished(runs), iterations=50)
    assert cell(frame, "f-grpo", "easy", "pass@4")[["value", "problems"]].tolist() == [
        pytest.approx((1 + 0 + 69 / 70) / 3), 3
    ]  # fmt: skip
    assert np.isnan(cell(frame, "f-grpo", "easy", "pass@8").value)
    assert cell(frame, "f-grpo", "hard", "pass@8").value == pytest.approx(2 / 3)


def test_timeouts_beside_enough_samples_cost_nothing(write_run, tmp_path, spec):
    runs = [write_run(tmp_path, "grpo", 0, everywhere([4, 4]), timeouts=3)]
    row = cell(collect(spec, finished(runs), iterations=50), "grpo", "easy", "pass@1")
    assert row[["value", "problems", "left_out", "unscorable"]].tolist() == [0.5, 2, 0, 3]


def test_is_the_same_in_any_order_of_runs(spec, run_dirs, frame):
    again = collect(spec, finished(run_dirs[::-1]), iterations=500)
    pd.testing.assert_frame_equal(frame, again)


def test_refuses_runs_that_do_not_belong(write_run, tmp_path, spec, run_dirs):
    stranger = write_run(tmp_path, "gpro", 0, {"easy": [1]})
    with pytest.raises(UserError, match=r"unknown arm 'gpro'.*did you mean grpo"):
        collect(spec, finished([*run_dirs, stranger]))


def test_refuses_runs_without_a_common_problem(write_run, tmp_path, spec):
    runs = [write_run(tmp_path, arm, 0, {"easy": [1, 2]}) for arm in ("base", "grpo")]
    samples = pd.read_parquet(runs[0] / "evaluation" / "easy.parquet")
    samples["problem_id"] = "elsewhere/" + samples["problem_id"]
    samples.to_parquet(runs[0] / "evaluation" / "easy.parquet")
    with pytest.raises(UserError, match="share no problem of 'easy'"):
        collect(spec, finished(runs))
