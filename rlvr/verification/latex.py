r"""A small parser of LaTeX formulas: text in `notation.normal_form` to one sympy object, strictly.

What it does not know makes it raise `Unreadable`; nothing is guessed or passed over. All numbers become exact
rationals. The grammar, from loose to tight:

| level | forms |
|---|---|
| sum | `a + b - c` |
| product | `a \cdot b`, `a \times b`, `a * b`, `a / b`, `ab`; from left to right |
| sign | `-a` |
| function | `\sin 2x`, `\log_2 8`, `\sin^2 x`, `\operatorname{sgn}(x)`, `f(x)` |
| power | `a^b`, `a^{b}`, `a!`, `90^\circ` |
| atom | `12.5`, `0.\overline{3}`, `x_{12}`, `x'`, `\frac12`, `\sqrt[3]{2}`, `(a)`, `|a|`, a matrix |

`e` and `i` are the constants, `f(x)` is a function where `f` is a letter that functions have or the argument
is no sum, `2\frac13` is a mixed number, degrees inside a function are degrees and elsewhere a unit. Short
sums and products over integers are added up; integrals, limits and endless things are `Unreadable`.
"""

import re
from functools import lru_cache

import sympy
from sympy import MatrixBase

from rlvr.verification.functions import (
    ANGULAR,
    CONSTANTS,
    FUNCTIONS,
    GREEK,
    INVERSES,
    NO_VALUE,
    SEVERAL,
    Unreadable,
    Value,
    binomial,
    bounded,
    determinant,
    exact,
    expanded,
    factorial,
    finite,
    power,
    symbol,
    times,
)

MAX_TERMS = 200  # of a sum that is added up
MAX_FORMULAS = 50  # of one whose terms are no rational numbers

_TOKEN = re.compile(
    r"(?P<number>\d*\.\d*\\overline\s*\{\d+\}|\d+\.?\d*(?:[eE][+-]?\d{1,4}(?![\dA-Za-z]))?|\.\d+)"
    r"|(?P<environment>\\(?:begin|end)\s*\{[a-zA-Z*]+\}(?:\{[clr| ]*\})?)"
    r"|(?P<name>\\(?:text|overline|bar|vec|hat|tilde|widehat|widetilde|dot|ddot|overrightarrow|mathbb|mathcal"
    r"|mathscr|mathfrak|overleftrightarrow)\s*(?:\{[^{}]*\}|[A-Za-z]))"
    r"|(?P<command>\\[A-Za-z]+)|(?P<escaped>\\.)|(?P<letter>[A-Za-z])|(?P<sign>[^\s\\])"
)

_FUNCTION_LETTERS = frozenset([*"fgFGP", r"\phi", r"\psi", r"\Phi", r"\Psi", r"\Gamma", r"\zeta"])
_DERIVATIVE = re.compile(r"\\frac\s*\{\s*d\s*(\\?[A-Za-z]*)\s*\}\s*\{\s*d\s*([A-Za-z])\s*\}")
_CLOSING = {
    "(": ")", "[": "]", "{": "}", "|": "|", r"\{": r"\}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"
}  # fmt: skip
_STOPS = frozenset([*"+-,=<>)]}:;&", r"\}", r"\rfloor", r"\rceil", r"\\"])


@lru_cache(maxsize=8192)
def read_formula(text: str) -> Value:
    """The value of a formula. Raises Unreadable."""
    try:
        parser = _Parser(text)
        value = parser.sum()
        if parser.position != len(parser.tokens):
            raise Unreadable(f"cannot read on at {parser.next()!r}")
        return finite(value)
    except Unreadable:
        raise
    except NO_VALUE as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


