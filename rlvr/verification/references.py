"""Reference answers are checked once, when data is prepared, rather than by the first completion."""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from rlvr.data import Verdict, answer_text
from rlvr.data.answer_text import excess
from rlvr.files.atomic import write_whole
from rlvr.verification.mathematics import is_plain
from rlvr.verification.notation import normal_form
from rlvr.verification.pool import PROBE, VerifierPool

_MISSING = frozenset(["None", "null", "nan", "NaN"])

_REASONS = {
    Verdict.REFERENCE_UNPARSABLE: "cannot be parsed",
    Verdict.WRONG: "is not equal to itself",
    Verdict.TIMEOUT: "cannot be compared within the deadline",
    Verdict.ERROR: "cannot be compared",
}


def check_references(references: Sequence[str], pool: VerifierPool) -> list[tuple[int, str]]:
    """References that no completion could be judged by: (index, reason), in order.

    A reference is good if it stays within the limits of `answers`, equals itself, and a comparison with
    another number comes to an end. A text such as "Evelyn" is good.
    """
    faults: dict[int, str] = {}
    probes: list[tuple[int, tuple[str, str]]] = []
    for index, reference in enumerate(references):
        reason = excess(reference.strip())
        expected = "" if reason else normal_form(reference)
        if not expected:
            faults[index] = reason or "is empty"
            continue
        if reference.strip() in _MISSING:
            faults[index] = "is a missing value"
            continue
        if not is_plain(expected):
            probes += [(index, (expected, expected)), (index, (expected, PROBE))]
    verdicts = pool.compare([pair for _, pair in probes])
    for (index, (_, answer)), verdict in zip(probes, verdicts, strict=True):
        if verdict is not (Verdict.WRONG if answer == PROBE else Verdict.CORRECT):
            faults.setdefault(index, _REASONS.get(verdict, "equals an unrelated number"))
    return sorted(faults.items())


def known_faults(references: Sequence[str]) -> list[tuple[int, str]]:
    """`check_references`, done once for the same references by the same code: kept in the user's cache.

    A cache that cannot be read or written is none.
    """
    folders = (Path(__file__).parent, Path(answer_text.__file__).parent)
    code = [path.read_text() for folder in folders for path in sorted(folder.glob("*.py"))]
    key = json.dumps([version("sympy"), *code, *references])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = cache / "rlvr" / "references" / f"{digest}.json"
    with suppress(OSError, ValueError):
        return [(index, reason) for index, reason in json.loads(file.read_text())]
    with VerifierPool(deadline_seconds=30.0) as pool:
        faults = check_references(references, pool)
    with suppress(OSError):
        write_whole(file, json.dumps(faults))
    return faults
