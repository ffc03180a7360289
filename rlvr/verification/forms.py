r"""What kind of answer a text is. `reading` turns a normal form into a tree of these forms, without any
algebra.

| form | texts | equal if |
|---|---|---|
| Number | `12`, `1,200`, `-3/4`, `2\frac13`, `1.5e-3`, `5 million` | same number; see `Number` for decimals |
| Percent | `9%`, `9 percent` | same per cent; against a plain number 9 or 0.09 |
| Quantity | `5\text{ cm}`, `90^\circ`, `\$5`, `3 hours 20 minutes` | same value; and unit, if both name one |
| Based | `1011_2`, `2A_{16}` | same digits and base; the answer may leave the base out, not change it |
| Clock | `12:30`, `9 pm`, `3:05:10` | same time; an answer may add am or pm |
| Ratio | `3:2`, `1:2:5` | proportional, with as many parts; of two, also the quotient |
| Words | `Evelyn`, `no solution`, `HTH`, `XIX`, `5 or more` | same letters in the same order, in any case |
| Several | `1, 2`, `3 and 5`, `\pm 2`, `x=1, y=2` | same parts in any order, repeats counted |
| Bracketed | `(1,2)`, `[0,1)`, `\langle 1,2\rangle` | same parts in this order, same brackets |
| Collection | `\{1,2\}`, `\emptyset` | same parts in any order, repeats not counted |
| Joined | `A\cup B`, `\mathbb{R}\setminus\{0\}` | same set of numbers |
| Relation | `x=3`, `y=2x+1`, `1<x\le 2`, `x\in S` | same name and value, or the same equation or inequality |
| Formula | everything else | same value everywhere (`equality`) |

Letters in a row are a word, never a product, if they are all of a reference or an answer; only `xyz` and the
few of `reading._PRODUCTS` are read as products there. Case of words does not count, case of variables does.
"""

from dataclasses import dataclass
from fractions import Fraction

from rlvr.verification.units import Unit


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational, and how it was written: `places` after the point where it is an approximation.

    A decimal counts as one if it has at least SIGNIFICANT digits, zeros at its end not counted. It then
    stands for whatever rounds or is cut to it. All others are exactly what they say; one that goes on with
    the period that it ends with (`0.333...`, `0.1616...`) is that fraction.
    """

    value: Fraction
    places: int | None = None


@dataclass(frozen=True, slots=True)
class Formula:
    text: str


@dataclass(frozen=True, slots=True)
class Words:
    text: str


@dataclass(frozen=True, slots=True)
class Percent:
    value: "Form"


@dataclass(frozen=True, slots=True)
class Quantity:
    value: "Form"
    unit: Unit


@dataclass(frozen=True, slots=True)
class Based:
    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds since midnight, or within half a day where am or pm is not said; `half` is a, p or empty."""

    seconds: int
    half: str


@dataclass(frozen=True, slots=True)
class Ratio:
    parts: tuple["Form", ...]


@dataclass(frozen=True, slots=True)
class Several:
    parts: tuple["Form", ...]
    either: bool | None = None  # joined by "or" (True), "and" (False), or neither


@dataclass(frozen=True, slots=True)
class Bracketed:
    opening: str
    parts: tuple["Form", ...]
    closing: str


@dataclass(frozen=True, slots=True)
class Collection:
    parts: tuple["Form", ...]


@dataclass(frozen=True, slots=True)
class Joined:
    operator: str
    parts: tuple["Form", ...]


@dataclass(frozen=True, slots=True)
class Relation:
    operands: tuple["Form", ...]
    operators: tuple[str, ...]
    texts: tuple[str, ...]  # of the operands


Form = (
    Number | Formula | Words | Percent | Quantity | Based | Clock | Ratio | Several | Bracketed | Collection
    | Joined | Relation
)  # fmt: skip

SIGNIFICANT = 4
