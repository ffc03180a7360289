"""From an answer's text, in `notation.normal_form`, to its form (`forms`). Nothing here does algebra."""

import re
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from rlvr.verification.forms import (
    Bracketed,
    Collection,
    Form,
    Formula,
    Joined,
    Number,
    Percent,
    Quantity,
    Ratio,
    Relation,
    Several,
    Words,
)
from rlvr.verification.literals import read_based, read_clock, read_number
from rlvr.verification.units import MONEY, Unit, split_quantity, unit_of

_GROUPED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!\d|,(?! )|\.\d*,)")  # `0,100` is a pair
_ZEROS = re.compile(  # no part of a list begins with a zero: `1,000` and `1,050` are no pairs
    r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})*,0\d\d(?:,\d{3})*(?![\d,]|\.\d*,)"
)
_SPACED = re.compile(  # `5 121/144` is a mixed number
    r"(?<![\d.,] )(?<![\d.,])[1-9]\d{0,2}(?: \d{3})+(?! ?\d|(?<= [1-9]\d\d) ?/ ?\d{3})"
)
_INTERVAL = re.compile(r"([]\[])([^][,;]+[,;][^][,;]+)([]\[])")
_UNION = re.compile(rf"(?:[A-Za-z]\s*\\in\s*)?{_INTERVAL.pattern}(?:\s*\\cup\s*{_INTERVAL.pattern})*")


@lru_cache(maxsize=8192)
def readings(text: str, letters: bool = False) -> tuple[Form, ...]:
    """The ways to read a normal form: two where `1,100` may be a number or a pair, and where `3-2` may be a
    difference or a score; one otherwise."""
    text = _SPACED.sub(lambda m: m[0].replace(" ", ""), text)
    text = _ZEROS.sub(lambda m: m[0].replace(",", ""), text)
    if _UNION.fullmatch(text):  # ]0,1[ is the interval (0,1)
        text = _INTERVAL.sub(lambda m: f"{'(['[m[1] == '[']}{m[2]}{')]'[m[3] == ']']}", text)
    text = re.sub(r"(?<=\{)[1-9]\d{0,2}(?:,\d{3})+(?=\})", lambda m: m[0].replace(",", ""), text)
    grouped = "".join(
        _GROUPED.sub(lambda m: m[0].replace(",", ""), piece) if depth == 0 else piece
        for depth, piece in _by_depth(text)
    )
    spellings = list(dict.fromkeys((grouped, text)))
    forms = [_read(spelling, letters) for spelling in spellings]
    return (*forms, *filter(None, map(as_written, forms, spellings)))


_DIFFERENCE = re.compile(r"\d[\d.:]*(?:\s*-\s*\d[\d.:]*)+|\d{1,2}/\d{1,2}/\d{2,4}")


def as_written(form: Form, text: str) -> Words | None:
    """A date, a score, a range or the like, which would be read as a difference: `2024-01-05`, `5-6 days`."""
    value = form.value if isinstance(form, Percent | Quantity) else form
    if isinstance(form, Ratio):
        value = Formula(text)
    if not isinstance(value, Formula) or not _DIFFERENCE.fullmatch(value.text.strip()):
        return None
    return Words(re.sub(r"\s*([-/])\s*", r"\1", " ".join(_unwrapped(text).split())))


_BRACKET = re.compile(r"\\[{}]|\\langle|\\rangle|\\begin\s*\{[^{}]*\}|\\end\s*\{[^{}]*\}|\\.|[()\[\]{}]")
_OPENING = frozenset(["(", "[", "{", r"\{", r"\langle"])
_CLOSING = frozenset([")", "]", "}", r"\}", r"\rangle"])