class _Parser:
    """A cursor on the tokens of one formula; each method reads one level of the grammar."""

    def __init__(self, text: str) -> None:
        # a derivative is a name here, not a quotient of products
        found = list(_TOKEN.finditer(_DERIVATIVE.sub(r"\\text{d\1/d\2}", text)))
        self.tokens = [match[0] for match in found]
        self.kinds = [match.lastgroup for match in found]
        self.position = 0
        self.in_function = 0
        self.bars = 0
        self.indices: dict[str, Value] = {}  # of a sum that is being added up

    # -- the cursor
    def next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def kind(self) -> str | None:
        return self.kinds[self.position] if self.position < len(self.tokens) else None

    def take(self, *wanted: str) -> str:
        """The next token, which has to be one of those wanted, if any are named."""
        token = self.next()
        if not token or (wanted and token not in wanted):
            raise Unreadable(f"{token or 'the end'!r} in the place of {' or '.join(wanted) or 'more'}")
        self.position += 1
        return token

    def accept(self, *wanted: str) -> bool:
        if self.next() in wanted:
            self.position += 1
            return True
        return False

    # -- levels
    def sum(self) -> Value:
        value = self.product()
        while self.next() in ("+", "-"):
            sign = self.take()
            term = self.product()
            value = value + term if sign == "+" else value - term
        return value

    def product(self, *, stop_at_functions: bool = False) -> Value:
        value = self.signed()
        while True:
            token = self.next()
            if token in ("*", r"\cdot", r"\times"):
                if stop_at_functions:
                    return value
                self.take()
                value = times(value, self.signed())
            elif token == "/":
                if stop_at_functions and self._is_function(self.position + 1):
                    return value
                self.take()
                divisor = self.signed()
                value = value * power(divisor, sympy.Integer(-1))
            elif self._begins_a_factor() and not (stop_at_functions and self._is_function(self.position)):
                first = self.position + (token == "{")  # {2}{3} looks like 23
                if "number" in self.kinds[first : first + 1] and self.tokens[self.position - 1] not in ")!":
                    raise Unreadable("a number after a factor")
                value = times(value, self.raised())
            else:
                return value

    def _begins_a_factor(self) -> bool:
        token = self.next()
        if not token or token in _STOPS or token in ("^", "_", "!", "'", "%", "/"):
            return False
        if token == "|":
            return self.bars == 0
        return self.kind() != "environment" or token.startswith(r"\begin")

    def _is_function(self, position: int) -> bool:
        token = self.tokens[position] if position < len(self.tokens) else ""
        return token[1:] in FUNCTIONS or token in (r"\log", r"\max", r"\min", r"\gcd", r"\lcm")

    def signed(self) -> Value:
        if self.accept("-"):
            return -self.signed()
        if self.accept("+"):
            return self.signed()
        return self.raised()

    def raised(self) -> Value:
        value = self.atom()
        while True:
            if self.accept("!"):
                if self.next() == "!":
                    raise Unreadable("two factorials, or a double one")
                value = factorial(value)
            elif self.next() == "^":
                self.take()
                if self.accept(r"\circ"):
                    value = value * sympy.pi / 180 if self.in_function else value
                    continue
                value = power(value, self.script())
                if self.next() == "^":
                    raise Unreadable("a power of a power without braces")
            else:
                return value

    def script(self) -> Value:
        """What stands after a sign of power: a group, or one token, where a number counts as one."""
        if self.next() == "{":
            return self.group()
        sign = -1 if self.accept("-") else 1  # 2^3\frac12 is eight halves, not a power with a mixed number
        return sign * (exact(self.take()) if self.kind() == "number" else self.atom())

    def group(self) -> Value:
        """What stands between braces, or the one digit, letter or command that LaTeX would take."""
        if self.next() != "{":
            if self.kind() == "number" and len(self.next()) > 1:  # \frac12 is one over two
                digits = self.next()
                if not digits.isdigit():
                    raise Unreadable("a decimal without braces")
                self.tokens[self.position : self.position + 1] = list(digits)
                self.kinds[self.position : self.position + 1] = ["number"] * len(digits)
            return exact(self.take()) if self.kind() == "number" else self.atom()
        return self.bracketed()

    def bracketed(self) -> Value:
        opening = self.take()
        bars, self.bars = self.bars, int(opening == "|")
        value = self.sum()
        self.take(_CLOSING[opening])
        self.bars = bars
        return value

    def arguments(self, *brackets: str) -> list[Value]:
        """Values with commas between them, in one of these brackets."""
        closing = _CLOSING[self.take(*brackets)]
        values = [self.sum()]
        while self.accept(","):
            values.append(self.sum())
        self.take(closing)
        return values

    # -- atoms
    def atom(self) -> Value:
        token, kind = self.next(), self.kind()
        if kind == "number":
            return self.number()
        if token in ("(", "[", "{"):
            return self.bracketed()
        if token == "|" and not self.bars:
            inner = self.bracketed()
            return determinant(inner) if isinstance(inner, MatrixBase) else sympy.Abs(inner)
        if token in (r"\lfloor", r"\lceil"):
            return (sympy.floor if token == r"\lfloor" else sympy.ceiling)(self.bracketed())
        if kind == "environment" and token.startswith(r"\begin"):
            return self.matrix()
        if kind in ("letter", "name") or token in GREEK or token in CONSTANTS:
            return self.named()
        if kind == "command":
            return self.command()
        raise Unreadable(f"{token or 'the end'!r} in the place of a value")

    def number(self) -> Value:
        value = exact(self.take())
        if value.is_Integer and self.next() == r"\frac":  # 2\frac13 is a mixed number, 2\frac{x}{3} is none
            part = self.atom()
            if part.is_Rational and part.is_positive:
                if part >= 1:
                    raise Unreadable("a mixed number with an improper fraction")
                return value + part
            return value * part
        return value

    def named(self) -> Value:
        name = self.take()
        if name in self.indices and self.next() not in ("_", "'"):
            return self.indices[name]
        if self.next() == "_":
            self.take()
            name += "_" + self.raw_group()
        while self.accept("'"):
            name += "'"
        if name == r"\gamma":
            return symbol(name)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if match := re.fullmatch(r"\\text\s*\{\s*([A-Za-z])\s*\}(.*)", name):
            name = match[1] + match[2]
        if self.next() == "(" and (applied := self.application(name)) is not None:
            return applied
        return symbol(name)

    def application(self, name: str) -> Value | None:
        """f(x), as a symbol of its own; None where the bracket is a factor, as in `x(x+1)`."""
        start = self.position
        arguments = self.arguments("(")
        is_function = len(arguments) > 1 or name.rstrip("'") in _FUNCTION_LETTERS or "'" in name
        if is_function or len(name) > 1 or arguments[0].is_Symbol or arguments[0].is_Number:
            inside = ",".join(map(str, map(expanded, arguments)))
            return sympy.Symbol(f"{symbol(name).name}({inside})", real=True)
        self.position = start
        return None

    def raw_group(self) -> str:
        """The text of a group, for a name: nothing in it is computed."""
        if self.next() != "{":
            return self.take()
        depth, start = 0, self.position
        while True:
            token = self.take()
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return "".join(self.tokens[start + 1 : self.position - 1])

    def command(self) -> Value:
        name = self.take()[1:]
        if name == "frac":
            over = self.group()
            return over * power(self.group(), sympy.Integer(-1))
        if name == "sqrt":
            return self.root()
        if name in ("binom", "dbinom", "tbinom"):
            return binomial(self.group(), self.group())
        if name == "log":
            return self.logarithm()
        if name in SEVERAL:
            return SEVERAL[name](*self.arguments("(", "{", r"\{"))
        if name in ("sum", "prod"):
            return self.series(name)
        if name == "det":
            return determinant(self.atom())
        if name in ("angle", "triangle", "measuredangle"):
            return self.figure(name)
        if name in FUNCTIONS:
            return self.function(name)
        raise Unreadable(f"the command \\{name}")

    def root(self) -> Value:
        degree = sympy.Integer(2)
        if self.accept("["):
            degree = self.sum()
            self.take("]")
        base = self.group()
        if degree.is_Integer and degree % 2 == 1 and base.is_number and base.is_negative:
            return -power(-base, 1 / degree)  # the real root, not the principal one
        return power(base, 1 / degree)

    def logarithm(self) -> Value:
        base = self.group() if self.accept("_") else 10
        return self.function("log", lambda x: sympy.log(x, base))

    def function(self, name: str, applied: object = None) -> Value:
        applied = applied or FUNCTIONS[name]
        exponent = None
        if self.accept("^"):
            exponent = self.script()
            if exponent == -1 and name in INVERSES:
                applied, exponent = INVERSES[name], None
        inside, self.in_function = self.in_function, self.in_function or int(name in ANGULAR)
        if self.next() in ("(", "[", "{"):
            argument = self.bracketed()
            if self.accept("!"):
                argument = factorial(argument)
        elif self._is_function(self.position):
            argument = self.raised()
        else:
            argument = self.product(stop_at_functions=True)
        self.in_function = inside
        value = applied(argument)
        return value if exponent is None else power(value, exponent)

    def series(self, name: str) -> Value:
        """A short sum or product over integers, added up; anything longer is work left undone."""
        self.take("_")
        self.take("{")
        index = self.take()
        self.take("=")
        first = self.sum()
        self.take("}")
        self.take("^")
        last = self.script()
        if not (first.is_Integer and last.is_Integer and 0 <= last - first < MAX_TERMS) or self.indices:
            raise Unreadable("a sum that is not added up")
        total, start = sympy.Integer(name == "prod"), self.position
        for k in range(int(first), int(last) + 1):  # each term is read anew, so that its size has bounds
            self.position, self.indices[index] = start, sympy.Integer(k)
            term = self.product()
            total = finite(total + term if name == "sum" else times(bounded(total), term))
            if not total.is_Rational and k - first >= MAX_FORMULAS:
                raise Unreadable("a long sum of formulas")
        del self.indices[index]
        return total

    def figure(self, name: str) -> Value:
        letters = ""
        while self.kind() == "letter":
            letters += self.take()
            if self.accept("_"):
                letters += "_" + self.raw_group()
        return symbol(f"{name} {letters or self.take()}")

    def matrix(self) -> Value:
        name = re.sub(r"\\begin\s*\{|\}.*", "", self.take())
        if name not in ("pmatrix", "bmatrix", "matrix", "vmatrix", "Bmatrix", "array", "smallmatrix"):
            raise Unreadable(f"the environment {name}")
        rows: list[list[Value]] = [[]]
        while not self.next().startswith(r"\end"):
            if self.accept(r"\\"):
                rows.append([])
                continue
            rows[-1].append(self.sum())
            if not self.accept("&") and self.next() != r"\\" and not self.next().startswith(r"\end"):
                raise Unreadable("a cell of a matrix")
        self.take()
        matrix = sympy.ImmutableMatrix([row for row in rows if row])
        return determinant(matrix) if name == "vmatrix" else matrix
