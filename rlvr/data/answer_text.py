"""The answer inside a completion: where it stands, and how large it may be.

Nothing here parses mathematics. Both functions are linear in the length of the text, so they may see anything
a policy writes. What two answers have in common is for `equivalence` to say, behind the walls of `pool`.
"""

import re

MAX_TAIL = 50_000  # characters at the end of a completion in which its answer has to begin
MAX_CHARACTERS = 300  # without spaces and sizes of brackets; twice as many with them
MAX_DIGITS = 60  # of one number
MAX_NESTING = 10  # brackets of any kind; the parser's time grows quadratically with it
MAX_POWERS = 30
MAX_BARS = 8

_BOX_OR_BRACE = re.compile(
    r"\\{1,3}(?:boxed|fbox)\s{0,9}"
    r"(?:(?P<box>\{)|(?P<bare>[+-]?\d[\d.,]{0,99}(?<![.,])|(?<=\s)[A-Za-z](?![A-Za-z])))"
    r"|\\.|(?P<open>\{)|(?P<close>\})",
    re.DOTALL,
)


def final_answer(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}` (or `\fbox{...}`) that closes, or None.

    Where several boxes differ the last one counts: a policy that corrects itself is judged by what
    it ends with, and writing many guesses is worth no more than writing one. Of nested boxes the
    innermost counts; an empty box after another is passed over. TeX boxes a number or a letter
    also without braces (`\boxed 5`). An answer outside a box is no answer; no phrase stands in for the box.
    """
    text = text[-MAX_TAIL:]
    first = _BOX_OR_BRACE.search(text, max(text.find("box") - 3, 0)) if "box" in text else None
    if first is None:
        return None
    found = (-1, -1)
    opened: list[int] = []  # where each open brace's content starts; -1 where it is no box
    for token in _BOX_OR_BRACE.finditer(text, first.start()):
        if token["bare"]:
            found = token.span("bare")
        elif token["box"]:
            opened.append(token.end())
        elif token["open"]:
            opened.append(-1)
        elif token["close"] and opened:
            start = opened.pop()
            if start > found[0] and (found[0] < 0 or text[start : token.start()].strip()):
                found = (start, token.start())
    return text[slice(*found)] if found[0] >= 0 else None


_SPACE = re.compile(r"\s|\\(?:left|right)(?![A-Za-z])")  # a list of sixteen triples is half of this

# Each is the cheap sign of an expression whose value, or whose parse tree, has no bound worth waiting for.
_TOO_LARGE = (
    (re.compile(rf"\d{{{MAX_DIGITS + 1}}}"), f"a number of more than {MAX_DIGITS} digits"),
    (
        # what `**` raises stands before it: Markdown's **15625** is no power
        re.compile(r"(?:\^|[\w)}\]!|]\s*\*\*)[\s({+-]*\d{5}|\^\s*\{[\s(+-]*(?:\d(?:,|\{,\}|\s)*){5}"),
        "an exponent above 9999",
    ),
    (re.compile(r"(?:\^|\*\*)[\s{]*(?:\d+|\(\s*\d+\s*\))\s*(?:\^|\*\*)[\s{(]*\d"), "a tower of powers"),
    (re.compile(r"\^\s*[^\s{\\]\s*\^"), "a power of a power without braces"),
    (re.compile(r"\^\s*[{(]\s*\d{2,}\s*!"), "a factorial as exponent"),
    (re.compile(r"\d{5}[\s})]*!"), "the factorial of a number above 9999"),
    (re.compile(r"(?:!|\^\s*[{(]?\s*\d+)[\s})]*!"), "the factorial of a power or of a factorial"),
)


def excess(answer: str) -> str | None:
    """Why an answer is too large to be parsed, or None where it is not.

    The limits keep ordinary answers of the benchmarks and stop what would hold a worker until its
    deadline. They are no proof that the rest is quick; the deadline is what holds for everything.
    """
    written = _SPACE.sub("", answer[: 2 * MAX_CHARACTERS + 1])
    if len(answer) > 2 * MAX_CHARACTERS or len(written) > MAX_CHARACTERS:
        return f"more than {MAX_CHARACTERS} characters"
    depth = deepest = 0
    for character in answer:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING:
        return f"brackets nested more than {MAX_NESTING} deep"
    if answer.count("^") > MAX_POWERS or answer.count("|") > MAX_BARS:
        return f"more than {MAX_POWERS} powers or {MAX_BARS} bars"
    return next((reason for pattern, reason in _TOO_LARGE if pattern.search(answer)), None)
