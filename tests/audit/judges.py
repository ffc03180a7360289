"""Judges of scale laptop's puzzles, of their own: from a problem's id and the text of an answer."""

import math
import re
from collections import Counter

TOKEN = re.compile(r"\d+|[-+*()]")


class NotAnExpression(Exception):
    """A text that is no expression over whole numbers."""


def judge(problem_id: str, text: str) -> bool | None:
    """Whether an answer is right; None for a kind of problem that there is no judge of here."""
    source, _, asked = problem_id.partition("/")
    if source == "countdown":
        return is_countdown(asked, text)
    if source == "gcd":
        return text.strip() == str(math.gcd(*map(int, re.findall(r"\d+", asked))))
    if source == "chain_sum":
        return text.strip() == str(value_of(asked.removeprefix("compute "))[0])
    return None


def is_countdown(asked: str, text: str) -> bool:
    """`3-12-12=27[+-*]`: each number once, these operators alone, and the target."""
    numbers, target, operators = re.fullmatch(r"([\d-]+)=(-?\d+)\[(.+)\]", asked).groups()
    try:
        value, used, signs = value_of(text)
    except NotAnExpression:
        return False
    given = Counter(map(int, numbers.split("-")))
    return value == int(target) and used == given and signs <= set(operators)


def value_of(text: str) -> tuple[int, Counter, set[str]]:
    """The value of an expression, the numbers in it and the operators; no sign stands before a number."""
    tokens = TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text) or not tokens:
        raise NotAnExpression(text)
    used: Counter = Counter()
    signs: set[str] = set()

    def operand() -> int:
        token = tokens.pop(0) if tokens else ""
        if token == "(":
            value = chain(("+", "-"))
            if not tokens or tokens.pop(0) != ")":
                raise NotAnExpression(text)
            return value
        if not token.isdigit():
            raise NotAnExpression(text)
        used[int(token)] += 1
        return int(token)

    def chain(operators: tuple[str, ...]) -> int:
        part = operand if operators == ("*",) else lambda: chain(("*",))
        value = part()
        while tokens and tokens[0] in operators:
            sign = tokens.pop(0)
            signs.add(sign)
            right = part()
            value = {"+": value + right, "-": value - right, "*": value * right}[sign]
        return value

    value = chain(("+", "-"))
    if tokens:
        raise NotAnExpression(text)
    return value, used, signs
