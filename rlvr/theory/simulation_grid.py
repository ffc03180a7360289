"""The categorical simulation over group sizes, focal exponents and seeds, kept in one small file.

Figure 2 of F-GRPO (arXiv 2602.06717): 17 group sizes, gamma 0 and 1, 4 seeds, about three minutes of one
core. The file is rewritten after each run, so a pass that was stopped goes on with the runs it lacks.
"""

import csv
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlvr.errors import UserError
from rlvr.theory.simulation import PAPER_SETUP, CategoricalSetup, simulate_categorical

GROUP_SIZES = tuple(2**exponent for exponent in range(1, 18))
METRICS = ("correct_mass", "retained_mass", "entropy")

Cell = tuple[int, float, int]


@dataclass(slots=True)
class SimulationGrid:
    """Runs of one set-up.

    Attributes:
        settings: the set-up and the number of steps, as JSON; runs of other settings do not mix.
        step: int64 (points,), the numbers of updates after which a run is recorded.
        runs: (group size, gamma, seed) -> float32 (3, points), one row for each of METRICS.
    """

    settings: str
    step: NDArray[np.int64]
    runs: dict[Cell, NDArray[np.float32]]

    @classmethod
    def load(cls, path: Path) -> "SimulationGrid":
        if not path.exists():
            raise UserError(f"no simulation grid at {path}: `run_simulation_grid` writes {path.name}")
        with np.load(path) as file:
            cells = zip(*(file[name].tolist() for name in ("group_size", "gamma", "seed")), strict=True)
            return cls(str(file["settings"]), file["step"], dict(zip(cells, file["curves"], strict=True)))

    def save(self, path: Path) -> None:
        cells = sorted(self.runs)
        group_size, gamma, seed = zip(*cells, strict=True)
        aside = path.with_suffix(".tmp")
        with aside.open("wb") as file:
            np.savez_compressed(
                file,
                settings=self.settings,
                step=self.step,
                group_size=np.array(group_size),
                gamma=np.array(gamma, dtype=np.float64),
                seed=np.array(seed),
                curves=np.stack([self.runs[cell] for cell in cells]),
            )
        os.replace(aside, path)

    def curves(self, metric: str, group_size: int, gamma: float) -> NDArray[np.float32]:
        """All seeds of one arm: (seeds, points)."""
        row = METRICS.index(metric)
        return np.stack(
            [self.runs[cell][row] for cell in sorted(self.runs) if cell[:2] == (group_size, gamma)]
        )

    def final(self, metric: str, gamma: float) -> tuple[list[int], NDArray[np.float32], NDArray[np.float32]]:
        """Group sizes, and the mean and the standard deviation (ddof 1) over seeds after the last step."""
        sizes = sorted({cell[0] for cell in self.runs if cell[1] == gamma})
        if not sizes:
            gammas = ", ".join(f"{gamma:g}" for gamma in sorted({cell[1] for cell in self.runs}))
            raise UserError(f"the simulation grid has no runs of gamma {gamma:g}: it holds gamma {gammas}")
        last = [self.curves(metric, size, gamma)[:, -1] for size in sizes]
        deviation = [seeds.std(ddof=1) if len(seeds) > 1 else np.nan for seeds in last]
        return sizes, np.array([seeds.mean() for seeds in last]), np.array(deviation)


def run_simulation_grid(
    output_dir: str | Path,
    *,
    group_sizes: Iterable[int] = GROUP_SIZES,
    gammas: Iterable[float] = (0.0, 1.0),
    seeds: Iterable[int] = range(4),
    steps: int = 1000,
    record_every: int = 10,
    setup: CategoricalSetup = PAPER_SETUP,
    processes: int = 2,
    report: Callable[[str], None] = print,
) -> Path:
    """Run what `output_dir/categorical.npz` lacks, write it and a table of the final values beside it.

    Args:
        record_every: updates between two recorded points; it must divide `steps`.
        processes: simulations at a time.
        report: called with a line of text after each run.

    Returns:
        The path of the grid, for `SimulationGrid.load`.

    Raises:
        UserError: if the folder holds runs of other settings, or `record_every` does not divide `steps`.
    """
    if steps % record_every:
        raise UserError(f"recording every {record_every} steps was given: accepted is a divisor of {steps}")
    path = Path(output_dir) / "categorical.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = json.dumps(asdict(setup) | {"steps": steps, "record_every": record_every})
    grid = SimulationGrid(settings, np.arange(0, steps + 1, record_every), {})
    if path.exists():
        grid = SimulationGrid.load(path)
        if grid.settings != settings:
            raise UserError(
                f"{path} holds runs with {grid.settings}, not {settings}: accepted are the same settings, "
                "or another folder"
            )

    # The largest groups take longest: last, they would keep one process busy while the others are done.
    cells = sorted(itertools.product(group_sizes, map(float, gammas), seeds), reverse=True)
    jobs = [(cell, steps, record_every, setup) for cell in cells if cell not in grid.runs]
    # Not forked: a fork of a process that has used torch inherits locks of threads that it lacks.
    with multiprocessing.get_context("spawn").Pool(max(1, min(processes, len(jobs)))) as pool:
        for done, (cell, run, seconds) in enumerate(pool.imap_unordered(_simulate_cell, jobs), start=1):
            grid.runs[cell] = run
            grid.save(path)
            report(
                f"{done}/{len(jobs)}: N={cell[0]} gamma={cell[1]:g} seed={cell[2]} in {seconds:.1f} s, "
                f"correct mass {run[0, -1]:.3f}, retained mass {run[1, -1]:.3f}"
            )
    _write_final_values(grid, path.with_suffix(".csv"))
    return path


def _simulate_cell(job: tuple[Cell, int, int, CategoricalSetup]) -> tuple[Cell, NDArray[np.float32], float]:
    (group_size, gamma, seed), steps, record_every, setup = job
    start = time.perf_counter()
    run = simulate_categorical(group_size=group_size, gamma=gamma, seed=seed, steps=steps, setup=setup)
    curves = np.stack([getattr(run, metric)[::record_every] for metric in METRICS])
    return job[0], curves.astype(np.float32), time.perf_counter() - start


def _write_final_values(grid: SimulationGrid, path: Path) -> None:
    """One row a group size and gamma: mean and standard deviation over seeds of each metric."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["gamma", "group_size", *(f"{m}_{part}" for m in METRICS for part in ("mean", "std"))])
        for gamma in sorted({cell[1] for cell in grid.runs}):
            sizes = grid.final(METRICS[0], gamma)[0]
            columns = [column for metric in METRICS for column in grid.final(metric, gamma)[1:]]
            for size, *values in zip(sizes, *columns, strict=True):
                rows.writerow([f"{gamma:g}", size, *(f"{value:.6f}" for value in values)])
