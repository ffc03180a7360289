r"""Answers meant to be taken for right without being it, or to break the verifier: `python -m
tests.attack.verdicts`.

Families are generated from references of every kind, so each case has an expected verdict by construction:
what breaks, hangs or says several things is not right, nor is a neighbour of the right answer; the right
answer in another spelling is. All go through the real pool in one call. Counted are outcomes, answers that
passed without being right (false_yes), right ones that failed (false_no), and those that escaped a verdict
(unscorable).
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator

from rlvr.data import UNSCORABLE, Verdict
from rlvr.verification.pool import VerifierPool
from tests.attack.mistakes import MISTAKES
from tests.attack.outcomes import spread
from tests.attack.pairs import PAIRS
from tests.attack.throughput import HOSTILE

Case = tuple[str, str, bool]  # reference, answer, is it right

# kind: references that have nothing in common, so that each is a wrong answer to every other
REFERENCES = {
    "integer": "4127", "negative": "-83", "fraction": r"\frac{29}{7}", "decimal": "18.35",
    "tiny": r"6.63\times 10^{-34}",
    "irrational": r"3\sqrt{5}-2", "base": "1330_5", "clock": "7:45 pm", "ratio": "3:8", "word": "Evelyn",
    "letters": "HTHT", "roman": "XIX", "list": "16,3,1,1", "pair": "81, 256", "tuple": "(2,-9)",
    "interval": "[4,11)",
    "set": r"\{5,7,12\}", "union": r"(-\infty,1)\cup(6,\infty)", "polynomial": "x^2-5x+9",
    "two variables": "a^2b-3ab",
    "function": "f(x)=x^3-2", "line": "y=3x-8", "inequality": "2<x<9", "complex": "6-5i", "matrix":
    r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", "percent": r"37\%", "money": r"\$91", "length": r"23\text{ cm}",
    "million": r"5\text{ million}", "angle": r"134^\circ", "trigonometric": r"\sin^2 x\cos y",
    "case": r"\pi(R^2-r^2)",
}  # fmt: skip

BREAKS = [
    "(-5)!", r"\sum_{k=1}^{\infty} k", r"\int_{-1}^{1}\frac{1}{x}dx", r"\lfloor\pi^{9999}\rfloor",
    r"\sum_{k=1}^{9999}k^k",
    "(10^{(10^{(9)})})!", r"\prod_{n=1}^{\infty} n", r"\frac{0}{0}", r"(\frac00,2)", r"[\frac{0}{0},1]",
    r"\Gamma(0)",
    r"\binom{-1}{-1}", r"\frac{1}{(-2)!}", r"\tan 90^\circ", r"\max(\ln(-9580),-3292)",
    r"\sqrt{\begin{pmatrix}n\\2\end{pmatrix}}",
    r"2+\begin{pmatrix}1&2\end{pmatrix}", r"\infty-\infty", r"\log_1 5", r"\ln 0", r"x^{x^{x}}",
    r"((((9!)!)!)!)",
    "9^{(4+5)^{(4+5)^{9}}}", r"\lim_{x\to0}\frac1x", r"\cos(10^{9999})", r"e^{e^{9999}}", r"\sqrt[0]{5}",
    r"\gcd(x,y)",
    r"\det\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1&2\\3\end{pmatrix}", r"\{\{\{\}\}\}",
    r"\operatorname{eig}(3)",
    r"\pm\pm\pm\pm 1", "x=y=z=x", "1=2", "0=0", "x<x", r"x\in x", r"\text{}", r"{}", r"(,)", ":::", "%%",
    "_", "^", "'",
    r"\frac", r"\sqrt", r"\begin{pmatrix}", r"\end{pmatrix}", r"\left", "\ud800", "\U0010ffff", "NaN", "nan",
    "inf", "True",
    r"\phantom{4127}", "3_{}", "3_{ }", "_{}", "x_{}^{}",
    "a" * 290, "1," * 140, r"\frac12" * 40, "(" * 9 + "x" + ")" * 9, "|" * 8, r"\binom{9999}{4999}^{99}",
    "2999!^{2}", r"(2999!)^{9999}", "x^{9999}+1", r"\sin(\sin(\sin(\sin(\sin(x^9)))))",
    r"\prod_{k=1}^{200}(x+k)",
    r"\begin{vmatrix}a&b&c&d\\e&f&g&h\\i&j&k&l\\m&n&o&p\end{vmatrix}",
    r"((\begin{pmatrix}a&b\\c&d\end{pmatrix}^{4})^4)^4",
    r"\begin{pmatrix}\sqrt2&\sqrt3&1\\\pi&e&\sqrt5\\1&\sqrt7&3\end{pmatrix}^{-50}",
    r"\sum_{k=1}^{200}\sum_{j=1}^{200}\frac{1}{j+k+x}", r"\prod_{k=1}^{200}2^{9999k}",
    r"\prod_{k=1}^{50}\begin{pmatrix}x&k\\1&k\end{pmatrix}",
    r"\sum_{k=1}^{9}k^{k^{k}}",
    r"\sum_{k=1}^{200}|x-k|", r"f((x+y+z)^{99})", r"f((a+b)(c+d)(g+h)(j+k)(l+m)(n+o)(p+q)(r+s)(t+u)(v+w))",
    r"\arg((x+iy)^{999})", r"\sqrt{2^{9999}+1}", r"\sqrt[7]{2999!+1}", r"\binom{n}{9999}\binom{m}{9998}",
    r"\cup".join(rf"(\sqrt{{{k}}},\sqrt{{{k + 1}}})" for k in range(2, 14)),
]  # fmt: skip


def breaking() -> Iterator[Case]:
    """What has no value, or one beyond any machine, against every kind of reference."""
    for reference, answer in itertools.product(REFERENCES.values(), [*BREAKS, *HOSTILE.values()]):
        yield reference, answer, False


def of_another_kind() -> Iterator[Case]:
    """Each reference as the answer to every other."""
    for one, other in itertools.permutations(REFERENCES.values(), 2):
        yield one, other, False


def several_guesses(draw: random.Random) -> Iterator[Case]:
    """The right answer among others in one box."""
    for reference in REFERENCES.values():
        other = str(draw.randint(10_000, 99_999))
        for answer in (
            f"{reference}, {other}", rf"{reference} \text{{ or }} {other}", f"{other} or {reference}",
            f"{reference};{other}",
            rf"{reference} \quad {other}", f"{reference} {other}", rf"\{{{reference},{other}\}}",
            f"{reference}={other}",
            f"{other}={reference}", f"not {reference}", f"{reference} is wrong", rf"\ne {reference}",
            f"({reference},{other})",
            rf"\text{{either }} {reference} \text{{ or not}}",
        ):  # fmt: skip
            yield reference, answer, False


def letters(draw: random.Random) -> Iterator[Case]:
    """Words of two to six letters and their other orders, also as products."""
    for length in range(2, 7):
        for alphabet in ("HT", "ABCDE", "IVX", "NSEW", "abdegiknoprst"):
            word = "".join(draw.choices(alphabet, k=length))
            other = "".join(draw.sample(word, length))
            yield word, other, other == word
            yield rf"\text{{{word}}}", rf"\text{{{other}}}", other == word
            yield word, word.swapcase(), True  # case of words does not count
            yield word, r"\cdot ".join(other), False
            yield word, "*".join(word), False
            yield word, word[:-1], False


def numbers(draw: random.Random) -> Iterator[Case]:
    """Integers, decimals and fractions beside their neighbours, in spellings and sizes of all kinds."""
    for _ in range(40):
        n, d, power = draw.randint(1001, 99_999), draw.choice((3, 7, 9, 11, 13)), draw.randint(7, 60)
        for right in (
            f"{n:,}", f"{n}.0", f"+{n}", rf"\mathbf{{{n}}}", rf"\text{{{n}}}", f"x={n}", rf"{n}\text{{ km}}",
            f"{n} miles",
        ):  # fmt: skip
            yield str(n), right, True
        for wrong in (
            f"{n + 1}", f"-{n}", f"{n}.5", f"{n}.0001", f"{n}x", f"{n} million", f"{n} fewer", f"{n} pm",
            f"{n}_{{8}}",
            f"{n}!", f"{n}'",
        ):  # fmt: skip
            yield str(n), wrong, False
        n += n % d == 0
        yield rf"\frac{{{n}}}{{{d}}}", f"{n / d:.7f}", True
        yield rf"\frac{{{n}}}{{{d}}}", f"{n}/{d}", True
        yield rf"\frac{{{n}}}{{{d}}}", rf"{n // d}\frac{{{n % d}}}{{{d}}}", True
        yield rf"\frac{{{n}}}{{{d}}}", f"{n // d}", False
        yield rf"\frac{{{n}}}{{{d}}}", f"{n}/{d + 1}", False
        yield f"{n / 1000}e-{power}", rf"{n / 1000}\times 10^{{-{power}}}", True
        for wrong in ("0", "0.0", "0.000000", f"{n / 1000}e-{power + 1}", f"{n / 1000 + 0.01:.3f}e-{power}"):
            yield f"{n / 1000}e-{power}", wrong, False
        yield f"1-10^{{-{power}}}", "1", False
        yield f"1-10^{{-{power}}}", "1.00000000", False
        yield rf"\sqrt{{{n * n + 1}}}+10^{{-{power}}}", rf"\sqrt{{{n * n + 1}}}", False


def in_bases(draw: random.Random) -> Iterator[Case]:
    """A number in one base against itself in others: the question's own number is no answer."""
    for _ in range(20):
        value = draw.randint(60, 9999)
        spelt = {base: _digits(value, base) for base in range(2, 11)}
        base, other = draw.sample(sorted(spelt), 2)
        yield f"{spelt[base]}_{base}", f"{spelt[base]}_{{{base}}}", True
        yield f"{spelt[base]}_{base}", f"{spelt[other]}_{{{other}}}", False
        yield f"{spelt[base]}_{base}", f"{value}_{{10}}", base == 10
        yield f"{spelt[base]}_{base}", f"{_digits(value + 1, base)}_{{{base}}}", False


