r"""The one list of what may stand after a value without being part of it: units, and nouns that are counted.

Whatever is not in this list carries value: `5 million` is no 5, `9 pm` no 9, `5 fewer` no 5. Words of size
(`million`, `dozen`, `thirds`) are factors. Measures have a dimension and a size, so that two answers that
both name one are compared as quantities: `5 cm` is not `5 m`, and `60 minutes` is `1 hour`; if only one names
it, the unit may stand or fall. Nouns are never compared.

A symbol of one letter is a unit only inside `\text{}` or `\mathrm{}` (`3 c` is three times c), or in a
quotient, a power or a product (`9 m/s`, `9 N·m`) after the value of a reference that has no variables.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: its dimension as powers of kinds of measure, () for a noun, and its size in the kind's unit."""

    dimension: Dimension
    factor: Fraction = Fraction(1)


# kind of measure: {symbol or names: size}; names are matched without case and with plural, symbols as
# they stand
_MEASURES = {
    "length": {"inch|in": "0.0254", "foot|feet|ft": "0.3048", "yard|yd": "0.9144", "mile|mi": "1609.344",
               "kms": "1000", "cms": "0.01"},
    "mass": {"pound|lb|lbs": "0.45359237", "kgs|kilo": "1", "ounce|oz": "0.028349523125",
             "ton|tonne|tons": "1000", "gm|gms": "0.001"},
    "time": {"minute|min|mins": "60", "hour|hr|h|hrs": "3600", "day": "86400", "week|wk": "604800",
             "month": "2629800", "year|yr|yrs": "31557600", "decade": "315576000",
             "century|centuries": "3155760000", "sec|secs": "1"},
    "volume": {"gallon|gal": "0.003785411784", "quart|qt": "0.000946352946", "pint|pt": "0.000473176473",
               "cup": "0.0002365882365", "cc": "0.000001"},
    "speed": {"mph": "0.44704", "kph|kmph|kmh": "5/18", "knot": "0.514444"},
    "area": {"acre": "4046.8564224", "hectare|ha": "10000"},
    "money": {"dollar|usd|buck": "1", "cent|¢|penny|pennies": "1/100", "nickel": "0.05", "dime": "1/10"},
    "euro": {"euro|eur": "1"}, "sterling": {"sterling|gbp|quid": "1"}, "rupee": {"rupee|rs|inr": "1"},
    "yuan": {"yuan|rmb|cny": "1"}, "yen": {"yen|jpy": "1"},
    "angle": {"degree|deg|degs": "1", "arcminute": "1/60", "arcsecond": "1/3600"},
    "radian": {"radian|rad|rads": "1"}, "celsius": {"celsius": "1"}, "fahrenheit": {"fahrenheit": "1"},
    "information": {"bit": "1", "byte": "8"}, "frequency": {"rpm": "1/60"}, "energy": {"kwh": "3600000"},
    "pressure": {"atm|atmosphere": "101325"},
}  # fmt: skip
# SI and what takes its prefixes: kind, name, symbol, size
_METRIC = (
    ("length", "meter|metre", "m", "1"), ("mass", "gram|gramme", "g", "1/1000"), ("time", "second", "s", "1"),
    ("current", "ampere|amp", "A", "1"), ("kelvin", "kelvin", "K", "1"), ("amount", "mole", "mol", "1"),
    ("frequency", "hertz", "Hz", "1"), ("force", "newton", "N", "1"), ("pressure", "pascal", "Pa", "1"),
    ("energy", "joule", "J", "1"), ("power", "watt", "W", "1"), ("charge", "coulomb", "C", "1"),
    ("voltage", "volt", "V", "1"), ("capacitance", "farad", "F", "1"), ("resistance", "ohm", "Ω", "1"),
    ("field", "tesla", "T", "1"), ("field", "gauss", "G", "1/10000"), ("inductance", "henry", "H", "1"),
    ("volume", "liter|litre", "L", "1/1000"), ("volume", "liter|litre", "l", "1/1000"),
    ("energy", "electronvolt", "eV", "1.602176634e-19"), ("energy", "calorie", "cal", "4.184"),
    ("energy", "erg", "erg", "1e-7"), ("energy", "btu", "BTU", "1055"), ("force", "dyne", "dyn", "1/100000"),
    ("pressure", "bar", "bar", "100000"), ("length", "parsec", "pc", "3.0857e16"),
    ("length", "angstrom", "Å", "1e-10"), ("time", "annum", "yr", "31557600"),
    ("concentration", "molar", "M", "1"), ("magnitude", "jansky", "Jy", "1"),
    ("information", "byte", "B", "8"),
)  # fmt: skip
_PREFIXES = {
    "k": ("kilo", "1e3"), "M": ("mega", "1e6"), "G": ("giga", "1e9"), "T": ("tera", "1e12"),
    "d": ("deci", "1e-1"), "c": ("centi", "1e-2"), "m": ("milli", "1e-3"), "h": ("hecto", "1e2"),
    "μ": ("micro", "1e-6"), "u": ("micro", "1e-6"), "n": ("nano", "1e-9"), "p": ("pico", "1e-12"),
    "f": ("femto", "1e-15"),
}  # fmt: skip
_COUNTED = """
    unit units piece item object thing time way value solution root number digit integer term factor divisor
    multiple prime pair triple set subset element point line segment side edge vertex vertices face region
    square triangle rectangle circle polygon pentagon hexagon octagon cube box tile block cell row column
    step move turn round game match trial toss roll choice outcome arrangement permutation combination path
    route word letter person people man men woman women child children boy girl student teacher kid adult
    member player friend guest worker employee passenger customer family families voter soldier team group
    class committee couple apple orange banana egg cookie cake pie slice candy candies marble ball coin card
    book page pencil pen sticker stamp ticket toy gift flower tree plant seed stone rock brick chair table
    car bus train bike bicycle dog cat bird fish fishes cow horse sheep pig chicken rabbit duck monkey lion
    animal leg ant bee spider insect bottle glass jar bag bowl plate basket bucket crate carton pack package
    bar meal lunch dinner pizza sandwich donut doughnut cupcake muffin burger hotdog potato tomato carrot
    berry berries cherry cherries grape lemon house room door window floor shelf shelves share score goal
    vote mark problem question answer test hit dap inning lap trip ride minutely photon electron proton atom
    molecule particle cycle revolution rotation signal message photo picture song song movie video post tweet
    shirt sock shoe hat dress pants button bead ring sheet board string rope ribbon pole post beam stick
    domino dominoes dominos bolt zero dice function matrix sequence graph tournament handshake intersection
    die diagonal asteroid necklace shirt penguin ostrich canoe
    can fruit balloon jellybean wheel crayon rose pet doll seat pill lollipop scoop goat shell loaf loaves
    serving turtle brownie outfit seashell painting strawberry strawberries bracelet frog notebook leaf leaves
    tablespoon home email candle vegetable skip bone episode dish batch petal chip sweet tire chocolate
    container token daisy daisies cracker envelope nail bill spot marshmallow pebble flavor soda pancake
    kitten spoon peach barrel bug hole newspaper puppy puppies meatball novel star scarf scarves night kind
    present key nut eraser biscuit parent cricket goldfish shark towel eye fly flies machine bush bushel"""
