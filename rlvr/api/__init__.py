"""rlvr in Python and notebooks: the commands as functions, and what a run left as data frames.

    import rlvr

    run = rlvr.train(algorithm="dapo", advantage_scaling="focal", scale="smoke")
    run.pass_at_k                      # a data frame
    run.plot("reward/success_rate")    # matplotlib's axes

Whatever is wrong is an `rlvr.UserError`, with the sentence that the command line would print.
"""

from rlvr.api.commands import evaluate, load_run, train
from rlvr.api.run import Run
from rlvr.errors import UserError

__all__ = ["Run", "UserError", "evaluate", "load_run", "train"]
