"""From stored verdicts to one tidy frame with every number of a table and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from rlvr.errors import UserError, refuse_unknown
from rlvr.evaluation import counts
from rlvr.evaluation.intervals import (
    difference_bounds,
    difference_freedom,
    percentile_interval,
    resampled_means,
    resampling_weights,
    saturated_bounds,
)
from rlvr.evaluation.passk import pass_at_k
from rlvr.evaluation.significance import ALPHA, ITERATIONS, SUBSAMPLE, subsampled_means, two_sided_p_values
from rlvr.files.run_files import RunFiles
from rlvr.tables.spec import TableSpec, metric_k

AVERAGE = "average"
BOOTSTRAP_ITERATIONS = 10_000
LEFT_OUT = 0.05  # of a benchmark's problems at most, for a large k: of AIME's 30 one may go
COUNTS = ["seeds", "problems", "left_out", "samples", "unscorable"]
RESULTS = ["value", "low", "high", "difference", "difference_low", "difference_high", "p_value"]
DIFFERENCES = ["metric", "group", "arm", "against", "difference", "low", "high", "freedom"]
DIFFERENCES += ["seeds", "seeds_against"]
COLUMNS = ["arm", "label", "group", "benchmark", "metric", "k", *COUNTS, "baseline", *RESULTS]


@dataclass(frozen=True, slots=True)
class Cell:
    """pass@k of one arm on one benchmark, or on the average of several, at each k; NaN where k > n.

    The first four are linear in the arm, so the difference of two cells' and the mean of several
    cells' are those of the difference and of the average.

    Attributes:
        value: [ks] mean over seeds and problems.
        seed_means: [seeds, ks] means over problems.
        replicates: [BOOTSTRAP_ITERATIONS, ks] of the mean, resampled over problems and seeds.
        subsampled: [iterations, ks] means of m of the n generations; NaN where k > m.
        problems: how many the mean is over.
        weight: how many of one weight would make as sure a mean: as many, but fewer where an average is over
            benchmarks of different sizes, since each problem of a small one weighs more.
        left_out: problems of the benchmark that it is not over, for any arm.
        samples: most scorable samples that a problem has.
        unscorable: samples of the arm that no verdict could be given on.
    """

    value: np.ndarray
    seed_means: np.ndarray
    replicates: np.ndarray
    subsampled: np.ndarray
    seeds: int
    problems: int
    weight: float
    left_out: int
    samples: int
    unscorable: int

    @staticmethod
    def average(cells: Sequence[Cell]) -> Cell:
        """The unweighted average over benchmarks."""
        return Cell(
            value=np.mean([cell.value for cell in cells], axis=0),
            seed_means=np.mean([cell.seed_means for cell in cells], axis=0),
            replicates=np.mean([cell.replicates for cell in cells], axis=0),
            subsampled=np.mean([cell.subsampled for cell in cells], axis=0),
            seeds=cells[0].seeds,
            problems=sum(cell.problems for cell in cells),
            weight=len(cells) ** 2 / sum(1 / cell.weight for cell in cells),
            left_out=sum(cell.left_out for cell in cells),
            samples=min(cell.samples for cell in cells),
            unscorable=sum(cell.unscorable for cell in cells),
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """The cells of a table's runs.

    Attributes:
        ks: [ks], every k that has a metric or is on a curve.
        cells: group -> benchmark (and `AVERAGE`) -> arm -> cell; an arm that did not run has none.
        seeds: of the runs of each arm.
    """

    ks: np.ndarray
    cells: dict[str, dict[str, dict[str, Cell]]]
    seeds: dict[str, list[int]]


def measure(spec: TableSpec, runs: Sequence[RunFiles], *, iterations: int = ITERATIONS) -> Measured:
    """pass@k of every arm on every benchmark, with what its intervals and tests are made of.

    A benchmark is measured on its `kept_problems`, the same ones for all arms.

    Args:
        runs: finished runs.
        iterations: of the significance test.

    Raises:
        UserError: for runs of an arm that the table does not have, or that share no problem.
    """
    refuse_unknown("arm", (run.arm for run in runs), spec.arm_labels)
    runs_by_arm = by_arm(spec, runs)
    ks = ks_of(spec)
    cells: dict[str, dict[str, dict[str, Cell]]] = {}
    for group, benchmarks in spec.columns.items():
        cells[group] = {
            benchmark: _measure(benchmark, runs_by_arm, ks, iterations) for benchmark in benchmarks
        }
        of_benchmarks = cells[group].values()
        averages = {
            name: Cell.average([cells_of[name] for cells_of in of_benchmarks])
            for name in runs_by_arm
            if all(name in cells_of for cells_of in of_benchmarks)
        }
        cells[group][AVERAGE] = averages
    return Measured(ks, cells, {name: [run.seed for run in runs] for name, runs in runs_by_arm.items()})


def tidy(spec: TableSpec, measured: Measured) -> pd.DataFrame:
    """Every number of a table in one frame.

    Returns:
        One row for each arm, benchmark (and `AVERAGE` of each group of them) and k, in the table's order:
        `arm`, `label`, `group`, `benchmark`, `metric`, `k`; `seeds` finished (0: not run), `problems`,
        `left_out` problems, `samples` of a problem, `unscorable` samples; `value` with its 95 % interval
        `low` to `high`, from 0 to 1 (NaN: not run, or samples < k); and against its `baseline` the
        `difference`, `difference_low`, `difference_high`, `p_value` and `significant` (NA: not tested).
    """
    frames = []
    for group, benchmarks in measured.cells.items():
        for benchmark, cells in benchmarks.items():
            for arm in spec.arms:
                baseline = arm.baseline or ""
                numbers = _numbers(cells.get(arm.name), cells.get(baseline), measured.ks)
                place = {"arm": arm.name, "label": arm.label, "baseline": baseline}
                frames.append(numbers.assign(**place, group=group, benchmark=benchmark))
    frame = pd.concat(frames, ignore_index=True)[COLUMNS]
    frame["significant"] = (frame["p_value"] < ALPHA).where(frame["p_value"].notna()).astype("boolean")
    return frame


def differences(spec: TableSpec, measured: Measured) -> pd.DataFrame:
    """Arm minus arm, for every two that have run, in the average of each group at each of the metrics.

    Returns:
        The columns `DIFFERENCES`: `difference` of `arm` and `against` with its 95 % interval over problems
        and seeds, `low` to `high`, from -1 to 1, paired by problem; the degrees of `freedom` of its variance
        (NaN where it has none); `seeds` of either arm, as "1 2 3".
    """
    rows = []
    for group, benchmarks in measured.cells.items():
        cells = benchmarks[AVERAGE]
        for arm, against in combinations(cells, 2):
            values = cells[arm].value - cells[against].value
            replicates = cells[arm].replicates - cells[against].replicates
            low, high = difference_bounds(values, *percentile_interval(replicates), cells[arm].weight)
            seed_means = [cells[name].seed_means for name in (arm, against)]
            freedom = difference_freedom(replicates.var(axis=0), *seed_means, cells[arm].weight)
            seeds = [" ".join(map(str, measured.seeds[name])) for name in (arm, against)]
            for metric in spec.metrics:
                (k,) = np.flatnonzero(measured.ks == metric_k(metric))
                rows.append([metric, group, arm, against, values[k], low[k], high[k], freedom[k], *seeds])
    return pd.DataFrame(rows, columns=DIFFERENCES)


def ks_of(spec: TableSpec) -> np.ndarray:
    """Every k that has a metric or is on a curve: the doublings up to the largest."""
    doublings = 2 ** np.arange(max(spec.ks).bit_length())
    return np.union1d(spec.ks, doublings[doublings <= max(spec.ks)])


def by_arm(spec: TableSpec, runs: Sequence[RunFiles]) -> dict[str, list[RunFiles]]:
    """The runs of each arm, in the order of the table."""
    return {name: [run for run in runs if run.arm == name] for name in spec.arm_labels}


def tallies_of(benchmark: str, runs_by_arm: dict[str, list[RunFiles]]) -> dict[str, list[pd.DataFrame]]:
    """`counts` of each run of the arms all of whose runs (one at least) answered a benchmark."""
    files = {name: [run.samples(benchmark) for run in runs] for name, runs in runs_by_arm.items()}
    return {name: list(map(counts, found)) for name, found in files.items() if found and all(found)}


def kept_problems(tallies: Mapping[str, Sequence[pd.DataFrame]], ks: np.ndarray) -> tuple[pd.Index, int]:
    """The problems that a benchmark is measured on, and the largest of some k that it is measured at.

    They are those that all runs answered, with scorable samples for that k and no less than half of the
    samples drawn. A k that would leave out more than `LEFT_OUT` of what k = 1 keeps gives way to a smaller
    one: at k = n a single sample without a verdict, in any run, takes its problem from all arms, and those
    that are hard to judge are no random choice.
    """
    n_of_runs = pd.concat([table["n"] for tables in tallies.values() for table in tables], axis=1)
    samples = int(n_of_runs.max(axis=None))

    def kept(k: int) -> pd.Index:
        return n_of_runs.index[(n_of_runs >= max(samples // 2, k)).all(axis=1)]

    at_one = kept(1)
    for k in sorted(map(int, ks[ks <= samples]), reverse=True):
        if len(at_one) - len(problems := kept(k)) <= LEFT_OUT * len(at_one):
            return problems, k
    return at_one, 1


def _measure(
    benchmark: str, runs_by_arm: dict[str, list[RunFiles]], ks: np.ndarray, iterations: int
) -> dict[str, Cell]:
    """The cells of the arms that have `tallies_of` the benchmark."""
    if not (tallies := tallies_of(benchmark, runs_by_arm)):
        return {}
    n_of_runs = pd.concat([table["n"] for tables in tallies.values() for table in tables], axis=1)
    samples = int(n_of_runs.max(axis=None))
    kept, most = kept_problems(tallies, ks)
    if kept.empty:
        raise UserError(
            f"the runs share no problem of {benchmark!r} with {max(samples // 2, 1)} scorable samples in "
            "each: accepted are runs evaluated on the same problems, with as many samples"
        )
    measurable = ks <= most
    subsample = min(SUBSAMPLE, int(n_of_runs.loc[kept].min(axis=None)) // 2)
    testable = ks <= subsample
    problem_weights = resampling_weights(len(kept), BOOTSTRAP_ITERATIONS, [0, *benchmark.encode()])
    cells = {}
    for name, tables in tallies.items():
        n, c = (np.stack([table.loc[kept, column] for table in tables]) for column in ("n", "c"))
        solved = np.full((*n.shape, len(ks)), np.nan)
        solved[..., measurable] = pass_at_k(n[..., None], c[..., None], ks[measurable])
        seed_weights = resampling_weights(len(tables), BOOTSTRAP_ITERATIONS, [0, *name.encode()])
        subsampled = np.full((iterations, len(ks)), np.nan)
        if testable.any():
            rng = np.random.default_rng([0, *f"{benchmark}/{name}".encode()])
            subsampled[:, testable] = subsampled_means(
                n, c, ks[testable], subsample=subsample, iterations=iterations, rng=rng
            )
        cells[name] = Cell(
            value=solved.mean(axis=(0, 1)),
            seed_means=solved.mean(axis=1),
            replicates=resampled_means(solved, problem_weights, seed_weights),
            subsampled=subsampled,
            seeds=len(tables),
            problems=len(kept),
            weight=len(kept),
            left_out=len(n_of_runs) - len(kept),
            samples=samples,
            unscorable=int(sum(table.drop(columns=["n", "c"]).to_numpy().sum() for table in tables)),
        )
    return cells


def _numbers(cell: Cell | None, baseline: Cell | None, ks: np.ndarray) -> pd.DataFrame:
    """The measured columns of a cell, one row a k."""
    numbers = pd.DataFrame({"metric": [f"pass@{k}" for k in ks], "k": ks})
    numbers[COUNTS] = [getattr(cell, name) for name in COUNTS] if cell else 0
    numbers[RESULTS] = np.nan
    if cell:
        numbers["value"] = cell.value
        bounds = percentile_interval(cell.replicates)
        numbers["low"], numbers["high"] = saturated_bounds(cell.value, *bounds, cell.weight)
    if cell and baseline:
        numbers["difference"] = cell.value - baseline.value
        bounds = percentile_interval(cell.replicates - baseline.replicates)
        numbers["difference_low"], numbers["difference_high"] = difference_bounds(
            numbers["difference"], *bounds, cell.weight
        )
        differences = cell.subsampled - baseline.subsampled
        tested = ~np.isnan(differences[0])
        numbers["p_value"] = np.where(tested, two_sided_p_values(differences), np.nan)
    return numbers
