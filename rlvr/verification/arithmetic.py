"""Checks arithmetic answers by parsing them; nothing a policy writes is ever evaluated as code."""

import re

from rlvr.data import Problem, Verdict

TOKEN = re.compile(r"\s*([0-9]{1,6}|[-+*()])")
MAX_TOKENS = 64  # bounds time, depth of nesting and the size of any product


class NotAnExpression(ValueError):
    """The text is not an arithmetic expression over integers."""


def parse_expression(text: str) -> tuple[int, list[int], set[str]]:
    """Value, numbers used (in order of appearance) and operators used of an integer expression.

    The grammar is sums and differences of products of numbers and bracketed expressions, with the
    usual precedence and no unary sign. Raises NotAnExpression for anything else.
    """
    tokens, position = [], 0
    text = text.strip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None or len(tokens) == MAX_TOKENS:
            raise NotAnExpression(text[:80])
        tokens.append(match.group(1))
        position = match.end()
    tokens.append("")  # the end

    numbers: list[int] = []
    operators: set[str] = set()
    index = 0

    def take() -> str:
        nonlocal index
        index += 1
        return tokens[index - 1]

    def sum_() -> int:
        value = product()
        while tokens[index] in ("+", "-"):
            operator = take()
            operators.add(operator)
            value = value + product() if operator == "+" else value - product()
        return value

    def product() -> int:
        value = factor()
        while tokens[index] == "*":
            operators.add(take())
            value *= factor()
        return value

    def factor() -> int:
        token = take()
        if token.isdigit():
            numbers.append(int(token))
            return numbers[-1]
        if token == "(":
            value = sum_()
            if take() == ")":
                return value
        raise NotAnExpression(text[:80])

    value = sum_()
    if index != len(tokens) - 1:
        raise NotAnExpression(text[:80])
    return value, numbers, operators


def verify_expression(problem: Problem, text: str) -> Verdict:
    """An expression of the problem's numbers, each used once, that equals its answer."""
    if (reference := parse_integer(problem.answer)) is None:
        return Verdict.REFERENCE_UNPARSABLE
    try:
        value, numbers, operators = parse_expression(text)
    except NotAnExpression:
        return Verdict.NO_ANSWER
    right = (
        value == reference
        and sorted(numbers) == sorted(problem.metadata["numbers"])
        and operators <= set(problem.metadata["operators"])
    )
    return Verdict.CORRECT if right else Verdict.WRONG


INTEGER = re.compile(r"(-?)\s*([0-9]{1,18})")


def parse_integer(text: str) -> int | None:
    """The integer that is all of a text, or None."""
    match = INTEGER.fullmatch(text.strip())
    return None if match is None else int(match.group(1) + match.group(2))


def verify_integer(problem: Problem, text: str) -> Verdict:
    """The integer that is the problem's answer, and nothing else."""
    reference, answer = parse_integer(problem.answer), parse_integer(text)
    if reference is None:
        return Verdict.REFERENCE_UNPARSABLE
    if answer is None:
        return Verdict.NO_ANSWER
    return Verdict.CORRECT if answer == reference else Verdict.WRONG
