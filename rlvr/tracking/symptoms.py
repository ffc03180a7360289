"""What can be seen to go wrong in a run, from its metrics alone. No rule changes the run; each is a sentence.

The bounds are rules of thumb, chosen so that a sound run of the tables in `experiments/` trips none.
"""

import math
from collections.abc import Sequence
from typing import Any

WINDOW = 10  # steps that a rule averages over
ENTROPY_LEFT = 0.1  # share of the first steps' entropy
MISMATCH_SAMPLE_SIZE = 0.95  # engine and trainer have the same weights, so this should be near 1
UPDATE_SAMPLE_SIZE = 0.5  # of importance weights within an update; clipping cannot mend what is below
WITHOUT_SIGNAL = 0.95  # share of groups
UNSCORABLE = 0.01  # share of rollouts
TRUNCATED = 0.5  # share of rollouts
NO_ANSWER = 0.9  # share of rollouts


def symptoms(metrics: Sequence[dict[str, Any]]) -> list[str]:
    """Warnings about the last steps of a run.

    Args:
        metrics: the lines of metrics.jsonl, in order.

    Returns:
        One sentence a symptom, the gravest first; none for a sound run, or one without steps.
    """
    recent, first = metrics[-WINDOW:], metrics[:WINDOW]

    def mean(name: str, steps: Sequence[dict[str, Any]] = recent) -> float | None:
        values = [step[name] for step in steps if name in step]
        return sum(values) / len(values) if values else None

    found = []
    for name in ("update/loss", "update/gradient_norm"):
        if (value := mean(name)) is not None and not math.isfinite(value):
            found.append(f"{name} is not a number: the weights are lost, go back to an earlier checkpoint")
    if skipped := sum(step.get("update/skipped_steps", 0.0) for step in recent):
        found.append(
            f"{skipped:.0f} optimizer steps of the last {len(recent)} steps were skipped, since their "
            "gradients were no numbers: lower training.learning_rate, or set training.precision=float32"
        )
    started, entropy = mean("policy/entropy", first), mean("policy/entropy")
    known = started is not None and entropy is not None  # a run on verl has metrics of other names
    if known and len(metrics) >= 2 * WINDOW and started > 0 and entropy < ENTROPY_LEFT * started:
        found.append(
            f"entropy collapse: {entropy:.3g} nats a token, from {started:.3g} in the first steps; "
            "the policy hardly explores"
        )
    if (size := mean("mismatch/effective_sample_size")) is not None and size < MISMATCH_SAMPLE_SIZE:
        found.append(
            f"log-ratio drift between engine and trainer: effective sample size {size:.2f}, not near 1; "
            "compare their precision, or set algorithm.mismatch_cap=2.0"
        )
    if (size := mean("update/effective_sample_size")) is not None and size < UPDATE_SAMPLE_SIZE:
        found.append(
            f"log-ratio drift within the updates: effective sample size {size:.2f}; "
            "lower training.learning_rate or training.num_iterations, or raise training.mini_batch_prompts"
        )
    without = mean("groups/without_signal")
    if (share := share_of("no_answer", recent)) > NO_ANSWER:
        found.append(
            f"{share:.0%} of the completions hold no answer that the verifier can read: look at some with "
            "`rlvr report`, ask for its form in model.prompts, or choose another verifier="
        )
    elif without is not None and without >= WITHOUT_SIGNAL:
        right, wrong = (mean(f"groups/all_{kind}") or 0.0 for kind in ("right", "wrong"))
        found.append(
            f"nothing to learn from: {without:.0%} of the groups have no signal ({right:.0%} all right, "
            f"{wrong:.0%} all wrong); other problems or larger groups would"
        )
    found += unscorable(recent)
    if (truncated := mean("completion/truncated")) is not None and truncated > TRUNCATED:
        found.append(
            f"{truncated:.0%} of the completions are cut off: raise training.sampling.max_tokens, or mask "
            "them with algorithm.truncated=masked"
        )
    return found


def share_of(verdict: str, steps: Sequence[dict[str, Any]]) -> float:
    """The mean share of a verdict; one that a step did not see is not in its line."""
    return sum(step.get(f"verdict/{verdict}", 0.0) for step in steps) / max(len(steps), 1)


def unscorable(steps: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each verdict that leaves more than a hundredth of the rollouts out."""
    found = []
    for verdict, advice in (
        ("timeout", "the verifier timed out"),
        ("error", "the verifier failed"),
        ("reference_unparsable", "the reference answer could not be read"),
    ):
        if (share := share_of(verdict, steps)) > UNSCORABLE:
            found.append(f"{advice} for {share:.1%} of the rollouts, which are left out of the loss")
    return found
