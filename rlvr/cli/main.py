"""The command line: `rlvr <verb> [key=value ...]`.

Every verb's work is imported when the verb is called, so that help and errors answer at once.
"""

import os
import select
import shutil
import signal
import sys
import textwrap
from collections.abc import Sequence
from typing import TextIO

from rlvr.cli import results, tools, training
from rlvr.cli.arguments import Verb, help_of, listing, read
from rlvr.errors import UserError, of_a_place, printable, refuse_unknown

VERBS: dict[str, Verb] = {verb.name: verb for verb in (*training.VERBS, *results.VERBS, *tools.VERBS)}

HELP = """\
rlvr: reinforcement learning with verifiable rewards, from a paper's table to your own policy.

  rlvr reproduce table=fgrpo/table1          reproduce a published table at laptop scale
  rlvr train algorithm=dapo seed=2           one run; any key of conf/ can be given as key=value
  rlvr train -m algorithm=grpo,dapo advantage_scaling=none,focal seed=1,2,3
                                             a sweep: every combination, two runs at a time
  rlvr evaluate run=results/runs/...         evaluate a run's chosen checkpoint again

{verbs}

`rlvr <verb> --help` says more, with examples. `rlvr train --cfg job` prints a run's config and stops.
`eval "$(rlvr completion bash)"` (or zsh, or fish) completes verbs, keys and their values.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `rlvr` command."""
    try:
        try:
            run_verb(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if stream and nobody_reads(stream)]
        if not unread:
            raise  # of a pipe of the work's own
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in unread:  # what is left in it is flushed once more when Python ends
            os.dup2(nowhere, stream.fileno())
        sys.exit(128 + signal.SIGPIPE)


def nobody_reads(stream: TextIO) -> bool:
    """Whether the other end of a stream's pipe is closed, as that of `| head` once it has its lines."""
    poll = select.poll()
    poll.register(stream, 0)  # what is asked for is nothing; errors are told always
    return bool(poll.poll(0))


def run_verb(arguments: list[str]) -> None:
    """Do what a command line says; what is wrong with it goes to stderr as a sentence, with exit status 2."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(verbs=listing({f"rlvr {name}": [verb.summary] for name, verb in VERBS.items()})))
        return
    name, rest = arguments[0], arguments[1:]
    try:
        if name in ("-V", "--version"):
            from rlvr import __version__

            print(f"rlvr {__version__}")
            return
        refuse_unknown("verb", [name], VERBS)
        verb = VERBS[name]
        if odd := next((text for text in rest if "\0" in text), None):
            raise UserError(f"{odd!r} has a NUL, which no file's name or value has")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ and not verb.together:
            together = " and ".join(other.name for other in VERBS.values() if other.together)
            raise UserError(f"torchrun was given with `rlvr {name}`: accepted are {together}")
        if "-h" in rest or "--help" in rest:
            print(help_of(verb))
            return
        verb.run(read(verb, rest))
    except UserError as error:
        complain(str(error))
        sys.exit(2)
    except OSError as error:
        if (said := of_a_place(error)) is None:
            raise
        complain(str(said))
        sys.exit(2)
    except KeyboardInterrupt:
        complain("interrupted; what was finished is kept, the same command goes on from there")
        sys.exit(130)


def complain(sentence: str) -> None:
    """Say on stderr what is wrong; a terminal gets it folded between words."""
    text = f"rlvr: {printable(sentence)}"
    if sys.stderr and sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    print(text, file=sys.stderr)
