"""From the verifier that a problem names to the verdicts of its group."""

import json
import time

import pytest

from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.errors import UserError
from rlvr.verification import POOLED, VERIFIERS, pool_of, verify
from rlvr.verification.words import plain_words


def group(verifier: str, answer: str, *texts: str, cut: tuple[int, ...] = ()) -> Group:
    problem = Problem("x", "test", ({"role": "user", "content": "?"},), answer, verifier)
    return Group(
        problem,
        [],
        [Completion([], [], text, "length" if i in cut else "stop", 0) for i, text in enumerate(texts)],
    )


def test_all_mathematics_of_a_batch_goes_to_the_pool_at_once(monkeypatch: pytest.MonkeyPatch):
    batches = []
    pool = pool_of("math")
    real = pool.verify
    monkeypatch.setattr(pool, "verify", lambda pairs: batches.append(list(pairs)) or real(pairs))
    groups = [
        group("math", "1/2", r"\boxed{0.5}", r"\boxed{2}", r"\boxed{0.5}", r"\boxed{\frac{1}{2}}", cut=(3,)),
        group("integer", "7", "7", "8"),
        group("math", r"\sqrt{8}", r"\boxed{2\sqrt{2}}", "none"),
    ]
    verify(groups)
    assert [g.verdicts for g in groups] == [
        [Verdict.CORRECT, Verdict.WRONG, Verdict.CORRECT, Verdict.TRUNCATED],
        [Verdict.CORRECT, Verdict.WRONG],
        [Verdict.CORRECT, Verdict.NO_ANSWER],
    ]
    assert len(batches) == 1
    assert len(batches[0]) == 4  # a text that comes up again goes once, one that was cut does not go


def test_the_same_text_is_judged_for_each_problem_by_itself():
    groups = [group("math", "1", r"\boxed{1}"), group("math", "2", r"\boxed{1}")]
    verify(groups)
    assert [g.verdicts for g in groups] == [[Verdict.CORRECT], [Verdict.WRONG]]


def test_an_unknown_verifier_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown verifier 'maths'.*did you mean math\?"):
        verify([group("maths", "1", "1")])


def test_a_process_has_one_pool_a_verifier():
    assert pool_of("math") is pool_of("math")
    assert not POOLED.keys() & VERIFIERS.keys()


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (r"\boxed{mother-in-law}", Verdict.CORRECT),
        (r"\boxed{\text{Mother-in-law.}}", Verdict.CORRECT),
        (r"\boxed{mother}", Verdict.WRONG),
        (r"\boxed{mother-in-law, aunt}", Verdict.WRONG),
        (r"\boxed{\text{ }}", Verdict.NO_ANSWER),
        ("mother-in-law", Verdict.NO_ANSWER),
    ],
)
def test_words_are_compared_as_text(text: str, verdict: Verdict):
    g = group("words", "mother-in-law", text)
    verify([g])
    assert g.verdicts == [verdict]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("<answer>a</answer> no: <answer> Left  Right </answer>", Verdict.CORRECT),
        (r"so \boxed{left right}", Verdict.CORRECT),
        (r"\boxed{left right} <answer>left</answer>", Verdict.WRONG),
        ("It goes into <answer> tags. <answer>left right</answer></answer>", Verdict.CORRECT),
        ("left right", Verdict.NO_ANSWER),
    ],
)
def test_synlogic_answers_may_stand_in_a_tag(text: str, verdict: Verdict):
    g = group("synlogic", "left right", text)
    verify([g])
    assert g.verdicts == [verdict]


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        ("({[<>]})", "({[<>]})", Verdict.CORRECT),
        ("({[<>]})", "<>", Verdict.WRONG),
        ("{[()]}", "{[()]}", Verdict.CORRECT),
        ("] } )", "] } )", Verdict.CORRECT),
        ("}])", "}])", Verdict.CORRECT),
        ("}])", "])", Verdict.WRONG),
        ("left", r"\boxed{left}", Verdict.CORRECT),
        ("left", "[left]", Verdict.CORRECT),
        ("left", " ", Verdict.NO_ANSWER),
    ],
)
def test_a_tagged_answer_may_be_made_of_brackets(reference: str, answer: str, verdict: Verdict):
    g = group("synlogic", reference, f"<answer>{answer}</answer>")
    verify([g])
    assert g.verdicts == [verdict]


def test_hostile_words_are_judged_at_once():
    started = time.process_time()
    nested = r"\boxed{" + "(" * 20_000 + "yes" + ")" * 20_000 + "}"
    groups = [group("words", "yes", nested), group("synlogic", "yes", "<answer>" * 10_000)]
    verify(groups)
    assert [g.verdicts for g in groups] == [[Verdict.WRONG], [Verdict.NO_ANSWER]]
    assert time.process_time() - started < 2  # looking at each bracket's end, or at each tag's, took minutes


def test_words_that_are_none_are_no_reference():
    g = group("words", "$.$", r"\boxed{yes}", r"\boxed{.}", "no box")
    verify([g])
    assert g.verdicts == [Verdict.REFERENCE_UNPARSABLE] * 3


def test_plain_words_loses_only_what_stands_around():
    assert plain_words(r" \textbf{(Yes).} ") == "yes"
    assert plain_words("a (b) c") == "a (b) c"
    assert plain_words("[[1,2],[3,4]]") == plain_words("[1,2],[3,4]") != plain_words("1,2],[3,4")
    assert plain_words("\u212a") != plain_words("k")  # the Kelvin sign


def test_ifeval_goes_through_a_pool_of_its_own():
    pytest.importorskip("if_verifiable")
    reference = {"prompt": "?", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    g = group("ifeval", json.dumps(reference), "a b", "a, b", " ")
    verify([g])
    assert g.verdicts == [Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER]


def test_a_reference_nobody_can_read_takes_out_all_completions_of_its_problem():
    groups = [
        group("math", r"\frac{1}{0}", "no box", r"\boxed{" + "9" * 99 + "}", "cut", cut=(2,)),
        group("math", r"\sqrt{2}", "no box", r"\boxed{" + "9" * 99 + "}", "cut", cut=(2,)),
    ]
    verify(groups)
    assert groups[0].verdicts == [Verdict.REFERENCE_UNPARSABLE] * 3
    assert groups[1].verdicts == [Verdict.NO_ANSWER, Verdict.WRONG, Verdict.TRUNCATED]


def test_a_group_that_was_judged_keeps_its_verdicts():
    judged, fresh = group("integer", "7", "7", "8"), group("integer", "7", "7", "8")
    judged.verdicts = [Verdict.TIMEOUT, Verdict.WRONG]
    verify([judged, fresh])
    assert judged.verdicts == [Verdict.TIMEOUT, Verdict.WRONG]
    assert fresh.verdicts == [Verdict.CORRECT, Verdict.WRONG]


@pytest.mark.parametrize("reference", ["7", r"\frac{1}{0}"])
def test_only_a_failing_verifier_is_warned_of(
    reference: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Neither a wrong answer nor a reference that no one can read is a failure of the verifier."""
    verify([group("math", reference, r"\boxed{(-5)!}", r"\boxed{7}")])
    assert "the verifier failed" not in caplog.text
    monkeypatch.setattr(pool_of("math"), "verify", lambda pairs: [Verdict.ERROR, *[Verdict.WRONG] * 98])
    verify([group("math", "7", *map(str, range(99)))])
    assert "the verifier failed on 1 of 99 answers (1 errors, 0 timeouts)" in caplog.text
    assert "left out, of problem x: by" in caplog.text
