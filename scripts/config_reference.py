"""Write docs/reference/config.md: every key of the config, from the schema and the registries themselves.

    python scripts/config_reference.py

A test fails when the page is not what this writes.
"""

import ast
import inspect
import re
import textwrap
from functools import cache
from typing import Any

from rlvr.config import PACKAGE
from rlvr.config.keys import Key, all_keys, choices

PAGE = PACKAGE.parent / "docs" / "reference" / "config.md"
HEAD = """\
# Every key of the config

Written by `scripts/config_reference.py` from the schema (`rlvr/config/schema.py`) and from the signatures
of the methods; completion and the check of a config read the same. Set a key with `key=value`. A default here
is the schema's: the files of `conf/`, those of the chosen `scale` above all, give many of them other values,
and `rlvr train --cfg` prints what holds. Numbers are finite.
"""


def page() -> str:
    sections: dict[str, list[Key]] = {}
    for key in all_keys():
        section = key.name.partition(".")[0] if "." in key.name else "the run"
        sections.setdefault(section, []).append(key)
    return HEAD + "".join(f"\n## {name}\n\n{table(keys)}" for name, keys in sections.items())


def table(keys: list[Key]) -> str:
    rows = ["| key | type | default | accepted | meaning |", "|---|---|---|---|---|"]
    of_option = [key for key in keys if key.option and key.name == f"{key.option.partition('=')[0]}.name"]
    rows += [row(key) for key in keys if key not in of_option]
    chosen = [key.option for key in of_option]
    options = f"Options: {', '.join(f'`{option}`' for option in chosen)}.\n\n" if chosen else ""
    return options + ("\n".join(rows) + "\n" if len(rows) > 2 else "None has a key of its own.\n")


def row(key: Key) -> str:
    default = {"???": "to be given", "None": "null"}.get(
        str(key.default), str(key.default).replace("|", "\\|")
    )
    where = f" with `{key.option}`" if key.option else ""
    cells = [f"`{key.name}`{where}", type_name(key.type), f"`{default}`", accepted(key), meaning(key)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def accepted(key: Key) -> str:
    """Its own choices, where other options have a key of the same name and other choices."""
    listed = sorted(key.limits.choices) or choices(key.name)
    return ", ".join(listed) if key.type is str and listed else key.limits.words()


def type_name(hint: Any) -> str:
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    return text.replace("typing.", "").replace(" | None", " or null")


def meaning(key: Key) -> str:
    """The comment behind a field, or what the docstring says of a parameter."""
    leaf = key.name.rpartition(".")[2]
    if inspect.isclass(key.owner) and hasattr(key.owner, "__dataclass_fields__"):
        owners = [each for each in key.owner.__mro__ if leaf in inspect.get_annotations(each)]
        return comments(owners[0]).get(leaf, "") if owners else ""
    return arguments(key.owner.__doc__ or "").get(leaf, "").removesuffix(".")


@cache
def comments(schema: type) -> dict[str, str]:
    """Field -> the comment behind it, or that on the lines above it."""
    lines = textwrap.dedent(inspect.getsource(schema)).splitlines()
    found = {}
    (body,) = ast.parse("\n".join(lines)).body
    for node in body.body:
        if not isinstance(node, ast.AnnAssign):
            continue
        above = []
        number = node.lineno - 2
        while lines[number].lstrip().startswith("#"):
            above.insert(0, lines[number].strip("# "))
            number -= 1
        behind = lines[node.end_lineno - 1][node.end_col_offset :].strip().removeprefix("#").strip()
        found[node.target.id] = behind or " ".join(above)
    return found


def arguments(docstring: str) -> dict[str, str]:
    """Parameter -> its description in the `Args:` of a docstring."""
    _, _, section = inspect.cleandoc(docstring).partition("Args:\n")
    section = re.split(r"^\S", section, maxsplit=1, flags=re.M)[0]
    entries = re.split(r"^ {4}(?=\w)", section, flags=re.M)[1:]
    pairs = (entry.partition(":")[::2] for entry in entries)
    return {name.strip(): " ".join(text.split()) for names, text in pairs for name in names.split(",")}


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
