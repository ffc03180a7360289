"""How much smaller focal scaling makes the steps, on average: the control that only lowers the rate."""

from math import gamma as gamma_function
from math import pi, sqrt

from rlvr.errors import UserError


def learning_rate_factor(gamma: float) -> float:
    """Mean focal weight of a GRPO step over success rates spread evenly on [0, 1] (F-GRPO, App. N).

    With population normalisation the mean |A| of a group with success rate m is proportional to
    sqrt(m (1 - m)), so the factor is

        int (1-m)^gamma sqrt(m(1-m)) dm / int sqrt(m(1-m)) dm = B(3/2, gamma + 3/2) / B(3/2, 3/2).

    GRPO at this times its learning rate takes steps as large as F-GRPO's: 0.679 for gamma 0.5, so that
    1e-6 becomes the paper's 6.8e-7.

    Raises:
        UserError: for a negative gamma.
    """
    if not gamma >= 0:
        raise UserError(f"focal gamma {gamma} is not accepted: it must be at least 0 (0 turns it off)")
    return 4 / sqrt(pi) * gamma_function(gamma + 1.5) / gamma_function(gamma + 3)
