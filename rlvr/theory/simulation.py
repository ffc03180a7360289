"""The categorical simulation: a policy over 128,000 answers, trained by sampled groups of one size.

F-GRPO (arXiv 2602.06717), section 5.1 and appendix J, after BroRL (arXiv 2510.01180). A softmax over
answers, 10,000 of them correct (reward +1, all others -1), takes 1000 steps. Each step samples N answers,
subtracts the group's mean reward (no division by a standard deviation) and ascends the focal objective
(1 - X/N)^gamma (1/N) sum_j (r_j - mean r) p_j with learning rate 0.01. Measured are the correct mass, and
how much of the initial correct mass is still where it was (26).

Left open by the paper, and the position taken: "gradient ascent" cannot be plain, since at this learning
rate nothing would move. It is read as Adam (betas 0.9 and 0.999, eps 1e-8, no weight decay) on p_j as the
on-policy ratio p_j / stop_gradient(p_j). `objective="probability"` is the literal p_j under the same Adam;
it contradicts the paper's figure: small groups lose correct mass, the largest do not retain it.

The fast method is exact, by three facts:
- the ratio's gradient is c_i (r_i - mean r) / N for an answer drawn c_i times, and 0 for all others;
- so Adam leaves an answer alone until it is first drawn: untouched answers of one class stay identical,
  and one entry with a multiplicity stands for all of them;
- N sorted uniforms against the running sum of the entries' masses are N independent draws.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rlvr.errors import UserError, unknown

FloatArray = NDArray[np.float64]
UNTOUCHED_CORRECT, UNTOUCHED_WRONG, ANCHOR = 0, 1, 2


@dataclass(frozen=True, slots=True)
class CategoricalSetup:
    """The paper's policy and optimiser. The anchor is the one correct answer with a logit of its own."""

    actions: int = 128_000
    correct_actions: int = 10_000
    anchor_logit: float = 5.0
    correct_logit: float = 3.0
    wrong_logit: float = 0.0
    learning_rate: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if not 2 <= self.correct_actions < self.actions:
            raise UserError(
                f"{self.correct_actions} correct of {self.actions} actions were given: accepted are at least "
                "2 correct actions (the anchor and another) and 1 wrong one"
            )


PAPER_SETUP = CategoricalSetup()


@dataclass(frozen=True, slots=True)
class CategoricalRun:
    """One simulated training: float64 arrays (steps + 1,), entry t after t updates.

    Attributes:
        correct_mass: Q_pos, the probability of a correct answer.
        retained_mass: 1 - sum max(0, pi_0 - pi_t) / sum pi_0 over correct answers, equation (26).
        entropy: of the policy over answers, in nats.
    """

    correct_mass: FloatArray
    retained_mass: FloatArray
    entropy: FloatArray


def simulate_categorical(
    *,
    group_size: int,
    gamma: float,
    seed: int,
    steps: int = 1000,
    setup: CategoricalSetup = PAPER_SETUP,
    method: Literal["fast", "plain"] = "fast",
    objective: Literal["ratio", "probability"] = "ratio",
) -> CategoricalRun:
    """Train the categorical policy and return its masses after 0 to `steps` updates.

    Args:
        group_size: N, answers sampled a step, >= 1.
        gamma: exponent of the focal weight, >= 0; 0 is the baseline.
        seed: of the draws; each method has a generator of its own.
        method: "plain" is the definition in torch; "fast" has the same distribution and, for the same
            draws, the same masses, and is several times faster.
        objective: "ratio" or, by the plain method only, "probability" (see the module).

    Raises:
        UserError: for a value that is not accepted.
    """
    if group_size < 1 or group_size % 1 or not gamma >= 0 or steps < 0:
        raise UserError(
            f"group size {group_size}, gamma {gamma} and {steps} steps were given: "
            "accepted are a whole group size from 1, and gamma and steps from 0"
        )
    if method not in ("fast", "plain"):
        raise unknown("method", method, ("fast", "plain"))
    if objective not in ("ratio", "probability"):
        raise unknown("objective", objective, ("ratio", "probability"))
    if method == "plain":
        return _simulate_plain(setup, gamma, steps, objective, _torch_draws(group_size, seed))
    if objective != "ratio":
        raise UserError('objective "probability" was given with method "fast": accepted is method "plain"')
    return _simulate_fast(setup, group_size, gamma, steps, np.random.default_rng(seed))


