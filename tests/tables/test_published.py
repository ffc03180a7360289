import sys
from decimal import Decimal

import pytest

from rlvr.config.compose import project_folder
from rlvr.errors import UserError
from rlvr.tables.published import PAPERS, PUBLISHED, load_published, published_table

HEADER = "table,model,method,benchmark,metric,value\n"


@pytest.mark.parametrize("file", PAPERS)
def test_the_files_of_the_repository_load(file):
    assert not load_published(file).empty


def test_table_1_of_f_grpo_is_the_paper_s():
    published = published_table("fgrpo.csv", "1", "Qwen2.5-7B")
    assert published.setting == {"model": "Qwen2.5-7B", "group_size": "8"}
    rows = published.rows.set_index(["method", "benchmark", "metric"])
    assert rows.loc[("GRPO", "avg_math", "pass@256"), "value"] == "64.1"
    assert rows.loc[("F-GRPO", "avg_math", "pass@256"), ["gamma", "value"]].tolist() == ["0.5", "70.3"]
    assert len(rows) == 6 * 11 * 2


def test_printed_averages_are_the_averages_of_the_printed_numbers():
    rows = load_published("fgrpo.csv").query("table == '1'")
    rows = rows.assign(value=rows["value"].map(Decimal)).set_index(["model", "method", "metric"])
    for _, cells in rows.groupby(level=[0, 1, 2]):
        cells = cells.set_index("benchmark")["value"]
        math = ["aime24", "aime25", "amc23", "math500", "minerva", "olympiad"]
        assert abs(sum(cells[math]) / 6 - cells["avg_math"]) <= Decimal("0.1")
        assert abs(sum(cells[["ifeval", "synlogic", "gpqa_diamond"]]) / 3 - cells["avg_ood"]) <= Decimal(
            "0.1"
        )


def test_fractions_become_percent_without_losing_a_digit():
    rows = published_table("lambda_grpo.csv", "2", "Llama-3.2-1B-Instruct").rows
    average = rows.query("method == 'base' and benchmark == 'avg'")
    assert average[["metric", "value"]].to_numpy().tolist() == [["accuracy", "8.14"]]


def test_all_models_of_a_table_when_none_is_named():
    assert published_table("fgrpo.csv", "1").rows["model"].nunique() == 3


def test_names_what_there_is():
    with pytest.raises(UserError, match=r"'fgrpo'.*did you mean fgrpo.csv"):
        load_published("fgrpo")
    with pytest.raises(UserError, match=r"unknown table of fgrpo.csv '5'"):
        published_table("fgrpo.csv", "5")
    with pytest.raises(UserError, match=r"accepted are maze-3M"):
        published_table("fgrpo.csv", "4", "Qwen2.5-7B")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table,model,benchmark,value\n", "'metric' is missing"),
        (HEADER + "1,m,a,b,pass@1,12\n1,m,a,c,pass@1,1O\n", "line 3: '1O' is not a number"),
        (HEADER + "1,m,a,b,pass@1,12\n1,m,a,b,pass@1,13\n", "gives a number twice"),
    ],
)
def test_refuses_a_damaged_file(tmp_path, text, said):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        load_published("x.csv", tmp_path)


def test_an_installed_package_carries_them(tmp_path, monkeypatch):
    assert PUBLISHED.parts[-2:] == ("results", "published")
    package = tmp_path / "rlvr"
    monkeypatch.setattr(sys.modules["rlvr.config.compose"], "PACKAGE", package)
    assert project_folder("results/published", "_published") == package / "_published"
    with pytest.raises(UserError, match="neither in"):
        load_published("fgrpo.csv", package / "_published")
