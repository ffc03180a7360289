"""A field of a row, and what of it is a text: nothing is changed that a text or number says."""

import decimal
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from rlvr.data.answer_text import final_answer
from rlvr.errors import UserError, nearest, refuse_unknown
from rlvr.problems.rows import NoNumber, Number, described, parse_json

ROLES = ("system", "user", "assistant")
EXACT = 2**53  # whole numbers up to here are exact in double precision
_BOX_WITHOUT_BRACES = re.compile(r"\\(?:boxed|fbox)\s+([^\s{}\\$.,;]+)")


def value_of(row: Mapping[str, Any], name: str, place: str) -> Any:
    """A field of a row, `name` being a path such as "reward_model.ground_truth" or "prompt.0.content"."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if type(value) is str and value[:1] in ("{", "["):
            try:
                value = parse_json(value, f"{place}: a text in {name!r}")
            except json.JSONDecodeError as error:
                raise UserError(f"{place}: {name!r} goes into a text that is no JSON: {error.msg}") from error
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            known = list(value) if isinstance(value, Mapping) else []
            has = ", ".join(map(repr, known)) or described(value)
            raise UserError(f"{place} has no field {name!r}: it has {has}{nearest(part, known)}")
    return value


def text_of(value: Any, name: str, place: str) -> str:
    """A value as the text that a file has for it.

    A text loses the spaces around it and nothing else. A number keeps its digits, but for a whole number
    written with a fraction of zeros: 27.0 is 27. A truth value is JSON's `true` or `false`, and a list of one
    is what is in it.

    Raises:
        UserError: anything else: null, NaN, an object, a date, bytes, several values; an empty text; a number
            whose digits are lost.
    """
    fault, text = "", ""
    if isinstance(value, list) and len(value) == 1:
        return text_of(value[0], f"{name}.0", place)
    if isinstance(value, list) and value:
        fault = (
            f"is a list of {len(value)}: say what it means with parameters.several=together (all of them "
            f"are the answer) or alternatives (each is a way to write it), or name one, as in {name}.0"
        )
    elif value is None or value in ([], {}):
        fault = "is empty"
    elif isinstance(value, Mapping):
        fault = f"is {described(value)}: name one of them, as in {name}.{next(iter(value))}"
    elif isinstance(value, NoNumber) or (isinstance(value, float) and not math.isfinite(value)):
        fault = f"is {value}, no answer"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float) and value.is_integer() and abs(value) >= EXACT:
        fault = f"is {value!r}, a number whose last digits its type can't hold: write it as a text"
    elif isinstance(value, (Number, int, float, decimal.Decimal)):
        digits = f"{value:f}" if isinstance(value, decimal.Decimal) else str(value)
        text = re.sub(r"\A(-?\d+)\.0+\Z", r"\1", digits)
    elif isinstance(value, str):
        text = value.strip()
        fault = "" if text else "is empty"
    else:
        fault = f"is {described(value)}: write it as a text"
    fault = fault or unwritable(text)
    if fault:
        raise UserError(f"{place}: field {name!r} {fault}")
    return text


def messages_of(value: Any, name: str, place: str) -> tuple[dict[str, str], ...]:
    """What is asked, as chat messages: a text is one of the user's; a list of messages, as verl's and TRL's
    data sets have, is kept with its roles.

    Raises:
        UserError: a message without a role or a content that is a text, or a last one that is not the user's.
    """
    if not (isinstance(value, list) and value and all(isinstance(message, Mapping) for message in value)):
        return ({"role": "user", "content": text_of(value, name, place)},)
    messages = []
    for index, message in enumerate(value):
        at = f"{place}, {name}.{index}"
        texts = {key: text_of(value_of(message, key, at), key, at) for key in ("role", "content")}
        refuse_unknown(f"role in {at}:", [texts["role"]], ROLES)
        messages.append(texts)
    if messages[-1]["role"] != "user":
        raise UserError(
            f"{place}: the last message of {name!r} is the {messages[-1]['role']}'s: accepted are messages "
            "that end with the user's, which the policy answers"
        )
    return tuple(messages)


def unwritable(text: str) -> str:
    """What makes a text none that a tokenizer could read or a report write, or ""."""
    if "\0" in text:
        return "has a NUL character: take it out"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "has half of a surrogate pair, which is no character: take it out"
    return ""


def texts_of(value: Any, name: str, place: str) -> list[str]:
    """The text of a value, or those of a list."""
    if isinstance(value, list) and value:
        return [text_of(item, f"{name}.{index}", place) for index, item in enumerate(value)]
    return [text_of(value, name, place)]


def plain(value: Any, name: str, place: str) -> Any:
    """A value as JSON and a verifier's metadata have it: a `Number` becomes an int or a float."""
    if isinstance(value, list):
        return [plain(item, f"{name}.{index}", place) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {key: plain(item, f"{name}.{key}", place) for key, item in value.items()}
    if isinstance(value, Number):
        digits = value.lstrip("-")
        return int(value) if digits.isdecimal() and len(digits) <= 4000 else float(value)
    if value is None or isinstance(value, (bool, int)) or type(value) is str:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return text_of(value, name, place)


def answer_after(mark: str, text: str) -> str:
    r"""What stands in a text where its answer is, "" where there is none.

    Args:
        mark: "boxed": the last `\boxed{...}`, or `\boxed 2` without braces; otherwise a regular expression:
            its last match's first group, or where it has none what follows that match in its line.

    Raises:
        UserError: a `mark` that is no regular expression.
    """
    if mark == "boxed":
        bare = list(_BOX_WITHOUT_BRACES.finditer(text))
        braced = final_answer(text[bare[-1].end() :] if bare else text)
        return (bare[-1][1] if bare and braced is None else braced or "").strip()
    try:
        matches = list(re.finditer(mark, text))
    except re.error as error:
        raise UserError(f"parameters.answer_after={mark!r} is no regular expression: {error}") from error
    if not matches:
        return ""
    if matches[-1].re.groups:
        return (matches[-1][1] or "").strip()
    return text[matches[-1].end() :].split("\n", 1)[0].strip()
