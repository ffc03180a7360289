"""The signatures of rlvr's own methods, read from their source.

Importing the methods would take torch along, and composing a config or completing a word should not wait
for that. So the header of a function is compiled by itself, with the few names that it uses.
"""

import ast
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
LIGHT = ("typing", "math", "collections.abc", "rlvr.config.limits")  # what headers may import from


@cache
def signatures_of(module: str, table: str) -> dict[str, Callable[..., Any]]:
    """The functions of a dict `table = {"name": function, ...}`, without their bodies.

    Positional parameters have no types. A class has `__init__` and `__call__`; all keep its docstring.

    Args:
        module: a file below `rlvr/`; the functions are its own, or imported from other modules of rlvr.
    """
    source = _Source(PACKAGE / module)
    return {name: source[value.id] for name, value in source.items_of(table).items()}


@cache
def names_in(module: str, table: str) -> tuple[str, ...]:
    """The keys of a dict `table = {"name": ..., ...}` of a file below `rlvr/`."""
    return tuple(_Source(PACKAGE / module).items_of(table))


class _Source(dict):
    """The names of a module, each evaluated when it is asked for; other names are Python's own."""

    def __init__(self, file: Path):
        super().__init__()
        self.tree = ast.parse(file.read_text(encoding="utf-8"))

    def items_of(self, table: str) -> dict[str, Any]:
        """The keys of a dict that is written out, and the expressions of its values."""
        written = self.definition(table)
        assert isinstance(written, ast.Dict), f"{table} is no plain dict"
        return {ast.literal_eval(key): value for key, value in zip(written.keys, written.values, strict=True)}

    def definition(self, name: str) -> Any:
        """What a name is bound to: a function, a class, an import, or an assigned expression."""
        for node in self.tree.body:
            match node:
                case ast.FunctionDef() | ast.ClassDef() if node.name == name:
                    return node
                case ast.AnnAssign(target=ast.Name(id=target)) if target == name:
                    return node.value
                case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                    return node.value
                case ast.ImportFrom() if name in [alias.name for alias in node.names]:
                    return node
        raise KeyError(name)  # Python then looks among its own

    def __missing__(self, name: str) -> Any:
        match self.definition(name):
            case ast.ImportFrom(module=str(module)) if module in LIGHT:
                self[name] = getattr(import_module(module), name)
            case ast.ImportFrom(module=str(module)):
                self[name] = _Source(PACKAGE.parent / f"{module.replace('.', '/')}.py")[name]
            case ast.FunctionDef() as function:
                self[name] = self._header(function)
            case ast.ClassDef() as class_:
                parts = {node.name: node for node in class_.body if isinstance(node, ast.FunctionDef)}
                calls = {part: self._header(parts[part]) for part in parts.keys() & {"__init__", "__call__"}}
                self[name] = type(name, (), {**calls, "__doc__": ast.get_docstring(class_)})
            case expression:
                self[name] = eval(compile(ast.Expression(expression), name, "eval"), {}, self)
        return self[name]

    def _header(self, function: ast.FunctionDef) -> Callable[..., Any]:
        given = function.args
        names = [ast.arg(argument.arg) for argument in [*given.posonlyargs, *given.args]]
        arguments = ast.arguments([], names, None, given.kwonlyargs, given.kw_defaults, None, [])
        bare = ast.FunctionDef("header", arguments, [ast.Pass()], [])
        exec(compile(ast.fix_missing_locations(ast.Module([bare], [])), function.name, "exec"), {}, self)
        header = self.pop("header")
        header.__doc__ = ast.get_docstring(function)
        return header
