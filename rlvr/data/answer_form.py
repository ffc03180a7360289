"""What two right answers have in common: the form of an expression, whatever the order of its parts."""

import ast
import re

_EXPRESSION = re.compile(r"[0-9+*() -]{1,200}")  # bounds the parser's time and depth


def answer_form(text: str) -> str:
    """One text for all expressions that differ only in the order of terms and factors, or in brackets.

    3+4*2, 2*4+3 and 3+(4*2) have one form; 3*(4+2) has another. Nothing is multiplied out or added up. A text
    that is no expression of integers with +, - and * is its own form, but for the white space.
    """
    words = " ".join(text.split())
    if not _EXPRESSION.fullmatch(words):
        return words
    try:
        return _form(ast.parse(words, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return words


def _form(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=int(value)):
            return str(value)
        case ast.BinOp(op=ast.Mult()):
            return "*".join(sorted(_form(factor) for factor in _factors(node)))
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return "(" + "".join(sorted(f"{sign}{_form(term)}" for sign, term in _terms(node, "+"))) + ")"
    raise ValueError("an operator that is none of + - *")


def _factors(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return [*_factors(left), *_factors(right)]
    return [node]


def _terms(node: ast.expr, sign: str) -> list[tuple[str, ast.expr]]:
    """The terms of nested sums and differences, each with its sign."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*_terms(left, sign), *_terms(right, sign)]
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return [*_terms(left, sign), *_terms(right, "-" if sign == "+" else "+")]
    return [(sign, node)]
