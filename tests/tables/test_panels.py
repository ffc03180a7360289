import numpy as np
import pandas as pd
import pytest
from table_runs import collect, finished

from rlvr.tables import panels
from rlvr.tables.published import published_table


@pytest.fixture
def runs(run_dirs):
    (run_dirs[0] / "summary.json").unlink()
    return finished(run_dirs)


@pytest.fixture
def frame(spec, runs):
    return collect(spec, runs, iterations=200)


def test_a_row_an_arm_and_a_column_a_benchmark_and_average(spec, frame):
    values, differences, *_ = panels.measured_panels(spec, frame)
    assert values.title == "pass@1, %"
    assert values.header == ["", "seeds", "Easy", "hard", "In-domain avg.", "other"]
    assert [row[:2] for row in values.rows] == [["Base", "0"], ["GRPO", "2"], ["F-GRPO", "1"]]
    assert values.rows[0][2:] == ["not run"] * 4
    assert values.rows[1][2].startswith("62.5 ± ")
    assert values.rows[2][4].startswith("50.0 ± ")
    assert [row[0] for row in differences.rows] == ["F-GRPO − GRPO"]
    assert differences.rows[0][1].startswith("+12.5 ± ")
    assert differences.rows[0][4].startswith("−37.5 ± ")


def cell_text(difference: float, significant, value: float = 0.5, seeds: int = 1, low: float = 0.4) -> str:
    return panels.value_text(
        pd.Series(
            {"seeds": seeds, "value": value, "low": low, "high": 0.6, "k": 256}
            | {"difference": difference, "significant": significant}
        )
    )


def test_marks_say_direction_and_only_what_was_found():
    assert cell_text(0.1, True) == "50.0 ± 10.0 †↑"
    assert cell_text(-0.1, True) == "50.0 ± 10.0 †↓"
    assert cell_text(0.1, False) == "50.0 ± 10.0"
    assert cell_text(0.1, pd.NA) == "50.0 ± 10.0"
    assert cell_text(float("nan"), pd.NA, value=float("nan")) == "n < 256"
    assert cell_text(float("nan"), pd.NA, seeds=0) == "not run"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.12345, "+12.3"), (-0.005, "−0.5"), (-0.0004, "+0.0"), (0.0, "+0.0"), (1.0, "+100.0")],
)
def test_percent(share, text):
    assert panels._percent(share, "+") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12 s"), (90, "2 min"), (3600, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_duration(seconds, text):
    assert panels.duration(seconds) == text


def test_facts_say_where_the_numbers_come_from(spec, frame, runs):
    assert panels.facts(spec, frame, runs, "laptop") == {
        "Scale": "laptop",
        "Seeds": "Base not run, GRPO 2, F-GRPO 1",
        "Commit": "0123456789ab",
        "Time": "4 min, summed over 3 runs",
        "Repeat": "`make reproduce-table TABLE=paper/table9 SCALE=laptop SEEDS=0,1`",
    }


def test_notes_say_what_is_missing(write_run, tmp_path, spec):
    one = {benchmark: [8, 0, 4] for benchmark in ("easy", "hard", "other")}
    runs = [
        write_run(tmp_path, "grpo", 0, one, timeouts=2),
        write_run(tmp_path, "f-grpo", 0, one | {"hard": [1, 1]}),
    ]
    notes = "\n".join(panels.notes(spec, collect(spec, finished(runs), iterations=50)))
    assert "Not tested, since it takes 2k samples of each problem: pass@8." in notes
    assert "Problems x samples: Easy (3 x 8), hard (2 x 8), other (3 x 8)." in notes
    assert "with too few scorable samples in some run: hard 1." in notes
    assert "left out of n: GRPO 6." in notes


def test_published_rows_keep_what_tells_them_apart(spec):
    spec.labels = {"avg": "Average"}
    (panel,) = panels.published_panels(spec, published_table("limr.csv", "2-4"))
    assert panel.header == ["run", "samples", "aime24", "math500", "amc23", "Average"]
    assert panel.rows[0] == ["Qwen2.5-Math-7B", "", "16.7", "52.4", "52.5", "40.5"]
    assert panel.rows[4] == ["LIMR", "1389", "32.5", "78.0", "63.8", "58.1"]


def test_what_has_no_interval_has_no_width():
    """Of one problem; it was ± 0.0, as if certain."""
    none = dict.fromkeys(("low", "high", "difference_low", "difference_high"), np.nan)
    cell = pd.Series({"seeds": 1, "k": 1, "value": 0.5, "difference": -0.25, "significant": pd.NA} | none)
    assert (panels.value_text(cell), panels.difference_text(cell)) == ("50.0", "−25.0")