_NOUNS = frozenset(_COUNTED.split())
_QUALIFYING = "distinct different total possible right unique whole positive real full extra ordered old"
_ADJECTIVES = frozenset(_QUALIFYING.split())
_SCALES = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "half": Fraction(1, 2), "halves": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4),
    "fourth": Fraction(1, 4), "fifth": Fraction(1, 5), "sixth": Fraction(1, 6), "seventh": Fraction(1, 7),
    "eighth": Fraction(1, 8), "ninth": Fraction(1, 9), "tenth": Fraction(1, 10),
    "hundredth": Fraction(1, 100), "thousandth": Fraction(1, 1000),
}  # fmt: skip


def _table() -> tuple[dict[str, Unit], dict[str, Unit]]:
    """Symbols, which are matched as they stand, and names, without case and in the singular."""
    symbols: dict[str, Unit] = {}
    names: dict[str, Unit] = {}
    for kind, measures in _MEASURES.items():
        for spellings, size in measures.items():
            names |= {name: _measure(kind, size) for name in spellings.split("|")}
    for kind, spellings, symbol, size in _METRIC:
        for prefix, (long, power) in {"": ("", "1"), **_PREFIXES}.items():
            unit = _measure(kind, Fraction(size) * Fraction(power))
            symbols.setdefault(prefix + symbol, unit)
            names |= {long + name: unit for name in spellings.split("|")}
    names["micron"] = names["micrometer"]
    return symbols, names


def _measure(kind: str, size: str | Fraction) -> Unit:
    # areas and volumes are powers of a length, and a speed is a quotient, so that acres meet square feet
    powers = {"area": (("length", 2),), "volume": (("length", 3),), "speed": (("length", 1), ("time", -1))}
    powers["frequency"] = (("time", -1),)
    return Unit(powers.get(kind, ((kind, 1),)), Fraction(size))


