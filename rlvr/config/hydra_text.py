"""Values as they are written on Hydra's command line."""

import os
import re
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from rlvr.errors import UserError

PLAIN = re.compile(r"[A-Za-z_./][\w./:@+-]*", re.ASCII)  # texts that Hydra reads without quotes
WORDS = {"true", "false", "null", "nan", "inf"}  # and reads as something else


def hydra_text(value: Any) -> str:
    """A value in the grammar of Hydra's overrides.

    Raises:
        UserError: for what no key has: an object other than texts, paths, numbers, True, False, None, lists
            and dicts.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Integral):  # numpy's numbers are others to `repr`
        return repr(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, list | tuple):
        return f"[{','.join(map(hydra_text, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{hydra_text(key)}:{hydra_text(item)}" for key, item in value.items()) + "}"
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise UserError(
            f"{value!r} is no value of a key: accepted are texts, numbers, True, False, None, lists and dicts"
        )
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return text
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"\\+$", lambda end: 2 * end[0], text))
    return f"'{escaped}'"
