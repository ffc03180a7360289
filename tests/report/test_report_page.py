"""What is in the file, without a browser."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from reported_runs import EASY, HARD, HOSTILE, write_run

from rlvr.cli.main import main
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.files import step_lines
from rlvr.files.run_files import RunFiles
from rlvr.report import find_runs, write_report
from rlvr.report.curves import thinned
from rlvr.report.provenance import flops, seconds_by_stage
from rlvr.report.samples import TEXT_LIMIT, answer_of, clip
from rlvr.report.sources import table_of
from rlvr.report.training_groups import evenly
from rlvr.report.write import PAGE, SCRIPTS, as_json, csp_hash
from rlvr.tables.page import assemble


@pytest.fixture(scope="module")
def page(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(find_runs(sweep), file, iterations=50).read_text()


@pytest.fixture(scope="module")
def data(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])


def test_success_rates_and_distinct_answers_are_over_all_samples_and_seeds(data: dict):
    (benchmark,) = data["benchmarks"]
    cells = {problem["id"]: problem["cells"] for problem in benchmark["problems"]}
    numbers = {
        (problem, arm): (cell["c"], cell["n"], cell["distinct"])
        for problem, of in cells.items()
        for arm, cell in of.items()
    }
    assert numbers == {
        (EASY, "base"): (3, 4, 3),  # "1 + 2" and "1+2" are two texts of a problem whose verifier is not known
        (EASY, "grpo"): (8, 8, 1),
        (HARD, "base"): (1, 4, 1),
        (HARD, "grpo"): (0, 8, 0),  # a timeout of each seed is not scorable
    }


def test_samples_come_once_with_their_number(data: dict):
    (benchmark,) = data["benchmarks"]
    (hard,) = (problem for problem in benchmark["problems"] if problem["id"] == HARD)
    base = [
        (hard["texts"][text], verdict, times) for text, verdict, times in hard["cells"]["base"]["samples"]
    ]
    assert base[0] == ("2", "wrong", 2)
    assert set(base[1:]) == {("(2+5)*9-3", "correct", 1), ("5", "wrong", 1)}


def test_curves(data: dict):
    base, grpo = (data["passk"][0]["arms"][arm] for arm in ("base", "grpo"))
    assert base["k"] == [1, 2, 4]
    # 3 of 4 and 1 of 4: pass@1 = (3/4 + 1/4) / 2, pass@2 = (1 + 1/2) / 2, pass@4 = 1
    assert base["value"] == [50.0, 75.0, 100.0]
    assert grpo["value"][0] == 50.0
    learning = data["learning"][0]["series"]
    assert learning["reward/success_rate"] == {"step": [1, 2, 3, 4], "value": [0.0625, 0.125, 0.1875, 0.25]}
    assert learning["validation/in_domain/pass@1"]["step"] == [0, 4]
    assert [arm["before"] for arm in data["arms"]] == [True, False]


def test_training_groups_keep_advantages_and_weights(data: dict):
    first = data["groups"][0]
    assert (first["arm"], first["seed"], first["step"], first["focal_weight"]) == ("grpo", 1, 4, 0.5)
    assert [c["advantage"] for c in first["completions"]] == [0.7, -0.7, None]
    assert first["completions"][0]["weights"] == [0.5, 0.5, 1]


class Elements(HTMLParser):
    """The elements of a page, and where anything is fetched from."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]


def test_what_a_policy_wrote_is_not_markup(page: str, data: dict):
    elements = Elements()
    elements.feed(page)
    assert elements.tags.count("script") == 2
    assert "img" not in elements.tags
    assert all(address.startswith("#") or address == "data:," for address in elements.addresses)
    assert HOSTILE not in page
    texts = [text for problem in data["benchmarks"][0]["problems"] for text in problem["texts"]]
    assert HOSTILE in texts  # and yet it is there, to the letter


def test_the_policy_allows_the_script_that_is_there_and_nothing_else(page: str):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src '{csp_hash(script)}'",
        f"style-src '{csp_hash(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_scripts_put_nothing_on_the_page_as_markup():
    for name in SCRIPTS:
        script = (PAGE / name).read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert way not in script, f"{way} in {name}"


