"""The plan of the package, read from its source: who may import whom, and how long a piece of code may be.

A room is a folder of rlvr/. Imports count wherever they stand: in a function, or under TYPE_CHECKING.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rlvr"

# A room imports from its own line and from the lines below, never from above, and no two import each other.
ORDER = [
    ["api"],
    ["cli"],
    ["runs", "bench"],
    ["report"],
    ["tables"],
    ["evaluation", "training", "backends"],
    ["curriculum", "warm_start"],
    ["rollout", "problems"],
    ["policy", "verification", "tracking", "theory"],
    ["algorithms", "config", "files"],
    ["functions"],
    ["data", "errors"],
]

FILE_LINES = 400
FUNCTION_LINES = 60  # from `def` to the last line, docstring and comments included
CPU_ONLY = re.compile("onednn|mkldnn|malloc", re.IGNORECASE)
CPU_ROOM = "policy/cpu/"


@dataclass(frozen=True, slots=True)
class Module:
    """A source file; `path` is seen from the package, `room` is None for what stands in no folder."""

    path: str
    room: str | None
    text: str
    tree: ast.Module


@cache
def modules(package: Path) -> list[Module]:
    found = []
    for file in sorted(package.rglob("*.py")):
        path, text = file.relative_to(package).as_posix(), file.read_text()
        room = path.split("/")[0].removesuffix(".py")
        found.append(Module(path, None if room.startswith("__") else room, text, ast.parse(text)))
    return found


def imported_rooms(module: Module) -> Iterator[tuple[str, int]]:
    """Each import of another room, with its line."""
    inside = ["rlvr", *module.path.split("/")[:-1]]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = [*inside[: len(inside) - node.level + 1]] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            room = rest.split(".")[0]
            if package == "rlvr" and room and not room.startswith("__") and room != module.room:
                yield room, node.lineno


def mutual_imports(package: Path) -> list[str]:
    place = {}
    for module in modules(package):
        for room, line in imported_rooms(module):
            place.setdefault((module.room, room), f"{module.path}:{line}")
    return [
        f"{one} and {other} import each other: {place[one, other]} and {place[other, one]}"
        for one, other in place
        if one is not None and one < other and (other, one) in place
    ]


def upward_imports(package: Path, order: list[list[str]]) -> list[str]:
    height = {room: -line for line, rooms in enumerate(order) for room in rooms}
    found = []
    for module in modules(package):
        if module.room is None:
            continue
        if module.room not in height:
            found.append(f"{module.path}: the room {module.room} has no place in the order of rooms")
            continue
        for room, line in imported_rooms(module):
            if height.get(room, 0) > height[module.room]:
                found.append(f"{module.path}:{line}: {module.room} imports {room}, which stands above it")
    return found


def long_files(package: Path) -> list[str]:
    return [
        f"{module.path} has {count} lines; at most {FILE_LINES} are accepted"
        for module in modules(package)
        if (count := len(module.text.splitlines())) > FILE_LINES
    ]


def long_functions(package: Path) -> list[str]:
    return [
        f"{module.path}:{node.lineno}: {node.name} has {count} lines; at most {FUNCTION_LINES} are accepted"
        for module in modules(package)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := node.end_lineno - node.lineno + 1) > FUNCTION_LINES
    ]


def cpu_words(package: Path) -> list[str]:
    return [
        f"{module.path}:{number}: {word[0]} belongs in {CPU_ROOM}"
        for module in modules(package)
        if not module.path.startswith(CPU_ROOM)
        for number, line in enumerate(module.text.splitlines(), 1)
        if (word := CPU_ONLY.search(line))
    ]


def undocumented(package: Path) -> list[str]:
    """Public modules without a docstring; a file of no statements (an empty __init__) is none."""
    return [
        f"{module.path} has no docstring: one line that says what it is"
        for module in modules(package)
        if module.tree.body
        and not Path(module.path).name.startswith("_")
        and not ast.get_docstring(module.tree)
    ]


def none_of(violations: list[str]) -> None:
    if violations:
        pytest.fail("\n".join(violations), pytrace=False)


def test_no_two_rooms_import_each_other():
    none_of(mutual_imports(PACKAGE))


def test_no_room_imports_one_above_it():
    none_of(upward_imports(PACKAGE, ORDER))


def test_files_are_short():
    none_of(long_files(PACKAGE))


def test_functions_are_short():
    none_of(long_functions(PACKAGE))


def test_only_the_cpu_room_speaks_of_cpu_libraries():
    none_of(cpu_words(PACKAGE))


def test_public_modules_say_what_they_are():
    none_of(undocumented(PACKAGE))


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A package that breaks every rule once."""
    long_function = "\n".join(["def long():", *["    pass"] * FUNCTION_LINES])
    files = {
        "data/a.py": '"""."""\nif TYPE_CHECKING:\n    from ..runs import b\n',
        "runs/b.py": '"""."""\ndef late():\n    import rlvr.data.a\n',
        "runs/c.py": f'"""."""\nfrom rlvr import data\n\n\n{long_function}\n',
        "policy/cpu/d.py": '"""mallopt of oneDNN."""\n',
        "policy/e.py": "torch.backends.MKLDNN\n" + "\n" * FILE_LINES,
        "attic/f.py": '"""."""\n',
        "__init__.py": "",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_a_house_that_breaks_every_rule_is_told_where(house: Path):
    order = [["runs"], ["policy"], ["data"]]
    assert mutual_imports(house) == ["data and runs import each other: data/a.py:3 and runs/b.py:3"]
    assert upward_imports(house, order) == [
        "attic/f.py: the room attic has no place in the order of rooms",
        "data/a.py:3: data imports runs, which stands above it",
    ]
    assert long_files(house) == ["policy/e.py has 401 lines; at most 400 are accepted"]
    assert long_functions(house) == ["runs/c.py:5: long has 61 lines; at most 60 are accepted"]
    assert cpu_words(house) == ["policy/e.py:1: MKLDNN belongs in policy/cpu/"]
    assert undocumented(house) == ["policy/e.py has no docstring: one line that says what it is"]
