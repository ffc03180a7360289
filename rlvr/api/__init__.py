"""rlvr in Python and notebooks: the commands as functions, and what a run left as data frames.

    import rlvr

    run = rlvr.train(algorithm="dapo", advantage_scaling="focal", scale="smoke")
    run.pass_at_k                      # a data frame
    run.plot("reward/success_rate")    # matplotlib's axes

Whatever is wrong is a `rlvr.errors.UserError`, with the sentence that the command line would print.
"""

from rlvr.api.commands import evaluate, load_run, train
from rlvr.api.run import Run

__all__ = ["Run", "evaluate", "load_run", "train"]
