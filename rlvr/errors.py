"""The one kind of error a user is meant to read: a sentence, without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Says in one sentence what was given, what is accepted and the nearest valid choice.

    The command line prints the sentence alone; anything else that is raised is a fault of
    rlvr's own and keeps its traceback.
    """


def unknown(kind: str, given: object, accepted: Iterable[str]) -> UserError:
    """The error for a name that does not exist: `unknown("table", "fgrpo/tabel1", names)`."""
    accepted = sorted(map(str, accepted))
    nearest = difflib.get_close_matches(str(given), accepted, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return UserError(f"unknown {kind} {given!r}: accepted are {', '.join(accepted)}{hint}")
