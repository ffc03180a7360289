"""The one kind of error a user is meant to read: a sentence, without a traceback."""

import difflib
import errno
import os
from collections.abc import Collection, Iterable


class UserError(ValueError):
    """Says in one sentence what was given, what is accepted and the nearest valid choice.

    The command line prints the sentence alone; anything else that is raised is a fault of
    rlvr's own and keeps its traceback.
    """


class NotHere(UserError):
    """Says that something may be on the hub or the web, which can't be reached from this machine."""


# of a place that a person named; never a fault of rlvr's own
OF_PLACES = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
    *(errno.ENOSPC, errno.EDQUOT),
)


def of_a_place(error: OSError) -> UserError | None:
    """The sentence for what the system says of a file or folder as such; None where rlvr may be at fault."""
    if error.errno not in OF_PLACES or error.filename is None:
        return None
    return UserError(f"{os.fsdecode(error.filename)}: {os.strerror(error.errno)}; choose another place")


def printable(text: object) -> str:
    """One line without what a terminal would obey: names and a policy's words may hold escape sequences."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "·" for c in str(text))


def say(sentence: str) -> None:
    """One line for the user, on stderr; a terminal gets it folded between words."""
    from rich.console import Console

    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    console.print(printable(sentence), soft_wrap=not (console.is_terminal or console.is_jupyter))


def nearest(given: object, accepted: Iterable[str]) -> str:
    """ "; did you mean X?" for the closest accepted name, or nothing when none is close."""
    names = [str(name) for name in accepted]
    closest = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    closest = [name for name in names if initials(name) == given] or closest  # lr for learning_rate
    return f"; did you mean {closest[0]}?" if closest else ""


def initials(name: str) -> str:
    """The first letters of a name's words; nothing where it is one word."""
    words = name.split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else ""


def unknown(
    kind: str, given: object, accepted: Iterable[str], hint: str = "", *, meant: str = ""
) -> UserError:
    """The error for a name that does not exist: `unknown("table", "fgrpo/tabel1", names)`.

    Args:
        hint: what to say at the end in the place of the nearest name.
        meant: what was meant, where that is known; it is said before a list that may be long.
    """
    accepted = sorted(map(str, accepted))
    if meant:
        return UserError(
            f"unknown {kind} {given!r}: did you mean {meant}? Accepted are {', '.join(accepted)}"
        )
    return UserError(
        f"unknown {kind} {given!r}: accepted are {', '.join(accepted)}{hint or nearest(given, accepted)}"
    )


def closest(wanted: int, accepted: Iterable[int]) -> int:
    """The number nearest to another one, the first of equals."""
    return min(accepted, key=lambda number: abs(number - wanted))


def refuse_unknown(kind: str, given: Iterable[object], accepted: Collection[str]) -> None:
    """Raise `unknown` for the first of some names that is not accepted."""
    for name in given:
        if name not in accepted:
            raise unknown(kind, name, accepted)
