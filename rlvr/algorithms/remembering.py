"""Weights that remember what earlier steps sampled: see `rlvr.config.registry` on methods with a state."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor

from rlvr.algorithms.advantages import float_dtype, success_rate
from rlvr.config.limits import Limits


class UnsolvedOnly:
    """Weight 1 for problems without a success in the steps before, else `solved`.

    A reading of Yuan et al. 2026 (arXiv 2606.15455), whose abstract has updates restricted to problems with
    zero observed success. The step of the first success counts still: an estimator without a signal in groups
    that are all wrong learns from a problem once; `algorithm=nsr` learns from it until then.

    Args:
        solved: the weight of problems that were solved before.
    """

    def __init__(self, *, solved: Annotated[float, Limits(at_least=0)] = 0.0):
        self.solved = solved
        self.seen: set[str] = set()  # ids of problems with a success

    def __call__(self, correct: Tensor, problem_ids: Sequence[str]) -> Tensor:
        weights = [self.solved if name in self.seen else 1.0 for name in problem_ids]
        return torch.tensor(weights, dtype=float_dtype(correct))

    def observe(self, correct: Tensor, problem_ids: Sequence[str]) -> None:
        self.seen.update(name for name, right in zip(problem_ids, correct == 1, strict=True) if right)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": sorted(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = set(state["seen"])


class FocalPosterior:
    """(1 - m)^gamma with m the posterior mean of the problem's success rate over all steps that saw it.

    m = a / (a + b), Beta(a, b) from the prior, the X of N of this step, and `discount` times what was there
    before, again at every visit: the estimate of Discounted Beta-Bernoulli rewards (Kim et al. 2026,
    arXiv 2603.18444; its abstract was seen, the recursion is a reading) in F-GRPO's eq. 12. Without a prior
    and with discount 0 it is `focal`.

    Args:
        gamma: exponent of the failure rate; 0 is no scaling.
        discount: of earlier visits to the problem, once a visit; 1 forgets nothing, 0 all.
        prior_right: successes that a problem begins with.
        prior_wrong: failures that it begins with.
    """

    def __init__(
        self,
        *,
        gamma: Annotated[float, Limits(at_least=0)] = 0.5,
        discount: Annotated[float, Limits(at_least=0, at_most=1)] = 0.5,
        prior_right: Annotated[float, Limits(at_least=0)] = 1.0,
        prior_wrong: Annotated[float, Limits(at_least=0)] = 1.0,
    ):
        self.gamma, self.discount = gamma, discount
        self.prior = prior_right, prior_wrong
        self.tallies: dict[str, tuple[float, float]] = {}  # right and wrong, discounted, by problem

    def __call__(self, correct: Tensor, problem_ids: Sequence[str]) -> Tensor:
        means = {}
        for name, (right, wrong) in self._updated(correct, problem_ids).items():
            right, wrong = right + self.prior[0], wrong + self.prior[1]
            means[name] = right / (right + wrong) if right + wrong else 0.0
        rates = torch.tensor([means[name] for name in problem_ids], dtype=torch.float64)
        return ((1 - rates) ** self.gamma).to(float_dtype(correct))

    def observe(self, correct: Tensor, problem_ids: Sequence[str]) -> None:
        self.tallies |= self._updated(correct, problem_ids)

    def _updated(self, correct: Tensor, problem_ids: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Right and wrong of the problems of a step, with what is left of earlier ones."""
        updated = {
            name: tuple(self.discount * count for count in self.tallies.get(name, (0.0, 0.0)))
            for name in problem_ids
        }
        for name, value in zip(problem_ids, correct.tolist(), strict=True):
            right, wrong = updated[name]
            updated[name] = right + (value == 1), wrong + (value == 0)
        return updated

    def state_dict(self) -> dict[str, Any]:
        return {"tallies": dict(sorted(self.tallies.items()))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.tallies = dict(state["tallies"])


class CurveRL:
    """f(p) / F(p), density over distribution function of the success rates of the last `window` steps.

    Sun et al. 2026 (arXiv 2605.24331, Algorithm 1, and `compute_curverl_outcome_advantage` of its code): a
    histogram of the rates strictly between 0 and 1, as many bins as rollouts in the largest group plus one;
    before there is any the step's own. Groups that are all right or all wrong have weight 0. It belongs on
    advantages without a standard deviation (`algorithm.normalize_std=false`).

    Args:
        window: steps whose rates are kept.
    """

    def __init__(self, *, window: Annotated[int, Limits(at_least=0)] = 10):
        self.window = window
        self.rates: list[list[float]] = []  # of each step, oldest first

    def __call__(self, correct: Tensor, group_index: Tensor) -> Tensor:
        rate = success_rate(correct.double(), group_index)
        mixed = (rate > 0) & (rate < 1)
        earlier = [value for step in self.rates for value in step]
        reference = torch.tensor(earlier or _of_groups(rate, group_index), dtype=torch.float64)
        bins = int(torch.unique(group_index, return_counts=True)[1].max()) + 1
        counts = _bin(reference, bins).bincount(minlength=bins).double()
        weights = counts / counts.cumsum(0).clamp(min=1)
        return weights[_bin(rate, bins)].where(mixed, 0.0).to(float_dtype(correct))

    def observe(self, correct: Tensor, group_index: Tensor) -> None:
        rate = success_rate(correct.double(), group_index)
        self.rates = [*self.rates, _of_groups(rate, group_index)][-self.window :] if self.window else []

    def state_dict(self) -> dict[str, Any]:
        return {"rates": self.rates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rates = state["rates"]


def _of_groups(rate: Tensor, group_index: Tensor) -> list[float]:
    """The rate of every group that is mixed, once each."""
    by_group = dict(zip(group_index.tolist(), rate.tolist(), strict=True))
    return [value for value in by_group.values() if 0 < value < 1]


def _bin(rates: Tensor, bins: int) -> Tensor:
    # a rate of X/N may lie a bit below its bin's lower end in floating point
    return (rates * bins + 1e-9).floor().long().clamp(0, bins - 1)