def _simulate_plain(
    setup: CategoricalSetup, gamma: float, steps: int, objective: str, draw: Callable
) -> CategoricalRun:
    """The definition, answer by answer: automatic differentiation and torch's Adam."""
    import torch  # here, because the fast method's worker processes do without its slow import

    logits = torch.full((setup.actions,), setup.wrong_logit, dtype=torch.float64)
    logits[: setup.correct_actions] = setup.correct_logit
    logits[0] = setup.anchor_logit
    logits.requires_grad_()
    optimizer = torch.optim.Adam(
        [logits], lr=setup.learning_rate, betas=setup.betas, eps=setup.eps, maximize=True
    )
    initial = torch.softmax(logits.detach(), 0)[: setup.correct_actions]
    history = []
    for step in range(steps + 1):
        policy = torch.softmax(logits, 0)
        correct = policy.detach()[: setup.correct_actions]
        lost = (initial - correct).clamp(min=0).sum()
        entropy = torch.special.entr(policy.detach()).sum()
        history.append((correct.sum().item(), 1 - (lost / initial.sum()).item(), entropy.item()))
        if step == steps:
            return CategoricalRun(*np.array(history).T)

        actions = draw(policy.detach())
        is_correct = (actions < setup.correct_actions).double()
        reward = 2 * is_correct - 1
        advantage = reward - reward.mean()
        chosen = policy[actions]
        if objective == "ratio":
            chosen = chosen / chosen.detach()
        focal = (1 - is_correct.mean()) ** gamma
        optimizer.zero_grad()
        (focal * (advantage * chosen).mean()).backward()
        optimizer.step()


def _torch_draws(group_size: int, seed: int) -> Callable:
    import torch

    generator = torch.Generator().manual_seed(seed)
    return lambda policy: torch.multinomial(policy, group_size, replacement=True, generator=generator)


def _simulate_fast(
    setup: CategoricalSetup, group_size: int, gamma: float, steps: int, rng: np.random.Generator
) -> CategoricalRun:
    policy = TouchedActions(setup)
    history = np.empty((steps + 1, 3))
    for step in range(steps + 1):
        history[step] = policy.measure()
        if step == steps:
            return CategoricalRun(*history.T)

        entries, counts = policy.draw(group_size, rng)
        is_correct = policy.is_correct[entries]
        success_rate = counts @ is_correct / group_size
        advantage = 2 * (is_correct - success_rate)  # r_j - mean r for rewards of +1 and -1
        focal = (1 - success_rate) ** gamma
        policy.ascend(entries, focal * counts * advantage / group_size)