def test_json_can_stand_in_a_script_element():
    text = as_json({"</script>": "<!-- & \u2028 \ud800"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"</script>": "<!-- & \u2028 ?"}  # half a character can't be kept


def test_a_run_is_reported_with_the_untrained_policy_of_its_experiment(sweep: Path, tmp_path: Path):
    runs = find_runs(sweep / "grpo" / "seed-1")
    assert [(run.arm, run.seed) for run in runs] == [("base", 1), ("grpo", 1)]
    assert table_of(runs).title == "grpo, seed 1"


def test_a_published_table_is_shown_as_its_file_has_it(tmp_path: Path):
    samples = {EASY: [("correct", "1+2"), ("wrong", "3")] * 16}
    for arm in ("base", "grpo", "f-grpo"):
        steps = 0 if arm == "base" else 4
        write_run(tmp_path, arm, samples, experiment="fgrpo/table1/smoke", steps=steps)
    runs = find_runs(tmp_path)
    spec = table_of(runs)
    assert (spec.name, spec.metrics, len(spec.arms)) == ("fgrpo/table1", ["pass@1", "pass@32"], 11)
    one = table_of(find_runs(tmp_path / "fgrpo/table1/smoke/f-grpo/seed-1"))
    assert [arm.label for arm in one.arms] == ["Base policy", "F-GRPO"]
    assert one.published is None
    page = write_report(runs, tmp_path / "table.html", iterations=50).read_text()
    assert "Table 1: " in page
    assert "96.6" in page  # a number of the paper

    write_run(tmp_path, "mine", samples, experiment="fgrpo/table1/smoke", steps=0)  # no arm of the table
    runs = find_runs(tmp_path)
    assert [arm.label for arm in table_of(runs).arms] == ["Base policy", "mine", "F-GRPO", "GRPO"]
    assert "mine" in write_report(runs, tmp_path / "table.html", iterations=50).read_text()


def test_the_report_has_every_panel_of_the_table(tmp_path: Path):
    """ΔNLL of rare answers among them, as Tables 2 and 3 measure it."""
    samples = {EASY: [("correct", "1+2"), ("wrong", "3")] * 16}
    for arm, nll in (("base", 1.0), ("grpo-n8", 1.75), ("f-grpo-n8", 1.5)):
        folder = write_run(
            tmp_path, arm, samples, experiment="fgrpo/table2/smoke", steps=0 if arm == "base" else 4
        )
        answers = pd.DataFrame({"problem_id": [HARD], "nll": [nll], "initial_nll": [1.0]})
        answers.to_parquet(folder / "evaluation" / "rare-answers.parquet")
    runs = find_runs(tmp_path)
    table = assemble(table_of(runs), runs, iterations=50)
    page = write_report(runs, tmp_path / "table.html", iterations=50).read_text()
    assert write_report(runs, tmp_path / "table.html", table=table).read_text() == page
    titles = [panel.title for panel in table.panels]
    assert "ΔNLL of 1 rare correct answers to 1 problems, nats a token" in titles
    assert re.findall("<figcaption>(.*?)</figcaption>", page)[: len(titles)] == titles
    # 1.75 - 1 for GRPO, 1.5 - 1 for F-GRPO, whose baseline it is
    assert "<td>+0.750</td><td>–</td>" in page
    assert "<td>+0.500</td><td>−0.250</td>" in page
    assert all(f"<li>{note}</li>" in page for note in table.notes if "ΔNLL" in note)
    assert any("ΔNLL" in note for note in table.notes)


def test_a_run_at_work_is_reported_as_far_as_it_is(tmp_path: Path):
    write_run(tmp_path, "grpo", {EASY: [("correct", "1+2")] * 4}, status="trained")
    page = write_report(find_runs(tmp_path), tmp_path / "early.html").read_text()
    assert "1 of 1 runs is not finished" in page
    assert 'id="table"' not in page
    assert '"reward/success_rate":{"step":[1,2,3,4]' in page


def test_what_can_not_be_reported(tmp_path: Path, sweep: Path, capsys: pytest.CaptureFixture):
    with pytest.raises(UserError, match="holds no run: accepted are"):
        find_runs(tmp_path)
    write_run(tmp_path, "grpo", {}, experiment="one")
    write_run(tmp_path, "grpo", {}, experiment="two")
    with pytest.raises(UserError, match="give the folder of one or two"):
        find_runs(tmp_path)
    for arguments, sentence in (
        (["report", "nowhere"], "nowhere is no folder"),
        (["report"], "report needs a folder"),
        (["report", str(sweep), "fiel=x.html"], "did you mean file?"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert sentence in capsys.readouterr().err


def test_the_command_names_the_file(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    main(["report", str(sweep / "base"), f"file={tmp_path / 'r.html'}"])
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'r.html'} (0.")


def test_answers():
    expression = Problem("p", "countdown", (), "3", "expression")
    assert answer_of("1 + 2", expression) == "1+2"
    assert answer_of("so \\boxed{\\frac{1}{2}} it  is", None) == r"\frac{1}{2}"
    assert answer_of("two\n words", None) == "two words"


def test_a_long_text_keeps_both_ends():
    short = clip("a" * TEXT_LIMIT + "b" * 1000)
    assert short.startswith("aaa") and short.endswith("bbb")
    assert "[1,000 characters left out]" in short
    assert clip("a" * TEXT_LIMIT) == "a" * TEXT_LIMIT


def test_a_long_curve_is_thinned_to_means():
    curve = pd.Series([0.0, 2.0, 4.0, 6.0, 9.0], index=[1, 2, 3, 4, 5])
    assert thinned(curve, 3).to_dict() == {1.5: 1.0, 3.5: 5.0, 5.0: 9.0}
    assert thinned(curve, 5) is curve


def test_steps_are_chosen_evenly():
    assert evenly(list(range(9)), 3) == [0, 4, 8]
    assert evenly([1, 2, 4, 8, 16, 32, 64], 4) == [1, 4, 16, 64]
    assert evenly([1, 2], 3) == [1, 2]
    assert evenly([1, 2], 1) == [2]


def test_a_run_begun_when_the_weight_sync_was_called_handover(sweep: Path, tmp_path: Path):
    shutil.copytree(sweep / "grpo" / "seed-1", tmp_path / "seed-1")
    step_lines.append(tmp_path / "seed-1" / "timing.jsonl", 5, {"seconds/handover": 1.0})
    step_lines.append(tmp_path / "seed-1" / "timing.jsonl", 6, {"seconds/weight_sync": 2.0})
    assert seconds_by_stage(RunFiles(tmp_path / "seed-1"))["weight_sync"] == 3.0


def test_time_and_cost(sweep: Path):
    run = find_runs(sweep / "grpo" / "seed-1")[1]
    # 4 steps of 10 s and 5 s, of 90 s of training
    assert seconds_by_stage(run) == {"sampling": 40.0, "update": 20.0, "other": 30.0, "evaluation": 30.0}
    assert flops(3.94e12) == "3.9 TFLOP"
    assert flops(2.5e18) == "2.5 EFLOP"
    assert flops(1e9) == "1.0 GFLOP"
