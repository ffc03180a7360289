r"""One spelling for what is written in many: `normal_form` turns an answer's text into plain LaTeX.

Nothing is parsed and nothing is left out that has a meaning; units and words stay, for `forms` to read. What
it does, in order:

| stage | example | becomes |
|---|---|---|
| characters | `−8`, `x²`, `½`, `１２`, `θ` | `-8`, `x^{2}`, `\frac{1}{2}`, `12`, `\theta` |
| invisible signs | zero-width spaces, direction marks, `\phantom{7}` | gone |
| delimiters, sizes, colours | `$x$`, `\left(`, `\displaystyle`, `\color{red}` | gone |
| fonts | `\mathbf{5}`, `\bm{x}`; `\textbf{cm}`, `\mathrm{cm}` | `5`, `x`; `\text{cm}` |
| commands with one meaning | `\dfrac`, `\degree`, `sqrt(2)` | `\frac`, `^\circ`, `\sqrt{2}` |
| spaces, a full stop, Markdown's bold | `**7** .` | `7` |
"""

import re
import unicodedata

_SMALL = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau"
    " upsilon phi chi psi"
)
_LARGE = "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
_GREEK = {
    **dict(zip("αβγδεζηθικλμνξπρστυφχψω", [*_SMALL.split(), "omega"], strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΦΨΩ", _LARGE.split(), strict=True)),
    **{"ϵ": "epsilon", "ϕ": "phi", "ϑ": "theta", "µ": "mu", "\u2126": "Omega"},
}
_SIGNS = {
    **{c: "-" for c in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63"},
    **{c: "'" for c in "′’‘ʹ"}, "″": "''",
    "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": "/", "∕": "/", "∖": r"\setminus ",
    "±": r"\pm ", "∓": r"\mp ", "∞": r"\infty ", "°": r"^\circ ", "º": r"^\circ ", "∠": r"\angle ",
    "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∈": r"\in ", "∉": r"\notin ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "△": r"\triangle ", "…": r"\ldots ",
    "∶": ":", "：": ":", "、": ",", "。": ".", "٫": ".", "٪": "%", "\u00a0": " ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "⟨": r"\langle ", "⟩": r"\rangle ",
    "√": r"\sqrt", "∛": r"\sqrt[3]", "℃": r"^\circ\text{C}", "℉": r"^\circ\text{F}",
    **{letter: rf"\{name} " for letter, name in _GREEK.items()},
}  # fmt: skip
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙ", "0123456789+-n", strict=True))
UNKNOWN = "\ufffd"  # stands for a character that is no character, and equals nothing


def characters(text: str) -> str:
    """Text with one character for each meaning: ASCII and LaTeX wherever there is such a spelling."""
    written = []
    for c in text:
        if "\U0001d400" <= c <= "\U0001d7ff":  # a letter or digit in a mathematical font
            c = unicodedata.normalize("NFKC", c)
        if c.isascii():
            written.append(c if c.isprintable() else " " if c.isspace() else "")
        elif c in _SIGNS:
            written.append(_SIGNS[c])
        elif c in _SUPERSCRIPTS or c in _SUBSCRIPTS:
            written.append(c)
        elif (digit := unicodedata.decimal(c, None)) is not None:
            written.append(str(digit))
        elif "\uff01" <= c <= "\uff5e":  # full-width ASCII
            written.append(chr(ord(c) - 0xFEE0))
        elif unicodedata.decomposition(c).startswith("<fraction>"):
            over, under = unicodedata.normalize("NFKC", c).split("\u2044")
            written.append(rf"\frac{{{over}}}{{{under or 1}}}")
        else:
            written.append(_other(c))
    text = "".join(written)
    text = re.sub(r"(\d+)\u2044(\d+)", r"\\frac{\1}{\2}", text)
    for marks, sign in ((_SUPERSCRIPTS, "^"), (_SUBSCRIPTS, "_")):
        run = re.compile(f"[{''.join(marks)}]+")
        text = run.sub(lambda m, marks=marks, sign=sign: f"{sign}{{{''.join(map(marks.get, m[0]))}}}", text)
    return text


def _other(c: str) -> str:
    category = unicodedata.category(c)
    if category in ("Cc", "Cf"):
        return ""
    if c.isspace():
        return " "
    # no character at all, or one that looks like a letter and would pass for it without its case
    return UNKNOWN if not c.isprintable() or c.casefold().isascii() else c


_FONT = re.compile(
    r"\\(?:mathbf|boldsymbol|bm|bold|mathit|mathsf|mathtt|mathnormal|pmb|underline|emph|color|textcolor)(?![A-Za-z])"
    r"|\\(?:displaystyle|textstyle|scriptstyle|limits|large|Large|small|bf|rm|it)(?![A-Za-z])"
    r"|\\(?:left|right)\s*\.|\\(?:left|right|middle)(?![A-Za-z])"
    r"|\\[bB]ig{1,2}[lrm]?(?![A-Za-z])"
)
_COLOR = re.compile(r"\\(?:textcolor|color)\s*\{[A-Za-z]*\}")
_PHANTOM = re.compile(r"\\[hv]?phantom\s*(?:\{[^{}]*\}|.)")
_TEXT = re.compile(
    r"\\(?:text(?:rm|bf|it|sf|tt|normal|up|sc)?|mathrm|mbox|hbox|operatorname\*?)(?![A-Za-z])\s*(?=\{)"
)
_COMMANDS = (
    (r"\\[dtc]frac|\\(?:nice|s|x)frac", r"\\frac"),
    (r"\\(?:leqslant|leqq|leq|le)(?![A-Za-z])|<=|=<", r"\\le "),
    (r"\\(?:geqslant|geqq|geq|ge)(?![A-Za-z])|>=", r"\\ge "),
    (r"\\not\s*=|\\neq?(?![A-Za-z])|!=|≠", r"\\ne "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\(?:varnothing|empty)(?![A-Za-z])", r"\\emptyset "),
    (r"\\(?:[lr]?vert|mid)(?![A-Za-z])", "|"),
    (r"\\lbrace(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\l?brack(?![A-Za-z])", "["),
    (r"\\rbrack(?![A-Za-z])", "]"),
    (r"\\(?:ldots|dots|cdots|dotsc|dotsb)(?![A-Za-z])", r"\\ldots "),
    (r"\^\s*\{\s*\\prime\s*\\prime\s*\}|\^\s*\{''\}", "''"),
    (r"\^\s*(?:\{\s*\\prime\s*\}|\\prime(?![A-Za-z]))", "'"),
    (r"\^\s*(?:\{\s*(?:\\circ|\\text\{\s*o\s*\}|o)\s*\}|\\circ(?![A-Za-z])|\\text\{o\})"
     r"|\\degree(?![A-Za-z])", r"^\\circ "),
    (r"\\div(?![A-Za-z])", "/"),
    (r"\\(?:ast|star)(?![A-Za-z])", "*"),
    (r"\\colon(?![A-Za-z])|(?:\\text\s*)?\{\s*:\s*\}", ":"),
    (r"\\AA(?![A-Za-z])", "Å"),
    (r"\\text\s*\{\s*((?:arc)?(?:sin|cos|tan|cot)h?|sec|csc|ln|log|exp|sgn)\s*\}", r"\\\1 "),
    (r"\\(?:backslash|smallsetminus)(?![A-Za-z])", r"\\setminus "),
    (r"\\var(?=epsilon|theta|phi|rho|sigma|pi)", r"\\"),
    (r"\\imath(?![A-Za-z])", "i "),
    (r"(?<![A-Za-z\\])(?:np|numpy|math|sp|sympy)\.(?=[a-z])", ""),
    (r"(?<![A-Za-z\\])(pi|infty|sqrt|arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|ln|log|exp)(?![A-Za-z])",
    r"\\\1 "),
    (r"(?i)(?:\\text\s*\{\s*(gcd|lcm|max|min)\s*\}|(?<![A-Za-z\\])(gcd|lcm|max|min))(?=\s*\()",
     lambda m: f"\\{(m[1] or m[2]).lower()}"),
    (r"(?<![A-Za-z\\])(?:inf|infinity)(?![A-Za-z])", r"\\infty "),
    (r"(?<=\d)\s*(?:[xX]|\\text\s*\{\s*[xX]\s*\})\s*(?=10\s*(?:\^|\*\*))", r"\\times "),
    (r"\\text\s*\{d\}\s*(?=\\?[A-Za-z])", "d "),  # of a derivative
    (r"(?<![A-Za-z\\])d\s?(\\[A-Za-z]+|[A-Za-z])\s*/\s*d\s?([A-Za-z])(?![A-Za-z])", r"\\frac{d\1}{d\2}"),
    (r"\*\*", "^"),
    (r"(?<=\.)(\d*)\\(?:dot|bar)\s*(?:\{(\d+)\}|(\d))(?!\d)", r"\1\\overline{\2\3}"),
    (r"\{([^{}]*)\\over(?![A-Za-z])([^{}]*)\}", r"\\frac{\1}{\2}"),
    (r"^([^{}=<>,;]+)\\over(?![A-Za-z])([^{}=<>,;]+)$", r"\\frac{\1}{\2}"),
    (r"\{([^{}]*)\\choose(?![A-Za-z])([^{}]*)\}", r"\\binom{\1}{\2}"),
    (r"\(\s*(?:\\text\s*\{\s*mod\s*\}|\\text\s*\{\s*mod(?=\s)|\\?b?mod(?![A-Za-z]))\s*\{?(\w+)\}?\s*\}?\s*\)"
     r"|\\(?:p|b)?mod(?![A-Za-z])\s*(?:\{\s*(\w+)\s*\}|(\w+))", r"\\pmod{\1\2\3}"),
)  # fmt: skip
_COMMANDS = tuple((re.compile(pattern), put) for pattern, put in _COMMANDS)
# what an answer may begin with: `\text{The answer is }`, and `\text{Total: }` for `\text{Total} =`
_ANSWER = re.compile(r"(?i)(\\text\s*\{)?\s*(?:the )?(?:final )?answer(?: is ?:?|:)\s*(\})?(?=.)")
_LABEL = re.compile(r"(\\text\s*\{[^{}:]*[A-Za-z]{2}[^{}:]*):\s*\}(?=.)")
_ROOT = re.compile(r"\\sqrt\s*(\[\d+\])?\s*(?:\(([^()]*)\)|(\d+|[A-Za-z]))")


def normal_form(answer: str) -> str:
    """The same answer in plain LaTeX; two equal forms are equal answers, but not the reverse."""
    answer = characters(answer)
    if re.fullmatch(r"\s*~~.*~~\s*", answer):  # Markdown's, for what is struck out
        return UNKNOWN
    if answer.count("$") == 1:  # delimiters come in pairs
        answer = re.sub(r"^(\s*-?\s*)\$(?=\s*[\d.])", r"\1USD ", answer)
    answer = re.sub(r"\\(?:text|mathrm)\s*\{[\s.,;]*\}\s*$", "", answer)
    answer = answer.replace("...", r"\ldots ").replace("\\!", "").replace("{,}", ",").replace("{.}", ".")
    answer = re.sub(r"(\\\\)\s*\[[\d.]+\s*(?:pt|em|ex|mm|cm)\]", r"\1 ", answer)  # space between rows
    answer = re.sub(r"\\\$\s*(?=[\d.])", "USD ", answer)
    answer = re.sub(r"\\\$|\$|(?<!\\)\\[()\[\]]", "", answer)  # dollars, and the delimiters \( \[
    answer = _FONT.sub(" ", _PHANTOM.sub("", _COLOR.sub("", answer)))
    answer = _TEXT.sub(r"\\text", answer)
    answer = re.sub(r"(?<=\d)\s*\\q?quad\s*(?=[-\d])", ", ", answer)
    answer = re.sub(r"(\\\\)|\\(?:[,;: ]|q?quad(?![A-Za-z]))|~", lambda m: m[1] or " ", answer)
    answer = " ".join(answer.split()).strip(" *").rstrip(" .,;:\\")
    if said := _ANSWER.match(answer):
        answer = (said[1] if said[1] and not said[2] else "") + answer[said.end() :]
    answer = _LABEL.sub(r"\1} = ", answer)
    for pattern, put in _COMMANDS:
        answer = pattern.sub(put, answer)
    answer = _ROOT.sub(lambda m: rf"\sqrt{m[1] or ''}{{{m[2] or m[3]}}}", answer)
    return " ".join(re.sub(r"\\%", "%", answer).split())
