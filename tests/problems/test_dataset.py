"""Data sets from small local files: what is read, what is refused, and what is left out."""

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlvr.config import load_config
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.problems import load_problems
from rlvr.problems.cleaning import normalized_text, overlap, without_conflicting, without_repeated
from rlvr.problems.dataset import dataset_problems, multiple_choice

SYSTEM = {"role": "system", "content": "Be brief."}
PA = {"problem": "problem", "answer": "answer"}


def problem(question: str, answer: str = "1", identifier: str = "x") -> Problem:
    return Problem(identifier, "test", ({"role": "user", "content": question},), answer, "math")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what is written here nor what the user has in a cache counts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path: Path):
    """Write rows to a JSONL file; returns its path."""

    def write_rows(rows: list[dict], name: str = "rows.jsonl") -> str:
        file = tmp_path / name
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(file)

    return write_rows


def read(path: str, **parameters) -> list[Problem]:
    return dataset_problems(
        **{"size": None, "held_out": False, "seed": 0, "fields": PA, "path": path} | parameters
    )


def test_rows_become_problems_in_order(write):
    path = write([{"problem": "1+1?", "answer": 2.0}, {"problem": " 3+4? ", "answer": "7"}])
    first, second = read(path)
    assert (first.prompt, first.answer) == (({"role": "user", "content": "1+1?"},), "2")
    assert (second.prompt[0]["content"], second.answer) == ("3+4?", "7")
    assert first.verifier == "math"
    assert first.id.startswith("rows/")


def test_parquet_reads_as_jsonl_does(write, tmp_path: Path):
    import pandas as pd

    rows = [{"problem": "1+1?", "answer": "2"}, {"problem": "3+4?", "answer": "7"}]
    file = tmp_path / "rows.parquet"
    pd.DataFrame(rows).to_parquet(file)
    assert read(str(file)) == read(write(rows))


def test_chat_messages_are_asked_as_they_are(write, tmp_path: Path):
    user = {"role": "user", "content": "1+1?"}
    rows = [{"problem": asked, "answer": "2"} for asked in ("1+1?", [user], [SYSTEM, user])]
    text, alone, after_system = read(write(rows))
    assert text.prompt == alone.prompt == (user,)
    assert alone.id == f"{text.id}#2"  # the same words and answer
    assert after_system.prompt == (SYSTEM, user)
    assert not after_system.id.startswith(text.id)
    pq.write_table(pa.Table.from_pylist(rows[2:]), tmp_path / "rows.parquet")
    assert read(str(tmp_path / "rows.parquet")) == [after_system]


def test_ids_stay_when_rows_move_and_change_with_the_answer(write):
    rows = [{"problem": f"{i}?", "answer": f"{i}"} for i in range(4)]
    ids = {p.id for p in read(write(rows))}
    assert {p.id for p in read(write(rows[::-1]))} == ids
    assert len({p.id for p in read(write([*rows[:3], {"problem": "3?", "answer": "4"}]))} & ids) == 3


def test_a_problem_that_comes_twice_has_two_ids(write):
    twice = read(write([{"problem": "1?", "answer": "1"}] * 2))
    assert twice[1].id == f"{twice[0].id}#2"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("prompt.0.content", [{"role": "user", "content": "1+1"}], "1+1"),
        ("reward_model.ground_truth", {"ground_truth": "2", "style": "rule"}, "2"),
        ("extra.game.answer", {"game": json.dumps({"answer": "left"})}, "left"),
        ("list", ["1"], "1"),
        ("list.1", ["1", "2"], "2"),
        ("number", 27.0, "27"),
        ("text", "27.0", "27.0"),
        ("zero", 0, "0"),
        ("With spaces", "a", "a"),
    ],
)
def test_fields_may_be_nested_and_are_text(write, field: str, value: object, expected: str):
    row = {"problem": "?", field.split(".")[0]: value}
    assert read(write([row]), fields={"problem": "problem", "answer": field})[0].answer == expected


def test_the_answer_may_stand_in_the_solutions_last_box(write):
    solution = r"First \boxed{3}, no: \boxed{\frac{1}{2}} it is."
    rows = [{"problem": "?", "answer": solution}, {"problem": "??", "answer": "none"}]
    assert read(write(rows[:1]), answer_after="boxed")[0].answer == r"\frac{1}{2}"
    with pytest.raises(UserError, match=r"row 2 .*: field 'answer' has no \\boxed"):
        read(write(rows), answer_after="boxed")


