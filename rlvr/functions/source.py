"""A function of a user's file, as a config names it: `my_rewards.py:length_penalised`.

The file is found from the working folder. It is read here and not run, so that composing a config, or
reading that of a run which somebody else made, runs nothing.
"""

import ast
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlvr.errors import UserError, nearest, refuse_unknown, unknown

REFERENCE = re.compile(r"(?P<path>[^,'\"]*\.py)(?::(?P<name>[^@]*))?(?:@(?P<digest>\w+))?")

REWARD_OFFERS = ("problem", "text", "token_ids", "verdict")  # what a reward may take, by name
VERIFIER_OFFERS = ("problem", "text")
OF_VERL = ("data_source", "solution_str", "ground_truth")  # what verl's compute_score takes


def is_file_function(text: Any) -> bool:
    """Whether a text names a function of a file, rather than an option."""
    return isinstance(text, str) and REFERENCE.fullmatch(text) is not None


@dataclass(frozen=True)
class FileFunction:
    """Where a function is.

    Attributes:
        digest: of the file as it is meant to be; None where any will do.
    """

    path: str
    name: str
    digest: str | None = None

    @classmethod
    def of(cls, text: str) -> "FileFunction":
        found = REFERENCE.fullmatch(text)
        assert found, text
        return cls(found["path"], found["name"] or "", found["digest"])

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" + (f"@{self.digest}" if self.digest else "")

    @property
    def plain(self) -> str:
        """As a person wrote it."""
        return f"{self.path}:{self.name}"

    def source(self) -> bytes:
        """The file's bytes. Raises UserError where it is not there, or not what it was."""
        file = Path(self.path).expanduser()
        try:
            content = file.read_bytes()
        except OSError as error:
            where = "" if file.is_absolute() else f" in {Path.cwd()}, where it was looked for"
            raise UserError(
                f"{self.plain}: there is no file {self.path}{where} ({error.strerror})"
            ) from error
        if self.digest not in (None, now := digest_of(content)):
            raise UserError(
                f"{self.path} has changed: its digest is {now}, and {self.digest} in the config; restore the "
                "file, or start another run with it"
            )
        return content


def digest_of(content: bytes) -> str:
    """16 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def resolved(
    key: str, text: str, *, offers: Sequence[str], parameters: Mapping[str, Any] | None = None
) -> str:
    """A reference with the digest of its file, once the function is known to be callable.

    One that has a digest already is of a stored config, and is taken as it is.

    Args:
        key: of the config that has the reference, for the sentences.
        offers: names of what the function may take.
        parameters: its keyword-only arguments.

    Raises:
        UserError: no such file or function, no Python, or a signature that can't be called.
    """
    function = FileFunction.of(text)
    if function.digest:
        return text
    content = function.source()
    takes(function, content, offers=offers, parameters=parameters or {}, key=key)
    return str(replace(function, digest=digest_of(content)))


def takes(
    function: FileFunction,
    content: bytes,
    *,
    offers: Sequence[str],
    parameters: Mapping[str, Any],
    key: str,
) -> list[str]:
    """The names of a function's positional parameters, once its signature is known to be one that fits."""
    definition = _definition(function, content, offers)
    given = definition.args
    names = [argument.arg for argument in [*given.posonlyargs, *given.args]]
    settable = key == "reward"  # a verifier is named by one key, which has none below it
    hint = f"; what {key}.parameters sets stands behind a * among the parameters" if settable else ""
    for name in names:
        if name not in offers:
            if name in OF_VERL:
                hint = "; how verl's is given is in docs/how-to/from-trl-or-verl.md"
            accepted = f"{', '.join(offers)}{nearest(name, offers)}{hint}"
            raise UserError(f"{function.plain} takes {name!r}: accepted are {accepted}")
    if given.vararg:
        raise UserError(
            f"{function.plain} takes *{given.vararg.arg}: accepted are {', '.join(offers)}, by name"
        )
    keywords = [argument.arg for argument in given.kwonlyargs]
    if not given.kwarg:
        refuse_unknown(f"parameter of {function.plain}", parameters, keywords)
    pairs = zip(keywords, given.kw_defaults, strict=True)
    if lacking := [name for name, default in pairs if default is None and name not in parameters]:
        how = (
            f"{key}.parameters.{lacking[0]}=..." if settable else "give it a default, a verifier has no keys"
        )
        raise UserError(f"{function.plain} needs a value for {lacking[0]!r}: {how}")
    return names


def _definition(function: FileFunction, content: bytes, offers: Sequence[str]) -> ast.FunctionDef:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise UserError(f"{function.path} is no Python{line}: {reason}") from error
    defined = {node.name: node for node in _definitions(tree.body)}
    there: Collection[str] = [name for name, node in defined.items() if isinstance(node, ast.FunctionDef)]
    node = defined.get(function.name)
    if isinstance(node, ast.FunctionDef):
        return node
    if isinstance(node, ast.AsyncFunctionDef | ast.ClassDef):
        what = "a class" if isinstance(node, ast.ClassDef) else "async"
        raise UserError(f"{function.plain} is {what}: accepted is a plain function of {', '.join(offers)}")
    if not there:
        raise UserError(f"{function.path} defines no function: accepted is one of {', '.join(offers)}")
    if not function.name:
        raise UserError(f"{function.path} is a file: name a function of it, as {function.path}:{min(there)}")
    raise unknown(f"function of {function.path}", function.name, there)


def _definitions(body: Iterable[ast.AST]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """What a module defines by itself, under `if`, `try` and their `else` and `except` too."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler):
            yield from _definitions(ast.iter_child_nodes(node))
