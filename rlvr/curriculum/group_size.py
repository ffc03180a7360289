"""How many rollouts a problem gets."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike

from rlvr.config import Config
from rlvr.config.limits import Limits
from rlvr.config.plugins import added
from rlvr.config.registry import Method
from rlvr.curriculum.profile import Profile
from rlvr.data import Problem
from rlvr.errors import UserError, unknown

# on a logarithmic scale: what is added to floor(log2) where the mantissa in [1/2, 1) fulfils it
ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "down": lambda mantissa: mantissa < 0,
    "nearest": lambda mantissa: mantissa >= np.sqrt(0.5),
    "up": lambda mantissa: mantissa > 0.5,
}


def inverse_success_group_size(
    successes: ArrayLike, samples: ArrayLike, *, minimum: int = 2, maximum: int = 8, rounding: str = "down"
) -> np.integer | np.ndarray:
    """A power of two near samples / successes, so that a group expects about one success.

    G = 2^floor(log2(samples / successes)), clipped to [minimum, maximum] (sGPO, arXiv 2606.08854, section
    4.3.2; how the paper rounds is not known). A problem without any success gets the maximum.

    Args:
        successes: scalar or array of integers, right answers of each problem in its profile.
        samples: broadcast against `successes`, scorable answers of each problem, at least 1.
        minimum, maximum: smallest and largest group, in rollouts.
        rounding: to a power of two: "down", "nearest" (on a logarithmic scale) or "up".

    Returns:
        int64, the shape of the arguments; a scalar for scalars.

    Raises:
        UserError: for successes outside [0, samples], bounds that are out of order, or an unknown rounding.
    """
    successes, samples = np.broadcast_arrays(successes, samples)
    if rounding not in ROUNDINGS:
        raise unknown("rounding of group sizes", rounding, ROUNDINGS)
    if not 1 <= minimum <= maximum:
        raise UserError(
            f"group sizes from {minimum} to {maximum}: accepted is 1 <= minimum <= maximum, "
            f"nearest is a maximum of {max(minimum, 1)}"
        )
    if (impossible := ~((samples >= 1) & (successes >= 0) & (successes <= samples))).any():
        raise UserError(
            f"{successes[impossible][0]} successes of {samples[impossible][0]} samples: accepted are 1 "
            "or more samples, and successes from 0 to their number"
        )
    # frexp instead of log2: exact where the ratio is a power of two
    mantissa, exponent = np.frexp(samples / np.maximum(successes, 1))
    doublings = exponent.astype(np.int64) - 1 + ROUNDINGS[rounding](mantissa)
    sizes = np.clip(np.left_shift(1, doublings), minimum, maximum)
    return np.where(successes > 0, sizes, maximum)[()]


Rollouts = Annotated[int, Limits(at_least=2, at_most=10**6, accepted="2 to 1,000,000 rollouts a problem")]


def fixed(*, n: Rollouts = 8) -> int:
    """As many rollouts for every problem.

    Args:
        n: rollouts a problem.
    """
    return n


def inverse_success(
    successes: int,
    samples: int,
    *,
    minimum: Rollouts = 2,
    maximum: Rollouts = 8,
    rounding: Literal["down", "nearest", "up"] = "down",
) -> int:
    """`inverse_success_group_size` of a problem of the profile (sGPO).

    Args:
        minimum: rollouts a problem.
        maximum: rollouts a problem, also of problems never solved.
        rounding: to a power of two.
    """
    if samples == 0:  # nothing could be scored, so no success is known of
        return maximum
    return int(
        inverse_success_group_size(successes, samples, minimum=minimum, maximum=maximum, rounding=rounding)
    )


# The options of `group_size`: functions that return the number of rollouts of one problem. One that takes
# `successes` or `samples` needs a profile.
GROUP_SIZES: dict[str, Callable[..., int]] = {"fixed": fixed, "inverse_success": inverse_success}


def build_group_size(config: Config, profile: Profile | None) -> Callable[[Problem], int]:
    """The group size of each problem, as a config's `group_size` says."""
    options = config.group_size
    method = Method(options.name, added("group_sizes", GROUP_SIZES)[options.name], options)

    def size(problem: Problem) -> int:
        successes, samples = profile.counts[problem.id] if profile else (0, 0)
        return method({"problem": problem, "successes": successes, "samples": samples})

    return size