def _digits(value: int, base: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, base)
        digits = str(digit) + digits
    return digits


def formulas(draw: random.Random) -> Iterator[Case]:
    """Formulas in letters against the same with a sign, letter or case changed, and in another order."""
    for _ in range(40):
        a, b, c = draw.randint(2, 9), draw.randint(10, 99), draw.randint(2, 9)
        x, y = draw.sample("abcmnpqrstuvwxyz", 2)
        reference = f"{a}{x}^{c}-{b}{y}+{a * b}"
        yield reference, f"{a * b}-{b}{y}+{a}{x}^{{{c}}}", True
        yield reference, rf"{a}\left({x}^{c}+{b}\right)-{b}{y}", True
        for wrong in (
            reference.replace("-", "+"), reference.replace(x, x.upper()), reference.replace(y, x),
            f"{reference}+10^{{-40}}", reference.replace(f"^{c}", f"^{{{c}.0001}}"), f"|{reference}|",
            rf"\sqrt{{({reference})^2}}", "0", f"{reference}=0",
        ):  # fmt: skip
            yield reference, wrong, False
        yield f"{x}={a}{y}+{b}", f"{a}{y}-{x}+{b}=0", True
        yield f"{x}={a}{y}+{b}", f"{y}={a}{x}+{b}", False
        yield f"{a}<{x}<{b}", f"({a},{b})", True
        yield f"{a}<{x}<{b}", f"[{a},{b})", False
        yield f"{a}<{x}<{b}", f"{a},{b}", False


