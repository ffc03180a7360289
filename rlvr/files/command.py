"""What a person typed."""

import shlex
import sys


def typed() -> str:
    """The command of this process, as it can be given again."""
    return shlex.join(["rlvr", *sys.argv[1:]])
