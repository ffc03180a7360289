"""Rows that are judged in several ways, and data sets that are trained on together."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rlvr.config import (
    CONFIG_DIRS,
    PACKAGE,
    DataConfig,
    ProblemsConfig,
    arm_name,
    config_from_yaml,
    load_config,
    to_yaml,
)
from rlvr.config.places import is_path
from rlvr.curriculum.profile import profile_name
from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.errors import UserError
from rlvr.problems import load_problems
from rlvr.problems.dataset import dataset_problems
from rlvr.runs.sweep import expand
from rlvr.verification import verify

SMALL = ("training.prompts_per_step=4", "training.mini_batch_prompts=4")
ROWS = [
    {"problem": "1/2 + 1/2?", "answer": "1", "kind": "math"},
    {"problem": "2 + 3?", "answer": "5", "kind": "integer"},
    {"problem": "The capital of France?", "answer": "Paris", "kind": "words"},
    {"problem": "Half of 3?", "answer": "3/2", "kind": "math"},
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def read(rows: list[dict], **parameters) -> list[Problem]:
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"problem": "problem", "answer": "answer", "verifier": "kind"}
    given = {"fields": fields, "path": "rows.jsonl", "size": None, "held_out": False, "seed": 0}
    return dataset_problems(**given | parameters)


def verdicts(problems: list[Problem], texts: list[list[str]]) -> list[list[Verdict]]:
    groups = [
        Group(problem, [1], [Completion([1], [0.0], text, "stop", 0) for text in of_one], [])
        for problem, of_one in zip(problems, texts, strict=True)
    ]
    verify(groups)
    return [group.verdicts for group in groups]


def test_each_row_is_judged_by_its_own_verifier():
    problems = read(ROWS)
    assert [problem.verifier for problem in problems] == ["math", "integer", "words", "math"]
    # a bare 5 is an answer to `integer` alone, and 1.5 is 3/2 to `math` alone
    answers = [
        [r"\boxed{1.0}", "1"],
        ["5", r"\boxed{5}"],
        [r"\boxed{paris}", r"\boxed{Rome}"],
        [r"\boxed{1.5}", "5"],
    ]
    right = [[verdict is Verdict.CORRECT for verdict in of_one] for of_one in verdicts(problems, answers)]
    assert right == [[True, False]] * 4


def test_a_map_says_who_judges_the_rows_of_each_value():
    rows = [row | {"kind": source} for row, source in zip(ROWS, ["a/math", "b", "c", "a/math"], strict=True)]
    problems = read(rows, verifiers={"a/math": "math", "b": "integer", "c": "words"})
    assert [problem.verifier for problem in problems] == ["math", "integer", "words", "math"]
    assert [one.id for one in problems] == [one.id for one in read(ROWS)]  # made of words and answers
    with pytest.raises(
        UserError, match=r"value of field 'kind' in row 2 .*: 'b': accepted are a/math, bb; did"
    ):
        read(rows, verifiers={"a/math": "math", "bb": "integer"})


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (
            "mth",
            r"verifier in field 'kind' of row 2 .*: 'mth': accepted are expression, .*; did you mean math\?",
        ),
        (None, r"row 2 .*: field 'kind' is empty"),
        (
            "judge.py:judge",
            r"row 2 .*: 'judge.py:judge': accepted are",
        ),  # a file of data names no code to run
    ],
)
def test_a_row_with_another_verifier_is_named(kind: str | None, sentence: str):
    with pytest.raises(UserError, match=sentence):
        read([ROWS[0], ROWS[1] | {"kind": kind}])


def test_references_are_looked_at_by_the_verifier_of_their_row(capsys: pytest.CaptureFixture):
    read([*ROWS, {"problem": "5?", "answer": "five", "kind": "integer"}])
    assert "rows: 1 of 2 references cannot be judged by" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UserError, match=r"none of 1 references can be judged by verifier=integer; 'five'"):
        read([ROWS[0], {"problem": "5?", "answer": "five", "kind": "integer"}])


def test_options_and_instructions_are_of_the_rows_they_are_for():
    pytest.importorskip("if_verifiable")
    asked = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    rows = [
        {"problem": "Which?", "answer": "left", "kind": "multiple_choice", "wrong": "right"},
        {"problem": "Write.", "kind": "ifeval", **asked},
        ROWS[1],
    ]
    problems = read(rows, choices=["wrong"], reference=["problem", *asked])
    assert problems[0].answer in "AB" and "B. " in problems[0].prompt[0]["content"]
    assert json.loads(problems[1].answer) == {"problem": "Write.", **asked}
    assert problems[2].answer == "5"
    with pytest.raises(UserError, match="unknown instruction 'punctuation:no_coma'"):
        read([rows[1] | {"instruction_id_list": ["punctuation:no_coma"]}], reference=["problem", *asked])
    with pytest.raises(UserError, match="a reference is no JSON of prompt"):
        read([ROWS[0], ROWS[1] | {"kind": "ifeval"}])


def test_the_own_benchmark_is_judged_as_the_training_data():
    read(ROWS)
    own = ("data=jsonl", "data.path=rows.jsonl", "benchmark=jsonl", "benchmark.tasks.jsonl.path=rows.jsonl")
    config = load_config([*own, *SMALL, "data.parameters.fields.verifier=kind"])
    loaded = load_problems(config.benchmark.tasks["jsonl"], held_out=True)
    assert [problem.verifier for problem in loaded] == ["math", "integer", "words", "math"]
    named = load_config(
        [*own, *SMALL, "data.parameters.fields.verifier=kind", "data.parameters.verifiers={a/b:math}"]
    )
    assert named.benchmark.tasks["jsonl"].parameters["verifiers"] == {"a/b": "math"}


def test_the_parts_of_a_mixture_are_read_as_alone():
    parts = ("data=[countdown,mental_arithmetic]", "data.parts.countdown.size=5")
    config = load_config([*parts, "data.parts.mental_arithmetic.size=7", *SMALL])
    alone = {
        name: load_problems(replace(load_config([f"data={name}"]).data, size=size), held_out=False)
        for name, size in (("countdown", 5), ("mental_arithmetic", 7))
    }
    expected = [replace(problem, source=name) for name, problems in alone.items() for problem in problems]
    assert config.data.size == 5 + 7
    assert load_problems(config.data, held_out=False) == expected
    assert [problem.verifier for problem in expected] == ["expression"] * 5 + ["integer"] * 7

    Path("config.yaml").write_text(to_yaml(config))  # whole without conf/
    assert config_from_yaml(Path("config.yaml")) == config
    judged = load_config([*parts, "data.parts.mental_arithmetic.size=7", *SMALL, "verifier=words"])
    assert {problem.verifier for problem in load_problems(judged.data, held_out=False)} == {"words"}


def test_a_problem_of_two_parts_has_two_ids():
    parts = [
        "data=[arithmetic,mental_arithmetic]",
        *(f"data.parts.{n}arithmetic.size=2" for n in ("", "mental_")),
    ]
    first, second, third, fourth = load_problems(load_config([*parts, *few()]).data, held_out=False)
    assert (third.id, fourth.id) == (f"{first.id}#2", f"{second.id}#2")
    assert (first.verifier, third.verifier) == ("math", "integer")


def test_a_problem_that_one_part_has_twice_and_another_once_has_three_ids():
    """The third was #2 too, so that counts, tallies and profiles of the two were one."""
    read([ROWS[0], ROWS[0]])
    parts = {
        name: {"name": name, "source": "dataset", "path": "rows.jsonl", "size": size}
        | {"parameters": {"fields": {"problem": "problem", "answer": "answer"}}}
        for name, size in (("twice", 2), ("once", 1), ("again", 2))
    }
    data = DataConfig(name="mixture", parts={name: ProblemsConfig(**part) for name, part in parts.items()})
    ids = [problem.id for problem in load_problems(data, held_out=False)]
    assert ids[1:] == [f"{ids[0]}{again}" for again in ("#2", "#3", "#4", "#2#2")]


