"""Verdicts on instructions that a program can check (IFEval), by the checkers of the package `if-verifiable`.

A reference is the JSON text `{"prompt": ..., "instruction_id_list": [...], "kwargs": [...]}`, with the
fields of google/IFEval. A response is right if it follows all of its instructions to the letter: the
"prompt-level strict" accuracy, which most reports mean; "loose" forgives a first or last line too many.

Checkers may be slow or fail on odd responses, so run `follow` in a pool:
`VerifierPool(function="rlvr.verification.ifeval:follow").compare([(reference, response), ...])`.
"""

import importlib.util
import json
from collections.abc import Sequence

from rlvr.data import Verdict
from rlvr.errors import UserError, unknown

NEED_SENTENCES = {"length_constraints:number_sentences", "change_case:capital_word_frequency"}


def follow(reference: str, response: str) -> Verdict:
    """Does the response follow all instructions of the reference? Thoughts up to `</think>` don't count."""
    from if_verifiable.common import evaluate_instructions, strip_thinking
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT

    if not strip_thinking(response).strip():
        return Verdict.NO_ANSWER
    task = json.loads(reference)
    names = task["instruction_id_list"]
    results, scores = evaluate_instructions(response, names, task["kwargs"], task["prompt"], INSTRUCTION_DICT)
    if len(results) != len(names):
        return Verdict.REFERENCE_UNPARSABLE  # the package passes over an instruction it does not know
    return Verdict.CORRECT if scores.binary_strict else Verdict.WRONG


def warm_up() -> None:
    """Language detection draws random numbers; the same response gets the same verdict."""
    import langdetect

    langdetect.DetectorFactory.seed = 0


def check_instructions(references: Sequence[str]) -> None:
    """Raise UserError unless every instruction can be checked here; once, when data is prepared."""
    if importlib.util.find_spec("if_verifiable") is None:
        raise UserError("IFEval's checkers are not installed: pip install if-verifiable==0.1.2")
    import nltk
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT

    used = {name for reference in references for name in json.loads(reference)["instruction_id_list"]}
    for name in sorted(used - INSTRUCTION_DICT.keys()):
        raise unknown("instruction", name, INSTRUCTION_DICT)
    if used & NEED_SENTENCES:
        try:
            nltk.data.find("tokenizers/punkt_tab")
        except LookupError as error:
            raise UserError(
                f"{', '.join(sorted(used & NEED_SENTENCES))} need a sentence splitter that is not here; "
                "where there is a network, fetch it with: python -m nltk.downloader punkt_tab"
            ) from error
