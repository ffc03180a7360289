"""python -m tests.attack [section ...]: attack rlvr, print counts by outcome, exit with 1 at any fault."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import torch

from tests.attack import damage, data, models, settings
from tests.attack.outcomes import Tally

SECTIONS: dict[str, Callable[[], Tally]] = {
    "settings": settings.settings,
    "data": data.data_files,
    "models": models.model_folders,
    "finished": damage.finished_runs,
    "half-done": damage.half_done_runs,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all where none is given")
    wanted = parser.parse_args().sections or list(SECTIONS)
    torch.set_num_threads(1)
    tallies = []
    for name in wanted:
        print(name, flush=True)
        tallies.append(SECTIONS[name]())
        print(f"  {tallies[-1]}", flush=True)
    faults = sum(len(one.faults) for one in tallies)
    print(f"{sum(one.counts.total() for one in tallies)} tried, {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
