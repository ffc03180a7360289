"""Two processes of which one goes: `torchrun ... rank_gone.py <signal number>`; 0 is an error of its own."""

import os
import sys

from rlvr.errors import UserError
from rlvr.training.distributed.ranks import (
    at_stage,
    gather,
    on_every_rank,
    process_group,
    rank,
    serve_rank_zero,
)


@on_every_rank("taking part")
def take_part(number: int) -> None:
    if rank() == 1:
        if number == 0:
            raise UserError("no more of this")
        os.kill(os.getpid(), number)
    with at_stage("meeting the others"):
        gather(rank())


if __name__ == "__main__":
    with process_group():
        take_part(int(sys.argv[1])) if rank() == 0 else serve_rank_zero()
