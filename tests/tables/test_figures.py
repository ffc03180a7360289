import numpy as np
import pandas as pd
import pytest
from table_runs import collect, finished

from rlvr.tables import figures
from rlvr.tables.spec import Arm
from rlvr.tables.write import encode


@pytest.fixture
def frame(spec, run_dirs):
    return collect(spec, finished(run_dirs[1:]), iterations=200)


def curve(axes, name: str) -> np.ndarray:
    (line,) = [line for line in axes.get_lines() if line.get_label() == name]
    return line.get_xydata()


def test_curves_are_the_averages_in_percent(spec, frame):
    in_domain, out_of_domain = figures.pass_at_k_curves(spec, frame).axes
    assert in_domain.get_ylabel() == "In-domain avg. pass@k (%)"
    assert curve(in_domain, "GRPO")[[0, -1]].tolist() == [[1, 37.5], [8, 62.5]]
    assert curve(out_of_domain, "F-GRPO")[:, 1].tolist() == [0, 0, 0, 0]
    assert np.isnan(curve(in_domain, "Base (not run)")[:, 1]).all()
    assert len(in_domain.collections) == 2  # a band for the arm and for its baseline
    assert in_domain.get_xscale() == "log" and in_domain.xaxis.get_transform().base == 2


def test_a_table_without_pairs_is_one_column_of_curves(spec, frame):
    spec.arms[2].baseline = None
    axes = figures.pass_at_k_curves(spec, frame).axes
    assert len(axes) == 2
    colours = {line.get_color() for line in axes[0].get_lines()}
    assert len(colours) == 3


def test_many_arms_differ_in_colour_and_stand_beside_the_panel(spec, frame):
    names = [f"arm {number}" for number in range(7)]
    spec.arms = [Arm(name, label=f"{name}, with a label that a panel has no room for") for name in names]
    one = frame[frame["arm"] == "grpo"]
    figure = figures.pass_at_k_curves(
        spec, pd.concat([one.assign(arm=name) for name in names], ignore_index=True)
    )
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == 7
    (legend,) = figure.legends
    first, *_ = legend.get_texts()
    assert first.get_text() == "arm 0, with a label that a panel has\nno room for"


def test_differences_in_points_filled_where_significant(spec, frame):
    significant = frame["arm"].eq("f-grpo") & frame["k"].eq(2)
    frame.loc[frame["p_value"].notna(), "significant"] = False
    frame.loc[significant, "significant"] = True
    in_domain, _ = figures.difference_curves(spec, frame).axes
    assert in_domain.get_title() == "F-GRPO − GRPO"
    hollow, filled = [line for line in in_domain.get_lines() if line.get_marker() == "o"]
    assert filled.get_xdata().tolist() == [2]
    assert hollow.get_xdata().tolist() == [1, 4, 8]
    assert hollow.get_ydata()[0] == pytest.approx(12.5)
    assert hollow.get_markerfacecolor() == "white"


def test_a_difference_to_an_arm_that_did_not_run_says_so(spec, run_dirs):
    frame = collect(spec, finished(run_dirs[:3]), iterations=50)
    assert [
        text.get_text() for axes in figures.difference_curves(spec, frame).axes for text in axes.texts
    ] == ["not run"] * 2


@pytest.mark.parametrize(("file_format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_same_numbers_give_the_same_bytes(spec, frame, file_format, start):
    first, second = (encode(figures.pass_at_k_curves(spec, frame), file_format) for _ in range(2))
    assert first == second
    assert first.startswith(start)
