"""What a terminal shows of a table."""

from pathlib import Path

import pytest
from rich.console import Console
from table_runs import collect, finished

from rlvr.tables.terminal import averages_grid, folded


def lines(grid) -> list[str]:
    console = Console(width=80)
    with console.capture() as shown:
        console.print(grid)
    return [" ".join(line.split()) for line in shown.get().splitlines()]


def test_averages_of_every_arm_and_under_it_what_it_adds(spec, run_dirs: list[Path]):
    frame = collect(spec, finished(run_dirs), iterations=20)
    cells = frame[(frame["benchmark"] == "average") & (frame["metric"] == spec.metrics[0])]
    shown = lines(averages_grid(spec, frame, width=80))
    for arm in spec.arms:
        cell = cells[(cells["arm"] == arm.name) & (cells["group"] == next(iter(spec.columns)))].iloc[0]
        (line,) = (line for line in shown if line.startswith(f"{arm.label} {cell.seeds} "))
        assert f" {100 * cell.value:.1f}±" in line
        if arm.baseline:
            below = shown[shown.index(line) + 1]
            assert below.startswith(f"− {spec.arm_labels[arm.baseline]} ")
            assert f"{100 * cell.difference:+.1f}±".replace("-", "−") in below


@pytest.mark.parametrize("metrics", [["pass@1", "pass@2", "pass@4", "pass@8"]])
def test_a_narrow_terminal_shows_the_first_and_the_last_metric(spec, run_dirs, metrics: list[str]):
    spec.metrics = metrics
    frame = collect(spec, finished(run_dirs), iterations=20)
    wide, narrow = (" ".join(lines(averages_grid(spec, frame, width))) for width in (200, 80))
    assert [name in wide for name in metrics] == [True] * 4
    assert [name in narrow for name in metrics] == [True, False, False, True]


def test_files_with_one_ending_are_one_line():
    files = [Path("t/a.md"), Path("t/a.csv"), Path("f/a-x.png"), Path("t/a-runs.csv"), Path("f/a-y.png")]
    assert folded(files) == ["t/a.md", "t/a*.csv", "f/a-*.png"]