_SYMBOLS, _NAMES = _table()
del _SYMBOLS["pm"], _SYMBOLS["B"]  # the afternoon, and a billion
MONEY = frozenset(["money", "euro", "sterling", "rupee", "yuan", "yen"])
_TEMPERATURES = {name: kind for kind in ("celsius", "fahrenheit", "kelvin") for name in (kind, kind[0])}


@lru_cache(maxsize=4096)
def unit_of(word: str) -> Unit | None:
    """The unit or noun that a word is, in any number and spelling of the list; None where it is none."""
    if word in _SYMBOLS:
        return _SYMBOLS[word]
    if len(word) == 1 and word not in "h¢":
        return None
    word = word.casefold()
    for ending, put in (("", ""), ("s", ""), ("es", ""), ("ies", "y")):
        if word.endswith(ending) and (stem := word[: len(word) - len(ending)] + put):
            if stem in _NAMES and (len(stem) > 2 or not ending):
                return _NAMES[stem]
            if stem in _NOUNS:
                return Unit(())
    return None


_TOKEN = re.compile(
    r"(?P<text>\\text\s*\{(?P<inside>[^{}]*)\})|(?P<degree>\^\s*\\circ)"
    r"|(?P<power>\^\s*(?:\{\s*-?\d\s*\}|-?\d))"
    r"|(?P<word>[^\W\d_]+\.?|¢)|(?P<command>\\[A-Za-z]+)|(?P<space>\s+)|(?P<other>.)"
)
_INSIDE = re.compile(r"[^\W\d_]+|\^\s*\\circ|\^\s*\{?-?\d\}?|\\cdot|/|\d+|\S")


@dataclass(slots=True)
class _Reading:
    """The units read so far, from left to right."""

    powers: dict[str, int]
    factor: Fraction = Fraction(1)
    scale: Fraction = Fraction(1)
    sign: int = 1
    adjective: int = 1
    last: Unit | None = None
    words: int = 0
    size: bool = False  # is the word before a letter that may stand for a thousand, a million and so on?

    def word(self, word: str) -> bool:
        word = word.rstrip(".") or word
        plain = word.casefold()
        if plain in ("square", "sq", "cubic", "cu"):
            self.adjective = 2 if plain[0] == "s" else 3
            self.last = None
            self.words += plain == "square"
            return True
        if plain == "per":
            self.sign = -1
            return True
        stem = plain.removesuffix("s") if plain not in _SCALES else plain
        if stem in _SCALES and not self.powers:
            self.scale *= _SCALES[stem]
            self.words += 1
            return True
        if plain in _ADJECTIVES:
            return True
        unit = unit_of(word)
        counted = unit is not None and (not unit.dimension or unit.dimension[0][0] in MONEY)
        if unit is None or (counted and self.size):  # `5 K dollars`, `5 M people`
            return False
        self.size = word in ("K", "M", "G", "T")
        self._add(unit, self.sign * self.adjective)
        self.last, self.adjective = unit, 1
        self.words += 1
        return True

    def _add(self, unit: Unit, power: int) -> None:
        self.factor *= unit.factor**power
        for kind, exponent in unit.dimension:
            self.powers[kind] = self.powers.get(kind, 0) + exponent * power

    def power(self, exponent: int) -> bool:
        if self.last is None:
            return False
        self._add(self.last, self.sign * exponent - self.sign)
        self.last = None
        return True

    def degree(self) -> bool:
        self._add(_NAMES["degree"], 1)
        self.words += 1
        return True


def _inside_text(reading: _Reading, text: str) -> bool:
    for piece in _INSIDE.findall(text):
        if piece.endswith("circ"):
            reading.degree()
        elif piece[0] == "^":
            if piece == "^" or not reading.power(int(re.sub(r"[^\d-]", "", piece))):
                return False
        elif piece == "/":
            reading.sign = -1
        elif piece in "·.-()~" or piece == r"\cdot":
            continue
        elif not (_temperature(reading, piece) or reading.word(piece)):
            return False
    return True


def _temperature(reading: _Reading, word: str) -> bool:
    """The letter after a sign of degrees: which degrees they are."""
    kind = _TEMPERATURES.get(word.casefold())
    if kind is None or reading.powers != {"angle": 1} or reading.words != 1:
        return False
    reading.powers = {kind: 1}
    return True


