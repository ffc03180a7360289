import pandas as pd
import pytest

from rlvr.tables import render
from rlvr.tables.collect import collect
from rlvr.tables.published import published_table
from rlvr.tables.runs import finished_runs


@pytest.fixture
def runs(run_dirs):
    (run_dirs[0] / "summary.json").unlink()
    return finished_runs(run_dirs)


@pytest.fixture
def frame(spec, runs):
    return collect(spec, runs, iterations=200)


def test_a_row_an_arm_and_a_column_a_benchmark_and_average(spec, frame):
    values, differences, *_ = render.measured_panels(spec, frame)
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
    return render._value(
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
    assert render._percent(share, "+") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12 s"), (90, "2 min"), (3600, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_duration(seconds, text):
    assert render.duration(seconds) == text


def test_facts_say_where_the_numbers_come_from(spec, frame, runs):
    assert render.facts(spec, frame, runs, "laptop") == {
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
    notes = "\n".join(render.notes(spec, collect(spec, finished_runs(runs), iterations=50)))
    assert "Not tested, since it takes 2k samples of each problem: pass@8." in notes
    assert "Problems x samples: Easy (3 x 8), hard (2 x 8), other (3 x 8)." in notes
    assert "with too few scorable samples in some run: hard 1." in notes
    assert "left out of n: GRPO 6." in notes


def test_markdown_lines_up_and_keeps_published_apart(spec, frame, runs):
    published = published_table("fgrpo.csv", "1", "Qwen2.5-7B")
    spec = spec | {"published": {"note": "another policy"}}
    panels, notes = render.measured_panels(spec, frame), render.notes(spec, frame)
    facts = render.facts(spec, frame, runs, "laptop")
    page = render.markdown(spec, facts, panels, notes, {"../figures/x.png": "A figure."}, published)
    measured, printed = page.split("## Published")
    assert "Qwen2.5-7B" not in measured and "64.1" not in measured
    assert "Table 1: model Qwen2.5-7B, group size 8; another policy." in printed
    assert "not run" not in printed
    assert "| F-GRPO  | 0.5   | 70.3 " in printed
    grids = [block.split("\n") for block in page.strip().split("\n\n") if block.startswith("|")]
    assert len(grids) == 6
    for grid in grids:
        assert len({len(line) for line in grid}) == 1
        assert len({line.count("|") for line in grid}) == 1


def test_latex_escapes_and_balances(spec, frame, runs):
    spec = spec | {"title": "100 % of a_b & c"}
    facts, panels = render.facts(spec, frame, runs, "laptop"), render.measured_panels(spec, frame)
    text = render.latex(spec, facts, panels, render.notes(spec, frame), None)
    assert r"100 \% of a\_b \& c" in text
    assert r"F-GRPO $-$ GRPO & +12.5 $\pm$" in text
    assert text.isascii()
    assert text.count("{") == text.count("}")
    for name in ("table*", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}")
    rows = [line for line in text.split("\n") if line.startswith("GRPO & 2 &")]
    assert [row.count("&") for row in rows] == [5, 5]


def test_published_rows_keep_what_tells_them_apart(spec):
    spec = spec | {"labels": {"avg": "Average"}}
    (panel,) = render.published_panels(spec, published_table("limr.csv", "2-4"))
    assert panel.header == ["run", "samples", "aime24", "math500", "amc23", "Average"]
    assert panel.rows[0] == ["Qwen2.5-Math-7B", "", "16.7", "52.4", "52.5", "40.5"]
    assert panel.rows[4] == ["LIMR", "1389", "32.5", "78.0", "63.8", "58.1"]