def test_a_mixture_may_have_a_file(tmp_path: Path):
    """As docs/how-to/own-data.md has it; sizes are of the parts' own files, where none is given."""
    page = (PACKAGE.parent / "docs" / "how-to" / "own-data.md").read_text()
    (tmp_path / "data").mkdir()
    body = page.split('```yaml title="conf/data/words_and_numbers.yaml"\n')[1].split("```")[0]
    (tmp_path / "data" / "words_and_numbers.yaml").write_text(body)
    CONFIG_DIRS.append(tmp_path)
    try:
        data = load_config(["data=words_and_numbers"]).data
    finally:
        CONFIG_DIRS.remove(tmp_path)
    assert {name: part.size for name, part in data.parts.items()} == {"gsm8k": 5000, "math_train": 7500}
    assert (data.name, data.size) == ("words_and_numbers", 12500)
    assert data.parts["math_train"] == ProblemsConfig(**without_parts(load_config(["data=math_train"]).data))


def without_parts(data: DataConfig) -> dict:
    return {name: value for name, value in vars(data).items() if name != "parts"}


def few() -> tuple[str, ...]:
    return ("training.prompts_per_step=2", "training.mini_batch_prompts=2")


def test_parts_make_another_run_and_the_folder_of_their_files_none():
    read(ROWS)
    parts = ["data=[countdown,jsonl]", "data.parts.jsonl.path=rows.jsonl"]
    name = arm_name(load_config(parts))
    assert name == arm_name(load_config([*parts, "data.root=elsewhere", "data.parts.jsonl.root=there"]))
    assert name != arm_name(load_config([*parts, "data.parts.countdown.size=3201"]))
    assert is_path("data.parts.jsonl.path")
    home = load_config(["data=[countdown,jsonl]", "data.parts.jsonl.path=~/rows.jsonl"])
    assert home.data.parts["jsonl"].path == str(Path.home() / "rows.jsonl")
    # profiles of data without parts keep their folders
    assert profile_name(load_config([])) == "embedded-countdown-527d5faa"


def test_a_sweep_over_a_mixture_and_its_parts():
    jobs = expand(["data=[countdown,arithmetic],countdown"])
    assert [sorted(load_config(job).data.parts) for job in jobs] == [["arithmetic", "countdown"], []]
