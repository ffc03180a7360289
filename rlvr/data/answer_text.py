"""The answer inside a completion: where it stands, its normal form, and how large it may be.

Nothing here parses mathematics. `final_answer` and `excess` are linear in the length of the text, so they
may see anything a policy writes; `normal_form` is for what `excess` has let pass. What two
expressions have in common is for `equivalence` to say, behind the walls of `pool`.
"""

import re

MAX_TAIL = 50_000  # characters at the end of a completion in which its answer has to begin
MAX_CHARACTERS = 300
MAX_DIGITS = 60  # of one number
MAX_NESTING = 10  # brackets of any kind; the parser's time grows quadratically with it
MAX_POWERS = 30
MAX_BARS = 8

_BOX_OR_BRACE = re.compile(
    r"(?P<box>\\{1,3}(?:boxed|fbox)\s{0,9}\{)|\\.|(?P<open>\{)|(?P<close>\})", re.DOTALL
)


def final_answer(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}` (or `\fbox{...}`) that closes, or None.

    Where several boxes differ the last one counts: a policy that corrects itself is judged by what
    it ends with, and writing many guesses is worth no more than writing one. Of nested boxes the
    innermost counts. An answer outside a box is no answer; no phrase stands in for the box.
    """
    text = text[-MAX_TAIL:]
    first = _BOX_OR_BRACE.search(text, max(text.find("box") - 3, 0)) if "box" in text else None
    if first is None:
        return None
    found = (-1, -1)
    opened: list[int] = []  # where each open brace's content starts; -1 where it is no box
    for token in _BOX_OR_BRACE.finditer(text, first.start()):
        if token.lastgroup == "box":
            opened.append(token.end())
        elif token.lastgroup == "open":
            opened.append(-1)
        elif token.lastgroup == "close" and opened:
            start = opened.pop()
            if start > found[0]:
                found = (start, token.start())
    return text[slice(*found)] if found[0] >= 0 else None


_SYMBOLS = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "×": r"\times ",
        "·": r"\cdot ",
        "÷": r"\div ",
        "±": r"\pm ",
        "π": r"\pi ",
        "∞": r"\infty ",
        "°": r"^\circ ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "≠": r"\ne ",
        "∈": r"\in ",
        "∪": r"\cup ",
        "∩": r"\cap ",
        "∅": r"\emptyset ",
        "√": r"\sqrt",
    }
)
_ROOT_OF_SIGN = re.compile(r"√\s*(\d+|[A-Za-z])")
_ROOT_OF_BRACKET = re.compile(r"(?:√|\\?sqrt)\s*\(([^()]*)\)")
_DELIMITER = re.compile(r"\\?\$|(?<!\\)\\[()\[\]]")
_PERCENT = re.compile(r"\s*(?:\\?%|\\text\s*\{\s*(?:percent|\\?%)\s*\}|\bpercent\b)$")
_UNIT = re.compile(r"\\(?:text(?:rm|bf|it)?|mathrm|mathit|mbox)\s*\{[^{}]*\}\s*(?:\^\s*(?:\{-?\d+\}|\d))?")
_SPACING = " ~/\\,;"
_PLAIN_UNIT = re.compile(r"(?:\s+(?!pi\b)[a-z][A-Za-z]+(?:\s[A-Za-z]+)*|(?<=\d)(?:[cmk]m|kg|mph))(?:\^\d)?$")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_GROUPED_NUMBER = re.compile(r"([+-]?\d{1,3})((?:(?:,(?:\\!)?|\{,\}|\\[,;:! ]| )\d{3})+)(\.\d+)?")
_SCIENTIFIC = re.compile(r"([+-]?\d+(?:\.\d+)?)[eE]([+-]?\d{1,3})")
_REPEATING = re.compile(r"(-?)(\d*)\.(\d*)\\overline\s*\{(\d+)\}")


def normal_form(answer: str) -> str:
    r"""The same answer without what no mathematical meaning hangs on; two equal forms are equal answers.

    Dropped: invisible characters (controls, direction marks), dollar signs and other delimiters,
    Markdown's bold, a full stop, separators of thousands, and a unit in `\text{...}` at the end.
    A few Unicode signs, `sqrt(2)`, `1e-9` and repeating decimals become LaTeX that the parser knows.
    A sign of per cent at the end becomes a plain `%`.
    """
    answer = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in answer)
    answer = _ROOT_OF_SIGN.sub(r"\\sqrt{\1}", _ROOT_OF_BRACKET.sub(r"\\sqrt{\1}", answer))
    answer = _DELIMITER.sub("", answer.translate(_SYMBOLS).replace(r"\varnothing", r"\emptyset"))
    answer = " ".join(answer.split()).strip(" *").rstrip(" .,;:\\")
    percent = _PERCENT.search(answer)
    answer = _without_units(answer[: percent.start()] if percent else answer)
    answer = _plain_number(answer)
    return f"{answer}%" if percent else answer


def _plain_number(answer: str) -> str:
    if number := _GROUPED_NUMBER.fullmatch(answer):
        return number[1] + re.sub(r"\D", "", number[2]) + (number[3] or "")
    if number := _SCIENTIFIC.fullmatch(answer):
        return rf"{number[1]}\times 10^{{{int(number[2])}}}"
    if number := _REPEATING.fullmatch(answer):
        sign, whole, fixed, period = number.groups()
        numerator = int(whole + fixed + period) - int(whole + fixed or "0")
        return rf"{sign}\frac{{{numerator}}}{{{(10 ** len(period) - 1) * 10 ** len(fixed)}}}"
    return answer


def _without_units(answer: str) -> str:
    r"""Cut units from the end of a value: `\text{ m}/\text{s}^2`, or words after a number (`5 cm`).

    A single letter is a variable and stays: `3 c` is no 3. So does a name: `20 June`.
    """
    end = len(answer)
    for group in reversed(list(_UNIT.finditer(answer))):
        if answer[group.end() : end].strip(_SPACING):
            break
        end = group.start()
    value = answer[:end].rstrip(_SPACING)
    if end < len(answer) and (value[-1:].isdigit() or value.endswith(("}", ")", r"\pi", r"\circ"))):
        return value
    value = _PLAIN_UNIT.sub("", answer)
    return answer if re.search("[A-Za-z]", _COMMAND.sub("", value)) or not value else value


# Each is the cheap sign of an expression whose value, or whose parse tree, has no bound worth waiting for.
_TOO_LARGE = (
    (re.compile(rf"\d{{{MAX_DIGITS + 1}}}"), f"a number of more than {MAX_DIGITS} digits"),
    (
        re.compile(r"(?:\^|\*\*)[\s({+-]*\d{5}|\^\s*\{[\s(+-]*(?:\d(?:,|\{,\}|\s)*){5}"),
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
    if len(answer) > MAX_CHARACTERS:
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
