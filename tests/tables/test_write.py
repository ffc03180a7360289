import json
from dataclasses import replace

import pandas as pd
import pytest
from table_runs import page_of

from rlvr.errors import UserError
from rlvr.tables.spec import PublishedSource
from rlvr.tables.write import write_table

NAMES = [
    "tables/paper-table9-laptop.md",
    "tables/paper-table9-laptop.csv",
    "tables/paper-table9-laptop-differences.csv",
    "tables/paper-table9-laptop-runs.csv",
    "tables/paper-table9-laptop.tex",
    "figures/paper-table9-laptop-pass-at-k.png",
    "figures/paper-table9-laptop-pass-at-k.svg",
    "figures/paper-table9-laptop-difference.png",
    "figures/paper-table9-laptop-difference.svg",
]


def test_writes_every_file_the_same_twice(tmp_path, spec, run_dirs):
    spec.published = PublishedSource("fgrpo.csv", "1", "Qwen2.5-7B")
    out = tmp_path / "results"
    written = write_table(page_of(spec, run_dirs), out)
    assert [str(path.relative_to(out)) for path in written] == NAMES
    first = {path: path.read_bytes() for path in written}
    write_table(page_of(spec, run_dirs[::-1]), out)
    assert {path: path.read_bytes() for path in written} == first
    assert {path for path in out.rglob("*") if path.is_file()} == set(written)

    page = written[0].read_text()
    assert page.startswith("# A table\n\n- Scale: laptop\n")
    assert "## Published" in page and "70.3" in page
    for path in written[5:]:
        if path.suffix == ".png":
            assert f"(../figures/{path.name})" in page
    numbers = pd.read_csv(written[1])
    assert numbers.query("arm == 'grpo' and benchmark == 'easy' and k == 1")["value"].item() == 0.625


def test_a_table_without_differences_has_no_figure_of_them(tmp_path, spec, run_dirs):
    written = write_table(page_of(spec, run_dirs[:3]), tmp_path / "results")
    assert [path.name for path in written if path.suffix == ".png"] == ["paper-table9-laptop-pass-at-k.png"]
    assert "not run" in written[0].read_text()


def test_one_k_makes_no_curve(tmp_path, spec, run_dirs):
    written = write_table(page_of(replace(spec, metrics=["pass@1"]), run_dirs), tmp_path / "results")
    assert [path.suffix for path in written] == [".md", ".csv", ".csv", ".csv", ".tex"]


def test_refuses_to_make_a_table_of_nothing(tmp_path, spec):
    with pytest.raises(UserError, match="no finished run"):
        write_table(page_of(spec, [tmp_path / "grpo" / "seed-0"]), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_last_step_is_shown_where_another_could_be_chosen(spec, run_dirs):
    spec = replace(spec, last_step=True)
    page = page_of(spec, run_dirs)
    assert page.numbers["-last-step"].equals(page.numbers[""])  # these runs say nothing of another
    for directory in run_dirs:
        file = directory / "summary.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"evaluated": {"checkpoint": "last"}}))
    assert "-last-step" not in page_of(spec, run_dirs).numbers
