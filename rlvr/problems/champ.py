"""CHAMP: 270 competition problems, offline in the package `champ-dataset` (Mao, Kim and Zhou, 2024).

Its answers are written for readers. Those that a program can compare are brought into LaTeX; problems whose
answer is a sentence ("No integer solutions", "The sequence is not periodic") are left out, because a right
completion could be worded in many ways and would be called wrong.
"""

import importlib.metadata
import json
import re

from rlvr.data import Problem
from rlvr.errors import UserError

UNPARSABLE = ("P_Polynomial_2",)  # four roots with two ±, which the math verifier can't read

# what stands around an answer and is no part of it
_REMARK = re.compile(r"\s*\((?:i\.e\.|no |none ).*\)$|,? or (?:an )?(?:equivalent|approximately).*$")
_AROUND = re.compile(
    r"^(?:The limit exists and is equal to|The only possible value for the limit is) "
    r"| is the only possible value$| (?:values|pairs|roots|times|inequalities)$"
)
_POWER = re.compile(r"\^(\((?:[^()]|\([^()]*\))*\))")
_ROOT = re.compile(r"sqrt\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_CHOOSE = re.compile(r"C\(([^(),]+), ?([^(),]+)\)")
_FLOOR = re.compile(r"floor\(([^()]+)\)")
_SENTENCE = re.compile(r"(?<![\\A-Za-z])(?!\\)[A-Za-z]{3,}")


def champ_problems(*, size: int | None, held_out: bool, seed: int) -> list[Problem]:
    """CHAMP's problems whose answers can be compared, in the package's order; `size` None takes all.

    Raises:
        UserError: when the package is not installed, or has fewer than `size` such problems.
    """
    del held_out, seed
    problems = [
        Problem(
            id=f"champ/{name}",
            source="champ",
            prompt=({"role": "user", "content": entry["_text"]},),
            answer=answer,
            verifier="words" if answer in ("Yes", "No") else "math",
            metadata={"category": entry["category"]},
        )
        for name, entry in packaged_problems().items()
        if name not in UNPARSABLE and (answer := comparable_answer(entry["_answer"]))
    ]
    if size is not None and size > len(problems):
        raise UserError(
            f"champ has {len(problems)} problems whose answers can be compared, not {size}: "
            f"give size={len(problems)}"
        )
    return problems[:size]


def packaged_problems() -> dict[str, dict]:
    """All problems by identifier; the package's code is not imported."""
    try:
        files = importlib.metadata.files("champ-dataset") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(
            "problem source 'champ' needs a package: `pip install --no-deps champ-dataset`"
        ) from error
    (file,) = (file for file in files if file.name == "v0.json")
    return json.loads(file.read_text(encoding="utf-8"))["problems"]


def comparable_answer(answer: str) -> str | None:
    """An answer as LaTeX, or "Yes" or "No"; None for a sentence."""
    answer = _AROUND.sub("", _REMARK.sub("", answer))
    if answer in ("Yes", "No"):
        return answer
    answer = answer.replace(" and ", ", ").replace("±", r"\pm ").replace("*", r"\cdot ").replace("−", "-")
    answer = _POWER.sub(lambda match: f"^{{{match[1][1:-1]}}}", answer)
    answer = _ROOT.sub(r"\\sqrt{\1}", answer)
    answer = _CHOOSE.sub(r"\\binom{\1}{\2}", answer)
    answer = _FLOOR.sub(r"{\\lfloor \1 \\rfloor}", answer)
    return None if _SENTENCE.search(answer) or "..." in answer else answer
