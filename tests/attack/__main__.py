"""An attack on rlvr that can be repeated: `python -m tests.attack [section ...] [--about N]`.

Each section makes odd or damaged input by the hundred, gives it to the real commands, and counts what
happens. What must never happen: a wrong number without a word (`silent`), a traceback, a hang, a wrong answer
judged right.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import torch

import rlvr.report
import rlvr.runs.run
import rlvr.runs.sweep
import rlvr.tracking.watch  # noqa: F401
from rlvr.policy.policy import load_policy
from tests.attack import damage, data, models, settings, strangers, verdicts
from tests.attack.outcomes import Outcome, Tally


def hostile_answers(about: int | None = None) -> Tally:
    """Answers through the real pool of processes; each fault is a verdict that is not the expected one."""
    counts, missed = verdicts.attack(about=about)
    faults = [f"{reference!a} <- {answer[:80]!a}, expected {right}" for reference, answer, right in missed]
    outcomes = Counter({Outcome.SAME: counts["cases"] - len(missed), Outcome.SILENT: len(missed)})
    return Tally("hostile answers", outcomes, faults)


SECTIONS: dict[str, Callable[[int | None], Tally]] = {
    "answers": hostile_answers,
    "settings": settings.settings,
    "data": data.data_files,
    "models": models.model_folders,
    "strangers": strangers.strangers_runs,
    "finished": damage.finished_runs,
    "half-done": damage.half_done_runs,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all where none is given")
    parser.add_argument("--about", type=int, help="try about so many cases of each section, evenly spread")
    given = parser.parse_args()
    torch.set_num_threads(1)
    load_policy("embedded")  # imports what the tried commands need, which are forked from this process
    tallies = []
    for name in given.sections or SECTIONS:
        print(name, flush=True)
        tallies.append(SECTIONS[name](given.about))
        print(f"  {tallies[-1]}", flush=True)
    faults = sum(len(one.faults) for one in tallies)
    print(f"{sum(one.counts.total() for one in tallies)} tried, {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