class TouchedActions:
    """The policy with one entry for each answer drawn so far, and one for the rest of each class.

    Entries 0 and 1 stand for the untouched correct and wrong answers, entry 2 is the anchor, and answers
    follow in the order of their first draw. Arrays are allocated for the worst case; the first `size`
    entries are in use.
    """

    def __init__(self, setup: CategoricalSetup) -> None:
        self.setup, self.size, self.updates = setup, 3, 0
        capacity = setup.actions + 2
        self.logits, self.mass, self.initial_mass = np.zeros(capacity), np.zeros(capacity), np.zeros(capacity)
        self.is_correct = np.zeros(capacity)
        self.first_moment, self.second_moment = np.zeros(capacity), np.zeros(capacity)
        self.scratch = np.empty(capacity)

        self.logits[:3] = setup.correct_logit, setup.wrong_logit, setup.anchor_logit
        self.is_correct[[UNTOUCHED_CORRECT, ANCHOR]] = 1
        self.untouched = np.array([setup.correct_actions - 1, setup.actions - setup.correct_actions])
        self._refresh_mass()
        self.initial_mass[:3] = self.mass[:3] * self.is_correct[:3]  # wrong answers can lose none
        self.initial_leaf_mass = self.mass[UNTOUCHED_CORRECT] / self.untouched[UNTOUCHED_CORRECT]
        self.initial_correct_mass = self.initial_mass.sum()

    def measure(self) -> tuple[float, float, float]:
        """Correct mass, retained mass and entropy."""
        n = self.size
        mass = self.mass[:n]
        lost = np.subtract(self.initial_mass[:n], mass, out=self.scratch[:n])
        np.maximum(lost, 0, out=lost)
        retained = 1 - lost.sum() / self.initial_correct_mass
        # einsum, because the threads behind `@` would compete with the other simulations of a grid.
        correct = np.einsum("i,i", mass, self.is_correct[:n])
        return correct, retained, self.log_normaliser - np.einsum("i,i", mass, self.logits[:n])

    def draw(self, group_size: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The entries that `group_size` independent draws hit, and how often; none is 0 or 1.

        A draw from the untouched answers of a class picks one of them at random, which becomes an entry.
        """
        edges = np.cumsum(self.mass[: self.size])
        uniforms = rng.random(group_size)
        uniforms.sort()  # neighbouring searches then touch neighbouring memory
        uniforms *= edges[-1]
        counts = np.bincount(np.searchsorted(edges, uniforms, side="right"), minlength=self.size)
        hits, counts[:2] = counts[:2].copy(), 0
        entries = np.flatnonzero(counts)
        counts = counts[entries]
        for rest in (UNTOUCHED_CORRECT, UNTOUCHED_WRONG):
            if hits[rest]:
                picks = rng.integers(self.untouched[rest], size=hits[rest])
                counts_of_new = np.unique(picks, return_counts=True)[1]
                entries = np.concatenate([entries, self._touch(rest, len(counts_of_new))])
                counts = np.concatenate([counts, counts_of_new])
        return entries, counts

    def ascend(self, entries: NDArray[np.intp], gradient: FloatArray) -> None:
        """One step of Adam up `gradient`, given for `entries` and zero elsewhere."""
        self.updates += 1
        (beta1, beta2), n = self.setup.betas, self.size
        first, second, change = self.first_moment[:n], self.second_moment[:n], self.scratch[:n]
        first *= beta1
        first[entries] += (1 - beta1) * gradient
        second *= beta2
        second[entries] += (1 - beta2) * gradient**2
        np.sqrt(second, out=change)
        change /= np.sqrt(1 - beta2**self.updates)
        change += self.setup.eps
        np.divide(first, change, out=change)
        change *= self.setup.learning_rate / (1 - beta1**self.updates)
        self.logits[:n] += change
        self._refresh_mass()

    def _touch(self, rest: int, answers: int) -> NDArray[np.intp]:
        """Give untouched answers entries of their own; their moments are zero."""
        new = slice(self.size, self.size + answers)
        self.logits[new] = self.logits[rest]
        self.is_correct[new] = self.is_correct[rest]
        if rest == UNTOUCHED_CORRECT:
            self.initial_mass[new] = self.initial_leaf_mass
            self.initial_mass[rest] -= answers * self.initial_leaf_mass
        self.untouched[rest] -= answers
        self.size += answers
        return np.arange(new.start, new.stop)

    def _refresh_mass(self) -> None:
        mass, logits = self.mass[: self.size], self.logits[: self.size]
        highest = logits.max()
        np.subtract(logits, highest, out=mass)
        np.exp(mass, out=mass)
        mass[:2] *= self.untouched
        total = mass.sum()
        mass /= total
        self.log_normaliser = highest + np.log(total)