def _read_tail(tokens: list[re.Match[str]], powers: bool, slash: bool) -> tuple[Fraction, Unit] | None:
    """The factor and the unit that tokens are; None where anything of them is neither.

    Plain letters count as units in a quotient where `slash` is given, and in a power or a product with a
    sign where `powers` is.
    """
    if tokens[-1][0] in ("/", r"\cdot") or tokens[0]["inside"] in ("M", "G", "T"):  # 5M is five million
        return None
    reading = _Reading({})
    single = [t for t in tokens if t.lastgroup == "word" and len(t[0].rstrip(".")) == 1 and t[0] not in "¢Å"]
    kinds = {t.lastgroup for t in tokens} | {t[0] for t in tokens if t.lastgroup == "other"}
    if single and "degree" not in kinds:
        product = any(t[0] == r"\cdot" for t in tokens)
        compound = (slash and "/" in kinds) or (powers and ("power" in kinds or product))
        if not compound or tokens[0][0] != " ":
            return None
    for token in tokens:
        kind = token.lastgroup
        if kind == "text":
            good = _inside_text(reading, token["inside"])
        elif kind == "degree":
            good = reading.degree()
        elif kind == "power":
            good = reading.power(int(re.sub(r"[^\d-]", "", token[0])))
        elif kind == "word":
            good = _temperature(reading, token[0].rstrip(".")) or reading.word(token[0])
        elif kind == "command":
            good = token[0] == r"\cdot" or (token[0] == r"\Omega" and reading.word("ohm"))
        elif kind == "space":
            good = True
        else:
            good = token[0] == "/"
            reading.sign = -1
        if not good:
            return None
    if not reading.words:
        return None
    dimension = tuple(sorted((kind, power) for kind, power in reading.powers.items() if power))
    return reading.scale, Unit(dimension, reading.factor)


def split_quantity(text: str, *, letters: bool = False) -> tuple[str, Fraction, Unit | None]:
    r"""The value of a quantity, the factor that words of size are, and its unit; `text`, 1 and None if it
    has none.

    Args:
        text: in `notation.normal_form`, say `1.5\text{ million square feet}`.
        letters: may a plain letter be a unit, as in `9 m/s`? Only where no variable is expected.
    """
    text = _QUOTIENT.sub(lambda m: rf"\text{{ {m[1]}{m[2] or ''}/{m[3]}{m[4] or ''}}}", text)
    while (plain := _POWER_INSIDE.sub(r"\1\2", text)) != text:
        text = plain
    text = re.sub(r"\\mu\s*\\text\s*\{\s*(?=[A-Za-z])", r"\\text{μ", text)
    text = re.sub(r"(\\text\s*\{[^{}]*)\\mu\s*(?=[A-Za-z])", r"\1μ", text)
    if letters:
        text = _MICRO.sub(r"\\text{μ\1}", text)
        text = _LETTERS_OVER.sub(r"\\text{ \1/\2}", text)
    tokens = list(_TOKEN.finditer(text))
    start = len(tokens)
    while start and (tokens[start - 1].lastgroup in _TAIL or tokens[start - 1][0] in _JOINTS):
        start -= 1
    for first in range(max(start, 1), len(tokens)):
        quotient = letters or bool(_NUMBER.fullmatch(text[: tokens[first].start()].strip()))
        value = text[: tokens[first].start()].strip()
        if tokens[first].lastgroup == "power" or not _ENDS_A_VALUE.search(value):
            continue
        if tokens[first].lastgroup == "degree" and _ANGULAR.search(value):
            continue
        if (found := _read_tail(tokens[first:], letters, slash=quotient)) is not None:
            return value, *found
    return text, Fraction(1), None


_POWER = r"\s*(\^\s*(?:\{\s*\d\s*\}|\d))?\s*"
_UNIT = r"\\text\s*\{\s*([A-Za-z ]+?)\s*\}"
_QUOTIENT = re.compile(rf"(?<=[\d}}) ])\\frac\s*\{{\s*{_UNIT}{_POWER}\}}\s*\{{\s*{_UNIT}{_POWER}\}}$")
_MICRO = re.compile(r"(?<=[\d}] )\\mu\s*([mgsAFLJVWCH])(?![A-Za-z])")
_POWER_INSIDE = re.compile(r"(\\text\s*\{[^{}]*\^)\s*\{\s*(-?\d)\s*\}")
_LETTERS_OVER = re.compile(
    r"(?<=[\d} ])\\frac\s*\{\s*([A-Za-z]{1,3}(?:\^\d)?)\s*\}\s*\{\s*([A-Za-z]{1,3}(?:\^\d)?)\s*\}$"
)
_ANGULAR = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc|tg|ctg)(?![a-z])")
_NUMBER = re.compile(r"[-+]?[\d.,]+")
_TAIL = ("text", "degree", "power", "word", "space")
_JOINTS = ("/", r"\cdot", r"\Omega", r"\mu")
_ENDS_A_VALUE = re.compile(r"(?:[\d})\]!%.]|\\pi|\\infty|(?<![A-Za-z\\])[A-Za-z]|(?<=\\)[A-Za-z]+)$")