@pytest.mark.parametrize(
    ("rows", "parameters", "sentence"),
    [
        ([{"problem": "a", "answer": "1"}], {"rows": 2}, "has 1 rows, not the 2 expected"),
        ([{"problem": "a", "answer": "1"}], {"size": 2}, "has 1 problems, not 2: give size=1"),
        ([{"problem": "a", "anwser": "1"}], {}, r"row 1 .* no field 'answer': .*did you mean anwser\?"),
        (
            [{"problem": "a", "answer": "1"}, {"problem": "b", "answer": "  "}],
            {},
            "row 2 .*: field 'answer' is empty",
        ),
        (
            [{"problem": "a", "answer": "1"}, {"problem": "b", "answer": None}],
            {},
            "row 2 .*: field 'answer' is empty",
        ),
        ([{"problem": "", "answer": "1"}], {}, "row 1 .*: field 'problem' is empty"),
        (
            [{"problem": [{"role": "user", "text": "a"}], "answer": "1"}],
            {},
            "row 1 .*, problem.0 has no field 'content': it has 'role', 'text'; did you mean text",
        ),
        (
            [{"problem": [{"role": "usr", "content": "a"}], "answer": "1"}],
            {},
            r"unknown role in row 1 .*, problem.0: 'usr': .*did you mean user\?",
        ),
        (
            [{"problem": [{"role": "user", "content": "a"}, SYSTEM], "answer": "1"}],
            {},
            "row 1 .*: the last message of 'problem' is the system's: accepted are messages that end with",
        ),
    ],
)
def test_faults_of_a_file_name_row_and_field(write, rows: list[dict], parameters: dict, sentence: str):
    with pytest.raises(UserError, match=sentence) as error:
        read(write(rows), **parameters)
    assert "\n" not in str(error.value)


def test_no_such_file_and_no_such_kind_of_file(tmp_path: Path):
    with pytest.raises(UserError, match=r"there is no data file .*nothing\.jsonl"):
        read(str(tmp_path / "nothing.jsonl"))
    with pytest.raises(UserError, match=r"unknown kind of data file '.*\.xlsx'"):
        read("rows.xlsx")
    with pytest.raises(UserError, match="is a folder: give a file in it"):
        read(str(tmp_path))


def test_without_a_network_the_error_says_which_command_fetches_the_data(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlvr.files.hub.reachable", lambda address=None: False)
    monkeypatch.setattr("rlvr.problems.location.reachable", lambda address=None: False)
    with pytest.raises(UserError, match="hf download --repo-type dataset HuggingFaceH4/MATH-500"):
        load_problems(load_config(["benchmark=math500"]).benchmark.tasks["math500"], held_out=True)
    with pytest.raises(UserError, match=r"curl -L -o minerva.jsonl https://.*minerva_math/test\.jsonl"):
        load_problems(load_config(["benchmark=minerva"]).benchmark.tasks["minerva"], held_out=True)


def test_deepscaler_is_filtered_as_the_paper_did(write, capsys: pytest.CaptureFixture):
    """Six rows: one too long, a pair that contradicts itself, a pair that agrees, one plain."""
    rows = [
        {"problem": "What is $x$ if $x+1=3$?", "answer": "2"},
        {"problem": "make " * 1100, "answer": "1"},
        {"problem": "How many?", "answer": "5"},
        {"problem": "how many ?", "answer": "6"},
        {"problem": "Compute 1/2.", "answer": "0.5"},
        {"problem": "Compute $1/2$.", "answer": "$0.5$"},
    ]
    config = load_config(
        ["data=deepscaler", f"data.path={write(rows)}", "data.parameters.rows=6", "data.size=64"]
    ).data
    kept = load_problems(config, held_out=False)
    assert [p.prompt[0]["content"] for p in kept] == [rows[i]["problem"] for i in (0, 4, 5)]
    said = " ".join(capsys.readouterr().err.split())
    assert "6 rows, 1 longer than 1,024 tokens, 2 with different answers to the same problem" in said
    assert "3 problems remain, 64 asked for" in said
    assert load_config(["data=deepscaler"]).data.size == 39_202


def test_data_of_which_nothing_is_left_is_refused(write):
    """A part of a mixture that was all left out was none, in silence, and so was a benchmark."""
    twice = [{"problem": "a", "answer": "1"}, {"problem": "a", "answer": "2"}]
    said = "none of the rows of .* remain: 2 rows, 2 with different answers to the same problem"
    with pytest.raises(UserError, match=said):
        read(write(twice), drop_conflicting=True)


def test_dapo_has_each_problem_once(write, capsys: pytest.CaptureFixture):
    rows = [{"prompt": f"Find {i}.", "solution": f"{i}"} for i in (1, 2, 1, 1, 3, 2)]
    config = load_config(
        ["data=dapo_math_17k", f"data.path={write(rows)}", "data.parameters.rows=6", "data.size=64"]
    )
    assert [p.answer for p in load_problems(config.data, held_out=False)] == ["1", "2", "3"]
    assert "3 repeated; 3 problems remain" in " ".join(capsys.readouterr().err.split())


def test_rows_without_an_answer_are_left_out_only_where_asked(write, capsys: pytest.CaptureFixture):
    rows = [{"problem": "a", "answer": ""}, {"problem": "b", "answer": "1"}]
    assert [p.answer for p in read(write(rows), drop_unanswered=True)] == ["1"]
    assert "2 rows, 1 without an answer; 1 problems remain" in " ".join(capsys.readouterr().err.split())


def test_words_for_no_answer_are_never_an_answer(write):
    path = write([{"problem": "a", "answer": "N/A "}, {"problem": "b", "answer": "1"}])
    assert [p.answer for p in read(path, drop_unanswered=True, unanswered=["N/A"])] == ["1"]
    with pytest.raises(UserError, match=r"row 1 of .*'answer' is 'N/A', which parameters.unanswered counts"):
        read(path, unanswered=["N/A"])


def test_single_precision_of_the_hub_keeps_its_digits(monkeypatch: pytest.MonkeyPatch):
    """0.1 as a double would be 0.10000000149011612, which no completion answers."""
    table = pa.table({"problem": ["a", "b"], "answer": pa.array([0.1, 27.0], pa.float32())})
    monkeypatch.setattr("rlvr.problems.location.reachable", lambda: True)
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: datasets.Dataset(table))
    problems = dataset_problems(size=None, held_out=False, seed=0, hub="a/b", fields=PA)
    assert [problem.answer for problem in problems] == ["0.1", "27"]


