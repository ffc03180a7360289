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
from functools import cache
from pathlib import Path

from rlvr.data import Verdict
from rlvr.errors import UserError, say, unknown

SPLITTER = str(Path(__file__).parent / "nltk_data")
NEED_SENTENCES = {"length_constraints:number_sentences", "change_case:capital_word_frequency"}


def follow(reference: str, response: str) -> Verdict:
    """Does the response follow all instructions of the reference? Thoughts up to `</think>` don't count."""
    from if_verifiable.common import evaluate_instructions, strip_thinking
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT

    if not strip_thinking(response).strip():
        return Verdict.NO_ANSWER
    has_trained_splitter()
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
    has_trained_splitter()


@cache
def has_trained_splitter() -> bool:
    """Whether NLTK's English model of sentence ends is on this machine; else it is given rlvr's own list.

    The model, learned from newspapers, comes with none of the packages. In its place NLTK's algorithm gets
    the abbreviations of `nltk_data` beside this file, after which a full stop ends no sentence.
    """
    import nltk

    try:
        nltk.data.find("tokenizers/punkt_tab/english")
    except LookupError:
        nltk.data.path.append(SPLITTER)
        return False
    return True


def check_instructions(references: Sequence[str]) -> None:
    """Raise UserError unless every instruction can be checked here; once, when data is prepared."""
    if importlib.util.find_spec("if_verifiable") is None:
        raise UserError("IFEval's checkers are not installed: pip install if-verifiable==0.1.2")
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT

    try:
        asked = [json.loads(reference)["instruction_id_list"] for reference in references]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            "verifier=ifeval: a reference is no JSON of prompt, instruction_id_list and kwargs; where rows "
            "have these as fields, name them with parameters.reference=[prompt,instruction_id_list,kwargs]"
        ) from error
    for name in sorted({name for names in asked for name in names} - INSTRUCTION_DICT.keys()):
        raise unknown("instruction", name, INSTRUCTION_DICT)
    count = sum(not NEED_SENTENCES.isdisjoint(names) for names in asked)
    if count and not has_trained_splitter():
        say(
            f"IFEval: in {count} of {len(references)} prompts sentences count; they are split by NLTK with "
            "rlvr's own list of abbreviations, since NLTK's English model is not on this machine (where "
            "there is a network: python -m nltk.downloader punkt_tab)"
        )
