r"""How many answers a second: `python -m tests.attack.throughput [workers]`.

Ordinary answers are drawn from the kinds that benchmarks have, all different, none written like its
reference. Half are integers, as in the training sets, and need no parser; the second figure is for the
others alone. The third has a hostile answer after every twentieth ordinary one.
"""

import random
import statistics
import sys
import time

from rlvr.verification.pool import Pair, VerifierPool

REFERENCES = ("42", r"\frac{3}{7}", "x^2+1", "(1,2)")
HOSTILE = {
    "tower of powers": "9**9**9**9",
    "tower of powers in LaTeX": "10^{10^{10}}",
    "tower of powers in brackets": "9^{(9)^{(9)^{9}}}",
    "powers of powers": "((10^{999})^{999})^{999}",
    "nested braces": "{" * 10_000 + "1" + "}" * 10_000,
    "nested functions": r"\sin(" * 9 + "x" + ")" * 9,
    "a megabyte of fractions": r"\frac{" * 170_000 + "}" * 170_000,
    "an unfinished fraction": r"\frac{" * 40,
    "factorial of a billion": "1000000000!",
    "factorial of a power": r"(10^{9})!",
    "binomial coefficient": r"\binom{10^9}{5\cdot 10^8}",
    "null bytes": "\0" * 200,
    "right-to-left marks": "\u202e42\u202c\u200f" * 20,
    "a million items": ",".join(["1"] * 1_000_000),
    "a hundred items": ",".join(["1"] * 100),
    "sum of a billion terms": r"\sum_{k=1}^{10^9}\frac{1}{k^3+1}",
    "product of many terms": r"\prod_{k=1}^{100000}(x+k)",
    "expansion": "(a+b+c+d+e+f)^{60}-1",
    "integral": r"\int_0^1 e^{-x^2}\sin(x^3)\,dx",
    "indefinite integral": r"\int \frac{\sin x}{x^5+x+1}\,dx",
    "limit": r"\lim_{n\to\infty}\frac{n!}{n^n e^{-n}\sqrt{n}}",
    "determinant": r"\det\begin{pmatrix}1&2\\3&4\end{pmatrix}",
    "equation of high degree": "x^{97}+x^{61}+x-1=0",
    "greatest common divisor": r"\gcd(10^{50}+1,10^{49}+3)",
    "digits": "7" * 290,
    "minus signs": "-" * 290 + "1",
    "dollar signs": "$a" * 140,
    "unfinished environments": r"\[" * 140,
    "Python": "__import__('os').system('touch /tmp/owned')",
    "Python in LaTeX": r"\text{__import__('os')._exit(0)}",
    "LaTeX that runs": r"\write18{touch /tmp/owned}\input{/etc/passwd}\def\x{\x}\x",
}


def ordinary(count: int, *, integers: bool, seed: int = 0) -> list[Pair]:
    """`count` different (reference, completion) pairs; about a third are right in another notation."""
    draw = random.Random(seed)

    def number() -> int:
        return draw.randint(2, 9999)

    def pair() -> Pair:
        a, b, c = number(), number(), draw.randint(2, 99)
        kinds = [
            (rf"\frac{{{a}}}{{{b}}}", f"{a}/{b}", f"{a}/{c}"),
            (rf"{c}\sqrt{{{a}}}", rf"\sqrt{{{a}}}\cdot {c}", rf"{c}\sqrt{{{b}}}"),
            (rf"\frac{{{a}\pi}}{{{c}}}", rf"\frac{{{a}}}{{{c}}}\pi", rf"{a}\pi"),
            (f"({a}, {b})", rf"\left({a},{b}\right)", f"({b}, {a})"),
            (f"{c}x^2+{a}x-{b}", f"{a}x-{b}+{c}x^2", f"{c}x^2+{b}x-{a}"),
            (f"{a}.{c}", rf"{a}.{c}0", f"{b}.{c}"),
            (rf"[{a}, \infty)", rf"[{a},\infty)", rf"({a}, \infty)"),
            (f"y={a}x+{b}", f"y={b}+{a}x", f"y={a}x-{b}"),
            (rf"\frac{{{a}+\sqrt{{{b}}}}}{{{c}}}", rf"\frac{{\sqrt{{{b}}}+{a}}}{{{c}}}", rf"\sqrt{{{b}}}"),
            (rf"2^{{{c}}}-{a}", rf"-{a}+2^{{{c}}}", f"{a}-{b}"),
            (rf"{a}\%", rf"{a}.0\%", rf"{b}\%"),
        ]
        reference, right, wrong = draw.choice(kinds)
        if integers and draw.random() < 0.5:
            reference, right, wrong = str(a), rf"{a}\text{{ cm}}", str(b)
        answer = right if draw.random() < 1 / 3 else wrong
        return reference, rf"... so the answer is \boxed{{{answer}}}."

    return [pair() for _ in range(count)]


def hostile(count: int, seed: int = 0) -> list[Pair]:
    """`count` (reference, completion) pairs, the completions being HOSTILE in turn."""
    answers, references = list(HOSTILE.values()), random.Random(seed)
    return [(references.choice(REFERENCES), rf"\boxed{{{answers[i % len(answers)]}}}") for i in range(count)]


def seconds(pool: VerifierPool, pairs: list[Pair]) -> float:
    start = time.perf_counter()
    pool.verify(pairs)
    return time.perf_counter() - start


def main() -> None:
    workers, count, rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2, 1000, 10
    plain, parsed, ratios = [], [], []
    with VerifierPool(workers) as pool:
        pool.verify(
            ordinary(300, integers=True, seed=-1) + hostile(4 * len(HOSTILE))
        )  # all are ready and warm
        for round_ in range(rounds):
            plain.append(seconds(pool, ordinary(count, integers=True, seed=3 * round_)))
            parsed.append(seconds(pool, ordinary(count, integers=False, seed=3 * round_ + 1)))
            mixed = ordinary(count, integers=True, seed=3 * round_ + 2) + hostile(count // 20, round_)
            random.Random(round_).shuffle(mixed)
            ratios.append(plain[-1] / seconds(pool, mixed))
        print(f"{workers} workers, medians of {rounds} rounds of {count} ordinary answers:")
        print(f"  {count / statistics.median(plain):6.0f} ordinary answers a second")
        print(f"  {count / statistics.median(parsed):6.0f} a second of those that need the parser")
        print(f"  {statistics.median(ratios):6.0%} of the ordinary rate among hostile answers")
        print(f"  verdicts: {dict(pool.counts)}; {pool.replaced} processes replaced")


if __name__ == "__main__":
    main()
