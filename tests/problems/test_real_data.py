"""The published sets load as they are: a few rows of each always, all of them where RLVR_DATA has them."""

import json
import os
import shutil
from pathlib import Path

import pytest

from rlvr.config import load_config
from rlvr.config.identity import identity
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.problems import load_problems
from rlvr.verification.ifeval import NEED_SENTENCES

FIXTURES = Path(__file__).parent / "fixtures"
FEW = {"gsm8k": 3, "math_train": 4, "olympiad": 3, "ifeval": 2}  # rows of the fixtures


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("rlvr.files.hub.reachable", lambda address=None: False)
    monkeypatch.setattr("rlvr.problems.location.reachable", lambda address=None: False)


def load(choice: str, *overrides: str) -> list[Problem]:
    """The problems of `data=...` or `benchmark=...`, by the config's own name."""
    config = load_config([choice, *overrides])
    if choice.startswith("data="):
        return list(load_problems(config.data, held_out=False))
    return list(load_problems(config.benchmark.tasks[choice.removeprefix("benchmark=")], held_out=True))


def few(name: str) -> list[Problem]:
    """A fixture through the benchmark of that name (MATH's through `data=math_train`), all rows of it."""
    key = "data" if name == "math_train" else f"benchmark.tasks.{name}"
    file = FIXTURES / f"{'olympiadbench' if name == 'olympiad' else name}.jsonl"
    given = {"path": file, "size": "null", "parameters.rows": FEW[name]}
    choice = f"{key.split('.')[0]}={name}"
    return load(choice, *(f"{key}.{field}={value}" for field, value in given.items()))


def test_gsm8k_takes_what_stands_after_the_marks():
    assert [p.answer for p in few("gsm8k")] == ["18", "3", "6,250"]
    assert few("gsm8k")[0].prompt[0]["content"].startswith("Janet")


def test_math_has_levels_and_boxes_without_braces(capsys: pytest.CaptureFixture):
    problems = few("math_train")
    assert [p.answer for p in problems] == ["t^7", r"2 \sin 5x \cos x", "2"]
    assert [p.metadata["level"] for p in problems] == ["Level 1", "Level 5", "Level 3"]
    assert "4 rows, 1 without an answer; 3 problems remain" in " ".join(capsys.readouterr().err.split())


def test_levels_can_be_chosen(capsys: pytest.CaptureFixture):
    file = FIXTURES / "math_train.jsonl"
    given = [f"data.path={file}", "data.size=null", "data.parameters.rows=4"]
    hard = load("data=math_train", *given, "data.parameters.where.level=[Level 5]")
    assert [p.answer for p in hard] == [r"2 \sin 5x \cos x"]
    assert "2 of other kinds, 1 without an answer" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(
        UserError, match=r"none of the 4 rows .* remain; 'level' has Level 1, Level 3, Level 5"
    ):
        load("data=math_train", *given, "data.parameters.where.level=[5]")


def test_olympiadbench_brings_its_error_bounds_and_units():
    percent, minutes, angles = few("olympiad")
    by_answer = {p.answer: p.metadata for p in (percent, minutes, angles)}
    assert by_answer["4.2"] == {
        "error_bound": "1e-1",
        "unit": "%",
        "answer_type": "Numerical",
        "several_answers": False,
    }
    assert by_answer["45"]["unit"] == "minute"
    assert "error_bound" not in by_answer["45"]
    assert [m["several_answers"] for m in by_answer.values()] == [False, False, True]


def test_ifeval_asks_with_numbers_as_numbers():
    pytest.importorskip("if_verifiable")
    first, sentences = few("ifeval")
    assert json.loads(first.answer)["kwargs"] == [
        {},
        {"num_highlights": 3},
        {"relation": "at least", "num_words": 300},
    ]
    assert NEED_SENTENCES & set(json.loads(sentences.answer)["instruction_id_list"])