def _by_depth(text: str) -> list[tuple[int, str]]:
    """Pieces of a text with the depth of brackets around each; a bracket belongs to the inner side."""
    pieces, depth, start = [], 0, 0
    for match in _BRACKET.finditer(text):
        token = match[0]
        if token in _OPENING or token.startswith(r"\begin"):
            pieces.append((depth, text[start : match.start()]))
            start, depth = match.start(), depth + 1
        elif token in _CLOSING or token.startswith(r"\end"):
            pieces.append((depth, text[start : match.end()]))
            start, depth = match.end(), max(depth - 1, 0)
    return [*pieces, (depth, text[start:])]


def split_top(text: str, separator: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """Parts of a text between separators outside of all brackets, and those separators."""
    parts, separators = [""], []
    for depth, piece in _by_depth(text):
        if depth:
            parts[-1] += piece
            continue
        end = 0
        for match in separator.finditer(piece):
            parts[-1] += piece[end : match.start()]
            separators.append(match[0].strip())
            parts.append("")
            end = match.end()
        parts[-1] += piece[end:]
    return [part.strip() for part in parts], separators


_LIST = re.compile(r",?\s*(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])\s*|[,;]")
_TEXT_LIST = re.compile(r"\\text\{\s*,?\s*(and|or|And|Or)\s*,?\s*\}")
_RELATION = re.compile(r"\\(?:le|ge|ne|in|notin|approx|equiv|simeq|cong)(?![A-Za-z])|[<>=]")
_JOIN = re.compile(r"\\(?:cup|cap|setminus)(?![A-Za-z])")
_COLON = re.compile(":")
_SET = re.compile(r"\\\{.*?\\\}")
_EITHER_SIGN = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")


def _read(text: str, letters: bool) -> Form:
    text = _without_whole(_stripped(text))
    parts, separators = split_top(_TEXT_LIST.sub(lambda m: f" {m[1].lower()} ", text), _LIST)
    parts = [part for part in parts if part]
    if separators and len(parts) == 1 and all(s in ",;" for s in separators):
        return _read(parts[0], letters)
    if len(parts) > 1 and not _sentence(parts):
        return _several(parts, [s.strip(", ") for s in separators], letters)
    if _EITHER_SIGN.search(_SET.sub("", text)):  # in a set its parts have the signs
        signs = [_EITHER_SIGN.sub(lambda m, s=s: s[m[0] == r"\mp"], text) for s in ("+-", "-+")]
        return Several(tuple(_read(sign.removeprefix("+"), letters) for sign in signs))
    parts, operators = split_top(text, _RELATION)
    if operators and not parts[0] and operators[0] in (r"\approx", "=", r"\simeq"):  # `= 5`
        parts, operators = parts[1:], operators[1:]
        text = parts[0] if len(parts) == 1 else text
    if operators and all(parts):
        operators = ["=" if o in (r"\approx", r"\simeq", r"\cong") else o for o in operators]
        parts = list(map(_bare, parts))
        return Relation(tuple(_read(part, letters) for part in parts), tuple(operators), tuple(parts))
    if operators:
        half_line = _half_line(operators[0], _read(parts[1], letters)) if len(parts) == 2 else None
        return half_line or Formula(text)
    parts, operators = split_top(text, _JOIN)
    if operators and all(parts):
        joined = _read(parts[0], letters)
        for operator, part in zip(operators, parts[1:], strict=True):
            joined = Joined(operator, (joined, _read(part, letters)))
        return joined
    return _bracketed(text, letters) or _simple(text, letters)


def _bare(text: str) -> str:
    """A name without the braces that a font leaves."""
    return text[1:-1] if text[0] == "{" and _closes_at_the_end(text) else text


_ALL = re.compile(
    r"(.+?)[\s,]*(?:\\text\s*\{)?[\s,]*for all[\s}]*([A-Za-z])[\s}]*(?:\\in\s*\\mathbb\s*\{?[RZN]\}?)?"
)
_WHOLE = re.compile(
    r"(.+?)(?:[,;]|\\text\s*\{[\s,]*(?:where|for|with)\s*\}|[\s,]where)\s*"
    r"(\\?[A-Za-z]+)\s*\\in\s*\\mathbb\s*(?:\{Z\}|Z)"
)


def _without_whole(text: str) -> str:
    r"""`\frac{\pi}{4}+k\pi, k\in\mathbb{Z}` without what it says of k; `f(x) = x` for all x without that."""
    if (r"\mathbb" in text and (said := _WHOLE.fullmatch(text))) or (said := _ALL.fullmatch(text)):
        name = rf"(?<![A-Za-z\\]){re.escape(said[2])}(?![A-Za-z])"
        return said[1] if re.search(name, said[1]) else text
    return text


_INFINITE = Formula(r"\infty"), Formula(r"-\infty")


def _half_line(operator: str, bound: Form) -> Form | None:
    """`> 5` as the numbers that it leaves, whatever their name; None for what bounds no numbers."""
    if not isinstance(bound, Number | Formula) or not getattr(bound, "text", "0"):
        return None
    above, below = _INFINITE
    return {
        ">": Bracketed("(", (bound, above), ")"),
        r"\ge": Bracketed("[", (bound, above), ")"),
        "<": Bracketed("(", (below, bound), ")"),
        r"\le": Bracketed("(", (below, bound), "]"),
        r"\ne": Joined(r"\setminus", (Formula(r"\mathbb{R}"), Collection((bound,)))),
    }.get(operator)


def _stripped(text: str) -> str:
    """Without braces, `\text{}` or spaces around all of it."""
    while True:
        text = text.strip().rstrip(".,;:").strip()
        if text[:1] == "{" and _closes_at_the_end(text):
            text = text[1:-1]
        elif (match := re.fullmatch(r"\\text\s*\{([^{}]*)\}", text)) or (
            match := re.fullmatch(r"[\"'`]+([^\"'`]+)[\"'`]+", text)
        ):
            text = match[1]
        else:
            return text


def _closes_at_the_end(text: str) -> bool:
    pieces = _by_depth(text)
    outside = pieces[0][1] or pieces[-1][1]
    return len(pieces) > 1 and not outside and all(depth for depth, _ in pieces[1:-1])


def _sentence(parts: list[str]) -> bool:
    """Is a text with `and` or commas prose, not a list: does a part say more than a value or a name?"""
    return any(len(re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", part)) > 3 for part in parts)


def _several(parts: list[str], separators: list[str], letters: bool) -> Form:
    lengths = "and" in separators and len(parts) <= 3 and all(re.search("[a-z]", part) for part in parts)
    if lengths and (quantity := _sum_of_quantities(" ".join(parts))) is not None:
        return quantity  # `7 minutes and 5 seconds`
    forms: list[Form] = []
    for part in parts:
        form = _read(part, letters)
        forms += form.parts if isinstance(form, Several) else [form]
    first, *others = forms
    one_named = isinstance(first, Relation) and not any(isinstance(form, Relation) for form in others)
    if one_named and first.operators == ("=",):
        name, text = first.operands[0], first.texts[0]  # `n = 2, 3, 4`
        forms = [first, *(Relation((name, form), ("=",), (text, "")) for form in others)]
    either = True if "or" in separators else False if "and" in separators else None
    return Several(tuple(forms), either)


_QUANTITIES = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def _sum_of_quantities(text: str) -> Form | None:
    """`3 hours 20 minutes`, `5 feet 7 inches`: values of one measure, from large to small."""
    plain = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text)
    found = _QUANTITIES.findall(plain)
    if len(found) < 2 or _QUANTITIES.sub("", plain).strip(" ,"):
        return None
    split = [
        (number, Fraction(1), unit_of(word)) if len(word) == 1 else split_quantity(f"{number} {word}")
        for number, word in found
    ]
    units = [unit for _, _, unit in split]
    if any(unit is None or not unit.dimension or unit.dimension != units[0].dimension for unit in units):
        return None
    if any(a.factor <= b.factor for a, b in pairwise(units)):
        return None
    total = sum(Fraction(value) * scale * unit.factor for value, scale, unit in split)
    return Quantity(Number(total), Unit(units[0].dimension))


_BUILDER = re.compile(r"\||:")
_OF_REALS = re.compile(r"\s*\\in\s*\\mathbb\s*(?:\{R\}|R)$")


def _bracketed(text: str, letters: bool) -> Form | None:
    if text.startswith(r"\emptyset") and not text[9:].strip():
        return Collection(())
    opening = next((o for o in (r"\{", r"\langle", "(", "[") if text.startswith(o)), None)
    closing = next((c for c in (r"\}", r"\rangle", ")", "]") if text.endswith(c)), None)
    if opening is None or closing is None or not _closes_at_the_end(text):
        return None
    inside = text[len(opening) : -len(closing)].strip()
    if (opening, closing) == (r"\{", r"\}"):
        condition, bars = split_top(inside, _BUILDER)
        if len(bars) == 1 and re.search(_RELATION, condition[1]):
            # what such x are, not what is made of them (`x^2 : x > 3`) or a part of them (`x \in \mathbb{Z}`)
            name = _OF_REALS.sub("", condition[0])
            plain = re.fullmatch("[A-Za-z]", name) and re.search(rf"(?<![A-Za-z\\]){name}", condition[1])
            return _read(condition[1], letters) if plain else Formula(text)
        form = _read(inside, letters) if inside else Several(())
        return Collection(form.parts if isinstance(form, Several) else (form,))
    parts, separators = split_top(inside, re.compile("[,;]"))
    if separators and all(parts):
        angles = {r"\langle": "(", r"\rangle": ")"}
        forms = tuple(_read(part, letters) for part in parts)
        return Bracketed(angles.get(opening, opening), forms, angles.get(closing, closing))
    return _read(inside, letters) if inside and (opening, closing) in (("(", ")"), ("[", "]")) else None


_PERCENT = re.compile(r"\s*(?:%|\\text\s*\{\s*(?:percent|%|per cent)\s*\}|\bper ?cent)$")
_CURRENCY = re.compile(r"^(-?)\s*(?:[€£¥₹]|USD)\s*(?=[\d.])|(?<=\d)\s*[€£¥₹]$")
_CURRENCIES = {"USD": "dollar", "€": "euro", "£": "sterling", "¥": "yen", "₹": "rupee"}
_MONEY = {(kind, 1) for kind in MONEY}
_MODULO = re.compile(r"(.+?)\s*\\pmod\{(\w+)\}")


def _simple(text: str, letters: bool) -> Form:
    if match := _CURRENCY.search(text):
        form = _read(_CURRENCY.sub(r"\1", text, count=1), letters)
        currency = unit_of(_CURRENCIES[match[0].strip(" -")])
        if isinstance(form, Quantity) and any(power > 0 for _, power in set(form.unit.dimension) - _MONEY):
            return Words(text)  # `$5 K`
        return form if isinstance(form, Quantity | Words) else Quantity(form, currency)
    if match := _MODULO.fullmatch(text):
        return Joined("mod", (_read(match[1], letters), _read(match[2], letters)))
    if (number := read_number(text.removesuffix("''"))) is not None:
        return Quantity(number, unit_of("arcsecond")) if text.endswith("''") else number
    unwrapped = " ".join(_unwrapped(text).split())
    if (clock := read_clock(unwrapped)) is not None:
        return clock
    if (based := read_based(re.sub(r"\\text\s*", "", text))) is not None:
        return based
    if percent := _PERCENT.search(text):
        of = _read(text[: percent.start()], letters) if percent.start() else Percent(Words(text))
        return Words(text) if isinstance(of, Percent) else Percent(of)
    parts, colons = split_top(text, _COLON)
    if colons and all(parts):
        return Ratio(tuple(_read(part, letters) for part in parts))
    if (quantity := _sum_of_quantities(text)) is not None:
        return quantity
    value, scale, unit = split_quantity(text, letters=letters)
    if unit is not None:
        form = _read(value, letters)
        if isinstance(form, Quantity):  # `5 K` people
            return Words(text)
        if scale != 1 and isinstance(form, Number):
            form = Number(form.value * scale)
        elif scale != 1:
            form = Formula(rf"({value})\cdot\frac{{{scale.numerator}}}{{{scale.denominator}}}")
        return Quantity(form, unit) if unit.dimension else form
    if _is_words(unwrapped, text):
        return Words(unwrapped)
    return Formula(re.sub(r"\\text\s*\{\s*([^{}A-Za-z]*?)\s*\}", r"\1", text))


def _unwrapped(text: str) -> str:
    return re.sub(r"\\text\s*\{\s*([^{}]*?)\s*\}", r" \1 ", text).strip()


_LETTERS = "ab abc abcd ac bc cd ad bd mn pq pr qr pqr rs st uv kx ax bx cx mx nx ay by mg"
_PRODUCTS = frozenset(_LETTERS.split())
_LABEL = re.compile(
    r"_\s*(?:\{[^{}]*\}|\w)|\\(?:text|mathbb|mathcal|begin|end|operatorname|overline|vec|hat|bar|tilde|dot"
    r"|ddot|overrightarrow|mathscr|mathfrak|widehat)\s*\{[^{}]*\}(?:\{[clr|]*\})?"
    r"|\\(?:angle|triangle)(?:\s*[A-Z](?:_\s*(?:\{\w*\}|\w))?)+|\\[A-Za-z]+"
)
_ARGUMENT = re.compile(  # `\sin(kx)`, `rx(t)`
    r"\\(?:(?:sin|cos|tan|cot)h?|sec|csc|exp|ln|log|arc(?:sin|cos|tan))\s*\(\s*[a-z]{2,4}\s*\)"
    r"|(?<![A-Za-z\\])[a-z]{2}\s*\(\s*[a-z]\s*\)"
)
_INSIDE = re.compile(r"(?<=\{)\s+|\s+(?=\})")


def _is_words(plain: str, text: str) -> bool:
    """Is a text words rather than a formula? `plain` is the text with `\text{}` opened."""
    if not plain or (re.search(r"[^\x00-\x7f]", plain) and not re.search(r"[=+^\\]", plain)):
        return True
    if re.fullmatch("[A-Za-z]{2,}", plain):
        return not (re.fullmatch("[xyz]+", plain) or plain in _PRODUCTS)
    if text.startswith(r"\ldots"):
        return True
    bare = _INSIDE.sub("", _LABEL.sub(" ", _ARGUMENT.sub(" ", text)))
    operators = re.search(r"[-+*/^=]|\\(?:frac|cdot|times|sqrt)", text)
    without_indices = re.sub(r"_\s*\{.*?\}\}?", "", text)
    if not operators and re.search(r"\\text\s*\{[^{}]*[A-Za-z]{2,}[^{}]*\}", without_indices):
        return True
    if re.search("[A-Za-z]{5,}", bare):
        return True
    words = [w for w in re.split(r"[\s.,'\"!?()]+", bare) if re.fullmatch("[A-Za-z]{2,}", w)]
    return bool(re.search(r"\s", plain) or not operators) and any(
        not re.fullmatch("[xyz]+", w) and w not in _PRODUCTS and not _letters_of_a_formula(w, bare)
        for w in words
    )


def _letters_of_a_formula(word: str, bare: str) -> bool:
    """May a word of two to four letters be a product in a formula with signs of operation: `ab + hk`?"""
    return len(word) <= 4 and bool(re.search(r"[-+*/^]", bare)) and word not in _SHORT_WORDS


_WORDS = "no on of or is it in at as am pm and not the less more from than over plus then with only none mod"
_SHORT_WORDS = frozenset(_WORDS.split())
