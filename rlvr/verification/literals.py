"""Numbers, numbers in a base and times of day, read from text in `notation.normal_form`."""

import re
from fractions import Fraction

from rlvr.verification.forms import SIGNIFICANT, Based, Clock, Number

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?:(?P<whole>\d+)\s*\\frac(?P<f>\{\d+\}\{\d+\}|\d\d)|(?P<mixed>\d+) (?P<m>\d+/\d+)"
    r"|\\frac(?P<frac>\{[+-]?\d+\}\s*\{[+-]?\d+\}|\d\d|\{\d+\}\d|\d\{\d+\})|(?P<quotient>\d+\s*/\s*\d+)"
    r"|(?P<decimal>\d+\.?\d*|\.\d+)"
    r"(?:\s*(?:\\times|\\cdot|\*)\s*10\s*\^\s*(?P<p>\{\s*[+-]?\d{1,4}\s*\}|\d{1,4}|-\d{1,4})"
    r"|[eE](?P<e>[+-]?\d{1,4}))?)"
)


_GOES_ON = re.compile(r"([+-]?\s*\d*\.\d+)\s*\\ldots")
_PERIOD = re.compile(r"\.(\d*?)(?:(\d)\2\2+|(\d{2,}?)\3+)$")


def read_number(text: str) -> Number | None:
    r"""An integer, decimal, fraction or mixed number.

    A decimal with dots behind it (`0.333\ldots`) has the period that its digits end with, if a digit stands
    there three times or several digits twice; any other is what it says, cut.
    """
    if match := _GOES_ON.fullmatch(text):
        number = read_number(match[1])
        if period := _PERIOD.search(match[1]):
            digits = period[2] or period[3]
            rest = Fraction(int(digits), (10 ** len(digits) - 1) * 10 ** (len(match[1]) - period.start() - 1))
            return Number(number.value + (rest if number.value >= 0 and match[1][0] != "-" else -rest))
        return number if number.places is not None else None
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign = -1 if match["sign"] == "-" else 1
    if match["decimal"]:
        power = int(re.sub(r"[{}\s]", "", match["p"] or match["e"] or "0"))
        value = Fraction(match["decimal"].rstrip(".")) * Fraction(10) ** power
        return Number(sign * value, _places(match["decimal"], power))
    pair = match["f"] or match["m"] or match["frac"] or match["quotient"]
    over, under = re.findall(r"[+-]?\d+", pair) if re.search(r"[{}/]\D*\d", pair) else pair
    if int(under) == 0:
        return None
    part, whole = Fraction(int(over), int(under)), match["whole"] or match["mixed"]
    if whole and part >= 1:
        return None
    return Number(sign * (part + int(whole or 0)))


def _places(decimal: str, power: int) -> int | None:
    if "." not in decimal:
        return None
    digits = decimal.rstrip("0")
    if digits.endswith(".") or len(digits.replace(".", "").lstrip("0")) < SIGNIFICANT:
        return None
    return len(decimal) - decimal.index(".") - 1 - power


_BASED = re.compile(
    r"[({]?(-?[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]+)?)[)}]?\s*"
    r"(?:_\s*(?:\{\s*(.*?)\s*\}|(\d{1,2}))|[{(\s]*base\W*(\w+)[})\s]*)"
)
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
          "twelve": 12, "sixteen": 16}  # fmt: skip
_CLOCK = re.compile(
    r"(?P<hours>\d{1,2})(?:\s*:\s*(?P<minutes>[0-5]\d)(?:\s*:\s*(?P<seconds>[0-5]\d))?)?"
    r"\s*(?P<half>[ap]\s?\.?\s?m\.?)?",
    re.IGNORECASE,
)


def read_clock(text: str) -> Clock | None:
    """`12:30`, `9 pm`, `3:05:10`."""
    match = _CLOCK.fullmatch(text)
    if match is None or not (match["minutes"] or match["half"]) or int(match["hours"]) > 24:
        return None
    half = (match["half"] or "")[:1].lower()
    hours = int(match["hours"])
    if half and not 1 <= hours <= 12:
        return None
    hours = hours % 12 + 12 * (half == "p") if half else hours
    return Clock(3600 * hours + 60 * int(match["minutes"] or 0) + int(match["seconds"] or 0), half)


def read_based(text: str) -> Based | None:
    """`1011_2`, `2A_{16}`, `12_{five}`, `52 (base 8)`."""
    match = _BASED.fullmatch(text)
    if match is None:
        return None
    base = re.sub(r"base|[(){}\s]", "", match[2] or match[3] or match[4] or "")
    base = _BASES.get(base.casefold(), int(base) if base.isdigit() and len(base) < 3 else 0)
    sign, digits = ("-", match[1][1:].upper()) if match[1][0] == "-" else ("", match[1].upper())
    if not 2 <= base <= 16 or any(int(digit, 16) >= base for digit in digits.replace(".", "")):
        return None
    if not any(c.isdigit() for c in match[1]) and len(match[1]) == 1:
        return None  # the name A_{12}
    return Based(sign + (digits.lstrip("0") or "0"), base)