def test_a_folder_is_looked_through_by_name(tmp_path: Path, capsys: pytest.CaptureFixture):
    root = f"data.root={tmp_path}"
    few_rows = ["benchmark.tasks.gsm8k.size=3", "benchmark.tasks.gsm8k.parameters.rows=3"]
    with pytest.raises(UserError, match=r"hf download --repo-type dataset openai/gsm8k.* as data.root="):
        load("benchmark=gsm8k", root, *few_rows)
    said = " ".join(capsys.readouterr().err.split())
    assert "gsm8k: data.root=" in said
    assert "has no gsm8k_test.jsonl" in said

    shutil.copy(FIXTURES / "gsm8k.jsonl", tmp_path / "gsm8k_test.jsonl")
    found = load("benchmark=gsm8k", root, *few_rows)
    assert [p.answer for p in found] == ["18", "3", "6,250"]
    assert found[0].id.startswith("gsm8k/")
    own = load("benchmark=gsm8k", root, *few_rows, f"benchmark.tasks.gsm8k.path={FIXTURES / 'gsm8k.jsonl'}")
    assert own == found  # wherever it was read from

    shutil.copy(FIXTURES / "gsm8k.jsonl", tmp_path / "gsm8k_test.json")
    with pytest.raises(UserError, match=r"has both gsm8k_test.jsonl and gsm8k_test.json: keep one"):
        load("benchmark=gsm8k", root, *few_rows)
    with pytest.raises(
        UserError, match=r"there is no folder nowhere: give one with data files as data.root="
    ):
        load("benchmark=gsm8k", "data.root=nowhere")


def test_the_folder_of_the_files_does_not_make_another_run():
    here, there = load_config(["data=gsm8k"]), load_config(["data=gsm8k", "data.root=/there"])
    assert identity(here) == identity(there)
    assert "root" not in identity(here)["data"]


# choice -> problems, the first answer
WHOLE = {
    "data=gsm8k": (7_473, "72"),
    "data=math_train": (7_498, "0"),
    "data=math_3_5": (8_519, "118"),
    "data=limr": (1_389, "5"),
    "benchmark=gsm8k": (1_319, "18"),
    "benchmark=math500": (500, r"\left( 3, \frac{\pi}{2} \right)"),
    "benchmark=aime24": (30, "204"),
    "benchmark=aime25": (30, "70"),
    "benchmark=amc23": (40, "27"),
    "benchmark=minerva": (272, "1.6"),
    "benchmark=olympiad": (675, "2"),
}
real = pytest.mark.skipif(
    "RLVR_DATA" not in os.environ, reason="RLVR_DATA names no folder of the published sets"
)


@real
@pytest.mark.parametrize("choice", WHOLE)
def test_every_set_loads_from_its_folder(choice: str):
    key = "data" if choice.startswith("data=") else f"benchmark.tasks.{choice.removeprefix('benchmark=')}"
    unchecked = f"{key}.parameters.verifier=words"  # the check of references takes minutes
    problems = load(choice, f"data.root={os.environ['RLVR_DATA']}", unchecked)
    count, first = WHOLE[choice]
    assert (len(problems), problems[0].answer) == (count, first)
    assert len({p.id for p in problems}) == count
    assert not {"", "None", "nan", "null"} & {p.answer for p in problems}
    assert max(len(p.answer) for p in problems) <= 300  # none is a whole solution


@real
def test_ifeval_is_whole():
    pytest.importorskip("if_verifiable")
    problems = load("benchmark=ifeval", f"data.root={os.environ['RLVR_DATA']}")
    asked = [set(json.loads(p.answer)["instruction_id_list"]) for p in problems]
    assert len(problems) == 541
    assert sum(not NEED_SENTENCES.isdisjoint(names) for names in asked) == 64


@real
def test_minervas_lists_hold_spellings():
    file = Path(os.environ["RLVR_DATA"]) / "minerva_lists.jsonl"
    choice = ["data=jsonl", f"data.path={file}", "data.parameters.verifier=words"]
    with pytest.raises(UserError, match=r"row .* field 'answer' is a list of 2: say what it means"):
        load(*choice)
    problems = load(*choice, "data.parameters.several=alternatives")
    assert len(problems) == 272
    assert sum("alternatives" in p.metadata for p in problems) == 75