def spellings() -> Iterator[Case]:
    """What models write, and what looks like it: tables by hand."""
    for reference, (right, wrong) in itertools.chain(PAIRS.items(), MISTAKES.items()):
        yield from ((reference, answer, True) for answer in right)
        yield from ((reference, answer, False) for answer in wrong)


def cases(seed: int = 0) -> list[Case]:
    """All cases, each once."""
    draw = random.Random(seed)
    families = [breaking(), of_another_kind(), spellings()]
    families += [family(draw) for family in (several_guesses, letters, numbers, in_bases, formulas)]
    return list(dict.fromkeys(itertools.chain(*families)))


def attack(
    seed: int = 0, *, deadline_seconds: float = 20.0, about: int | None = None
) -> tuple[Counter[str], list[Case]]:
    """Counts by outcome, and the cases whose verdict is not the expected one, of all or about so many."""
    tried = spread(cases(seed), about)
    with VerifierPool(2, deadline_seconds=deadline_seconds) as pool:
        verdicts = pool.verify([(reference, rf"\boxed{{{answer}}}") for reference, answer, _ in tried])
        given = {str(verdict): count for verdict, count in pool.counts.items()}
        counts = Counter({"cases": len(tried), "processes_lost": pool.replaced, **given})
    missed = []
    for case, verdict in zip(tried, verdicts, strict=True):
        counts["false_yes"] += not case[2] and verdict is Verdict.CORRECT
        counts["false_no"] += case[2] and verdict is not Verdict.CORRECT
        counts["unscorable"] += verdict in UNSCORABLE
        if (verdict is Verdict.CORRECT) != case[2] or verdict in UNSCORABLE:
            missed.append(case)
    return counts, missed


def main() -> int:
    """Print the counts, and what went wrong; the exit status says whether anything did."""
    counts, missed = attack()
    print(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    for reference, answer, right in missed:
        print(f"{'false no' if right else 'false yes or no verdict'}: {reference!a} <- {answer[:80]!a}")
    return bool(missed)


if __name__ == "__main__":
    raise SystemExit(main())
