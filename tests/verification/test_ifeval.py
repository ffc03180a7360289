import json

import pytest

pytest.importorskip("if_verifiable")

from rlvr.data import Verdict
from rlvr.errors import UserError
from rlvr.verification.ifeval import check_instructions, follow
from rlvr.verification.pool import VerifierPool


def reference(*instructions: tuple[str, dict[str, object]]) -> str:
    return json.dumps(
        {
            "prompt": "Write a line.",
            "instruction_id_list": [name for name, _ in instructions],
            "kwargs": [arguments for _, arguments in instructions],
        }
    )


NO_COMMA = ("punctuation:no_comma", {"keywords": None})
LOWERCASE = ("change_case:english_lowercase", {})
KEYWORD = ("keywords:existence", {"keywords": ["river"]})
BOTH = reference(NO_COMMA, KEYWORD)


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ("The river runs.", Verdict.CORRECT),
        ("The river, it runs.", Verdict.WRONG),  # one of two
        ("The stream runs.", Verdict.WRONG),
        ("Sure, here:\nThe river runs.", Verdict.WRONG),  # strict: the first line counts
        ("<think>yes, a river</think>The river runs.", Verdict.CORRECT),
        ("<think>river", Verdict.NO_ANSWER),
        (" \n", Verdict.NO_ANSWER),
    ],
)
def test_all_instructions_strictly(response: str, verdict: Verdict) -> None:
    assert follow(BOTH, response) is verdict


def test_an_instruction_without_a_checker_is_not_passed_over() -> None:
    assert follow(reference(NO_COMMA, ("no:such", {})), "text") is Verdict.REFERENCE_UNPARSABLE
    with pytest.raises(UserError, match="did you mean punctuation:no_comma"):
        check_instructions([reference(("punctuation:nocomma", {}))])
    check_instructions([BOTH])


def test_checkers_run_in_a_pool() -> None:
    deep = reference(("detectable_format:json_format", {}))
    with VerifierPool(1, deadline_seconds=60, function="rlvr.verification.ifeval:follow") as pool:
        pairs = [(BOTH, "The river runs."), (deep, "[" * 100_000), (reference(LOWERCASE), "all lower case")]
        assert pool.compare(pairs) == [Verdict.CORRECT, Verdict.WRONG, Verdict.CORRECT]
