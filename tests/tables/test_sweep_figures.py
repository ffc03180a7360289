"""The figures of group sizes and focal exponents, from the files of runs alone."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from table_runs import collect, finished, page_of

from rlvr.config.strict import strictly
from rlvr.errors import UserError
from rlvr.tables import sweep_figures, training_figures
from rlvr.tables.spec import TableSpec, check_spec
from rlvr.tables.write import write_table

ARMS = [
    {"name": "base", "label": "Base"},
    {"name": "n4", "group_size": 4, "gamma": 0},
    {"name": "n16", "group_size": 16, "gamma": 0},
    {"name": "f-n4", "group_size": 4, "gamma": 0.5, "baseline": "n4"},
    {"name": "f-n16", "group_size": 16, "gamma": 0.5, "baseline": "n16"},
]
CORRECT = {"base": [1, 1], "n4": [4, 0], "n16": [8, 0], "f-n4": [4, 4], "f-n16": [8, 8]}  # of 8 samples


@pytest.fixture
def table() -> TableSpec:
    content = {
        "name": "paper/table9",
        "title": "A sweep",
        "metrics": ["pass@1", "pass@8"],
        "columns": {"in_domain": ["mazes"]},
        "figures": ["group-size", "training"],
        "arms": ARMS,
    }
    return strictly(TableSpec, content, "paper/table9.yaml")


@pytest.fixture
def sweep_runs(tmp_path: Path, write_run) -> list[Path]:
    """Rewards of step s are s / 100, plus 0.1 for seed 1; pass@8 at the only checkpoint is 0.5 in all."""
    paths = []
    for arm in ARMS:
        for seed in (0, 1):
            path = write_run(tmp_path, arm["name"], seed, {"mazes": CORRECT[arm["name"]]})
            steps = [] if arm["name"] == "base" else range(1, 81)
            lines = [{"step": step, "reward/mean": step / 100 + seed / 10} for step in steps]
            (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            checkpoint = {"step": 80, "in_domain/pass@1": 0.25, "in_domain/pass@8": 0.5, "mazes": 0.25}
            (path / "validation.jsonl").write_text(json.dumps(checkpoint) + "\n")
            paths.append(path)
    return paths


def lines(axes) -> dict[str, np.ndarray]:
    return {line.get_label(): np.asarray(line.get_xydata()) for line in axes.get_lines()}


def test_surprise_against_the_group_size_by_hand(table: TableSpec, sweep_runs: list[Path]):
    frame = collect(table, finished(sweep_runs), iterations=50)
    one, eight = sweep_figures.group_size_curves(table, frame).axes
    drawn = lines(one)
    # pass@1 of n4 is the mean of 4/8 and 0, of n16 of 1 and 0
    np.testing.assert_allclose(drawn["no focal scaling"], [[4, math.log(4)], [16, math.log(2)]])
    np.testing.assert_allclose(drawn["γ = 0.5"], [[4, math.log(2)], [16, 0]], atol=1e-12)
    assert drawn["Base"][0, 1] == pytest.approx(math.log(8))
    np.testing.assert_allclose(lines(eight)["no focal scaling"][:, 1], [math.log(2)] * 2)
    assert [axes.get_title() for axes in (one, eight)] == ["pass@1", "pass@8"]


def test_the_way_of_training_from_the_files_of_runs(table: TableSpec, sweep_runs: list[Path]):
    curves = training_figures.training_frame(finished(sweep_runs))
    rewards = curves.query("arm == 'n4' and seed == 0 and quantity == 'training reward'")
    assert rewards["step"].tolist() == list(range(2, 81, 2))  # 80 steps, 40 points
    assert rewards["value"].tolist()[:2] == pytest.approx([0.015, 0.035])  # means of steps 1 and 2, 3 and 4
    axes = training_figures.training_curves(table, curves).axes
    assert [a.get_title() for a in axes[:2]] == ["N = 4", "N = 16"]
    assert [axes[row].get_ylabel() for row in (0, 2, 4)] == [
        "training reward (%)",
        "pass@1 (%)",
        "pass@8 (%)",
    ]
    reward = lines(axes[0])["γ = 0.5"]
    assert reward[0] == pytest.approx([2, 1.5 + 5])  # the mean of two seeds, ten points apart
    assert lines(axes[4])["no focal scaling"].tolist() == [[80, 50]]


def test_the_way_of_training_is_drawn_at_the_steps_that_all_seeds_have(
    table: TableSpec, sweep_runs: list[Path]
):
    """Of n4 seed 0 alone could be judged at the checkpoint of step 40, and in training at steps 1 and 2."""
    checkpoint = {"step": 40, "in_domain/pass@1": 0.75, "in_domain/pass@8": 0.75}
    file = sweep_runs[2] / "validation.jsonl"
    file.write_text(json.dumps(checkpoint) + "\n" + file.read_text())
    file = sweep_runs[3] / "metrics.jsonl"
    file.write_text(file.read_text().replace(', "reward/mean"', ', "other"', 2))
    axes = training_figures.training_curves(table, training_figures.training_frame(finished(sweep_runs))).axes
    drawn = [lines(axes[row])["no focal scaling"] for row in (0, 2, 4)]
    assert [line.tolist() for line in drawn[1:]] == [[[80, 25]], [[80, 50]]]
    assert drawn[0][0] == pytest.approx([4, 3.5 + 5])


def test_steps_of_which_nothing_could_be_judged_move_no_other_one(table: TableSpec, sweep_runs: list[Path]):
    file = sweep_runs[2] / "metrics.jsonl"  # of n4, seed 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for step in (1, 3, 4):
        del lines[step - 1]["reward/mean"]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    curves = training_figures.training_frame(finished(sweep_runs))
    rewards = curves.query("arm == 'n4' and seed == 0 and quantity == 'training reward'")
    assert rewards["step"].tolist() == [2, *range(6, 81, 2)]
    assert rewards["value"].tolist()[:2] == pytest.approx([0.02, 0.055])  # step 2; the mean of 5 and 6


def test_a_table_has_the_figures_it_asks_for(table: TableSpec, sweep_runs: list[Path], tmp_path: Path):
    written = write_table(page_of(table, sweep_runs), tmp_path / "results")
    names = [path.name.removeprefix("paper-table9-laptop-") for path in written if path.suffix != ".md"]
    assert {"group-size.png", "training.svg", "training-curves.csv"} <= set(names)
    assert not {"pass-at-k.png", "difference.png"} & set(names)


def test_a_figure_that_there_is_not(table: TableSpec):
    with pytest.raises(UserError, match=r"'group_size'.*did you mean group-size\?"):
        check_spec(replace(table, figures=["group_size"]))