def test_values_of_where_are_read_as_those_of_the_rows(write):
    path = write([{"problem": str(i), "answer": "1", "hard": i > 1, "level": float(i)} for i in range(4)])
    assert [p.prompt[0]["content"] for p in read(path, where={"hard": [True]})] == ["2", "3"]
    assert [p.prompt[0]["content"] for p in read(path, where={"level": [1, 3.0]})] == ["1", "3"]


def test_brackets_and_factorials_make_another_problem(write):
    """MATH asks for both of the first two, and DeepScaleR has both."""
    asked = {r"88 \div (4 \div 2)": "44", r"88 \div 4 \div 2": "11", "5!": "120", "5": "5"}
    path = write([{"problem": f"What is ${text}$?", "answer": answer} for text, answer in asked.items()])
    assert len(read(path, drop_conflicting=True, deduplicate=True)) == 4
    path = write([{"problem": text, "answer": "1"} for text in ("What is $f(1)$?", r"what is \( f(1) \)?")])
    assert len(read(path, deduplicate=True)) == 1


def test_references_are_checked_once(write, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    path = write([{"problem": "1+1?", "answer": "2"}, {"problem": "and?", "answer": r"\frac{1}{"}])
    read(path)
    said = capsys.readouterr().err
    assert r"1 of 2 references cannot be judged" in " ".join(said.split())
    assert r"'\\frac{1}{' of rows/" in said

    monkeypatch.setattr("rlvr.verification.references.check_references", None)  # not called again
    read(path)
    assert capsys.readouterr().err == said


def test_a_path_is_for_data_sets_only():
    with pytest.raises(UserError, match="unexpected keyword argument 'path'"):
        load_problems(load_config(["data.path=rows.jsonl"]).data, held_out=False)


def test_options_are_shuffled_by_problem_and_seed(write):
    rows = [
        {
            "Question": f"Which is {i}?",
            "Correct Answer": "right",
            **{f"Incorrect Answer {j}": f"wrong {j}" for j in (1, 2, 3)},
        }
        for i in range(40)
    ]
    task = load_config(["benchmark=gpqa_diamond", "benchmark.tasks.gpqa_diamond.size=40"]).benchmark.tasks[
        "gpqa_diamond"
    ]
    task.path, task.parameters["rows"] = write(rows), 40
    problems = load_problems(task, held_out=True)
    assert problems == load_problems(task, held_out=True)
    assert {p.answer for p in problems} == set("ABCD")
    for p in problems:
        assert f"\n{p.answer}. right\n" in p.prompt[0]["content"]
        assert p.verifier == "multiple_choice"
    task.seed = 1
    assert [p.answer for p in load_problems(task, held_out=True)] != [p.answer for p in problems]


def test_four_options_in_full():
    text, letter = multiple_choice("Which?", "right", ["a", "b"], seed=0)
    lines = text.split("\n")
    assert lines[:2] == ["Which?", ""]
    assert sorted(line[3:] for line in lines[2:5]) == ["a", "b", "right"]
    assert lines[2 + "ABC".index(letter)] == f"{letter}. right"
    assert lines[5:] == ["", "Answer with the letter of the right option."]


def test_ifeval_keeps_its_instructions(write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlvr.problems.dataset.check_instructions", lambda references: None)
    row = {
        "key": 1,
        "prompt": "Write.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{"n": None}],
    }
    task = load_config(["benchmark=ifeval"]).benchmark.tasks["ifeval"]
    task.path, task.size, task.parameters["rows"] = write([row]), 1, 1
    (p,) = load_problems(task, held_out=True)
    assert json.loads(p.answer) == {k: row[k] for k in ("prompt", "instruction_id_list", "kwargs")}
    assert p.verifier == "ifeval"


def test_copies_differ_in_case_spaces_and_dollars_only():
    assert normalized_text(problem("Find $x + 1$.")) == normalized_text(problem("find x+1"))
    assert normalized_text(problem("pairs (1, 2)")) != normalized_text(problem("pairs (12)"))
    assert normalized_text(problem("x-1")) != normalized_text(problem("x+1"))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", "2"])), max_size=12))
def test_conflicts_and_repetitions_are_counted_exactly(pairs: list[tuple[str, str]]):
    problems = [problem(question, answer) for question, answer in pairs]
    agreeing = {q for q, _ in pairs if len({a for other, a in pairs if other == q}) == 1}
    kept, dropped = without_conflicting(problems)
    assert kept == [p for p in problems if p.prompt[0]["content"] in agreeing]
    assert dropped == len(problems) - len(kept)
    once, repeated = without_repeated(problems)
    assert [p.prompt[0]["content"] for p in once] == list(dict.fromkeys(q for q, _ in pairs))
    assert repeated == len(problems) - len(once)


def test_overlap_names_the_problems_of_each_benchmark():
    training = [problem("Find $x$."), problem("Find $y$.")]
    tested = {
        "seen": [problem("find x", identifier="a"), problem("find z", identifier="b")],
        "unseen": [problem("find w", identifier="c")],
    }
    assert overlap(training, tested) == {"seen": ["a"]}


def test_a_field_of_no_use_is_refused(write):
    """It was passed over, so that a name meant for `problem` left that field as it was."""
    path = write([{"problem": "1+1?", "question": "2+2?", "answer": "2"}])
    with pytest.raises(UserError, match=r"unknown key in parameters.fields 'question': accepted are answer"):
        read(path, fields=PA | {"question": "question"})


@pytest.mark.parametrize(
    ("verifier", "good", "bad"),
    [("integer", "-3", "#### 3"), ("multiple_choice", "B", "3"), ("words", "yes", "$")],
)
def test_references_of_every_verifier_are_checked(
    write, capsys: pytest.CaptureFixture, verifier: str, good: str, bad: str
):
    """Only those for `math` were: a run of others ended after training, without a pass@1."""
    rows = [{"problem": "1?", "answer": good}, {"problem": "2?", "answer": bad}]
    assert len(read(write(rows), verifier=verifier)) == 2
    assert f"1 of 2 references cannot be judged by, so that no completion of theirs counts: {bad!r}" in (
        " ".join(capsys.readouterr().err.split())
    )
    with pytest.raises(UserError, match=f"none of 1 references can be judged by verifier={verifier}"):
        read(write(rows[1:]), verifier=verifier)


def test_none_of_the_references_is_an_error_for_mathematics_too(write):
    with pytest.raises(UserError, match="none of 1 references can be judged by verifier=math"):
        read(write([{"problem": "and?", "answer": r"\frac{1}{"}]))


def test_problems_that_are_drawn_need_a_number():
    task = load_config(["benchmark=gcd", "benchmark.tasks.gcd.size=null"]).benchmark.tasks["gcd"]
    with pytest.raises(UserError, match="size=null of gcd: gcd draws as many as it is asked for"):
        load_problems(task, held_out=True)
