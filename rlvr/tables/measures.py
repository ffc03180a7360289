"""What success rates say besides pass@k, as a part of a table: see `rlvr.evaluation.measures`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rlvr.evaluation.intervals import percentile_interval, resampled_means, resampling_weights
from rlvr.evaluation.measures import distinct_answers, measure_names, per_problem
from rlvr.evaluation.results import give_or_take
from rlvr.files.run_files import RunFiles
from rlvr.tables.collect import BOOTSTRAP_ITERATIONS, by_arm, kept_problems, ks_of, tallies_of
from rlvr.tables.part import Panel, Part
from rlvr.tables.spec import TableSpec

COLUMNS = ["group", "arm", "seeds", "measure", "value", "low", "high"]
PROBLEMS = ["arm", "benchmark", "problem_id", "seeds", "n", "c"]
DISTINCT = "distinct right answers"
LAST_STEPS = 10  # over which the entropy is averaged


def part(spec: TableSpec, runs: Sequence[RunFiles]) -> Part:
    """Cover@tau and the other measures of success rates, where the table asks for them."""
    if not spec.measures:
        return Part()
    frame, problems = collect_measures(spec, runs)
    numbers = {"-measures": frame, "-problems": problems}
    return Part(measures_panels(spec, frame, runs), notes(spec), numbers=numbers)


def collect_measures(spec: TableSpec, runs: Sequence[RunFiles]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every measure of every arm, and the counts behind them.

    Returns:
        `COLUMNS`, averages over the benchmarks of a group with their 95 % intervals over problems and seeds:
        shares from 0 to 1, but for the number of distinct answers of a problem. And a row for each arm and
        problem with its `seeds`, `n` and `c`, a number a seed, as "512 512".
    """
    runs_by_arm = by_arm(spec, runs)
    rows, problems = [], []
    for group, benchmarks in spec.columns.items():
        parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        found = {benchmark: tallies_of(benchmark, runs_by_arm) for benchmark in benchmarks}
        tallies = {benchmark: tables for benchmark, tables in found.items() if tables}
        kept = {benchmark: kept_problems(tables, ks_of(spec)) for benchmark, tables in tallies.items()}
        # one k of all benchmarks of a group, since its average is up to one
        largest = min((k for _, k in kept.values()), default=1)
        for benchmark, of_arms in tallies.items():
            for name, tables in of_arms.items():
                problems.append(_counts_frame(name, benchmark, runs_by_arm[name], tables))
            places = kept[benchmark][0]
            for name, part in _measured(spec, benchmark, of_arms, runs_by_arm, places, largest).items():
                parts.setdefault(name, []).append(part)
        for name, of_benchmarks in parts.items():
            if len(of_benchmarks) < len(benchmarks):
                continue
            values = _mean_of_those_that_have_it([value for value, _ in of_benchmarks])
            lows, highs = percentile_interval(
                _mean_of_those_that_have_it([replicates for _, replicates in of_benchmarks])
            )
            for measure, *numbers in zip(_names(spec, largest), values, lows, highs, strict=True):
                if not np.isnan(numbers[0]):
                    rows.append([group, name, len(runs_by_arm[name]), measure, *numbers])
    counted = pd.concat(problems, ignore_index=True) if problems else pd.DataFrame(columns=PROBLEMS)
    return pd.DataFrame(rows, columns=COLUMNS), counted


def _mean_of_those_that_have_it(benchmarks: Sequence[np.ndarray]) -> np.ndarray:
    """Over the benchmarks without NaN; NaN where none has a number."""
    return np.ma.masked_invalid(np.stack(benchmarks)).mean(axis=0).filled(np.nan)


def _names(spec: TableSpec, largest: int) -> list[str]:
    return [*measure_names(spec.measures.taus, largest), DISTINCT]


def _counts_frame(
    name: str, benchmark: str, runs: Sequence[RunFiles], tables: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    joined = {
        column: pd.concat([table[column] for table in tables], axis=1).fillna(0).astype(int).astype(str)
        for column in ("n", "c")
    }
    frame = pd.DataFrame({column: rows.agg(" ".join, axis=1) for column, rows in joined.items()})
    seeds = " ".join(str(run.seed) for run in runs)
    return frame.reset_index().assign(arm=name, benchmark=benchmark, seeds=seeds)[PROBLEMS]


def _measured(
    spec: TableSpec,
    benchmark: str,
    tallies: dict[str, list[pd.DataFrame]],
    runs_by_arm: dict[str, list[RunFiles]],
    kept: pd.Index,
    largest: int,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By arm the measures, [measures], and their replicates; on the problems that pass@k is measured on."""
    base = spec.measures.base
    if base not in tallies or kept.empty:
        return {}
    weights = resampling_weights(len(kept), BOOTSTRAP_ITERATIONS, [0, *benchmark.encode()])
    n_base, c_base = (tallies[base][0].loc[kept, column].to_numpy() for column in ("n", "c"))
    found = {}
    for name, tables in tallies.items():
        n, c = (np.stack([table.loc[kept, column] for table in tables]) for column in ("n", "c"))
        distinct = np.full((*n.shape, 1), np.nan)
        if benchmark in spec.measures.distinct:
            files = [run.samples(benchmark) for run in runs_by_arm[name]]
            distinct[..., 0] = [distinct_answers(file).loc[kept] for file in files]
        values = np.concatenate(
            [per_problem(n, c, n_base, c_base, spec.measures.taus, largest), distinct], axis=-1
        )
        seed_weights = resampling_weights(len(tables), BOOTSTRAP_ITERATIONS, [0, *name.encode()])
        found[name] = values.mean(axis=(0, 1)), resampled_means(values, weights, seed_weights)
    return found


def spent(runs: Sequence[RunFiles]) -> pd.DataFrame:
    """By arm, means over seeds: entropy at the end of training, tokens sampled, optimizer steps."""
    rows = []
    for run in runs:
        steps = pd.DataFrame(run.metrics, columns=["policy/entropy", "tokens/sampled", "update/steps"])
        entropy = steps["policy/entropy"].tail(LAST_STEPS).mean()
        rows.append([run.arm, entropy, steps["tokens/sampled"].sum(), steps["update/steps"].sum()])
    return pd.DataFrame(rows, columns=["arm", "entropy", "tokens", "updates"]).groupby("arm").mean()


def measures_panels(spec: TableSpec, frame: pd.DataFrame, runs: Sequence[RunFiles]) -> list[Panel]:
    """For each group a row an arm: its measures, and what its training spent."""
    training = spent(runs)
    panels = []
    for group, rows in frame.groupby("group", sort=False):
        measures = list(dict.fromkeys(rows["measure"]))
        cells = rows.set_index(["arm", "measure"])
        lines = []
        for arm in spec.arms:
            if (arm.name, measures[0]) not in cells.index:
                lines.append([arm.label, "0", "not run", *["–"] * (len(measures) + 2)])
                continue
            texts = [_text(cells.loc[(arm.name, measure)], measure) for measure in measures]
            of_arm = training.loc[arm.name]
            end = ["–"] * 3
            if of_arm.updates:
                end = [f"{of_arm.entropy:.3f}", f"{of_arm.tokens:,.0f}", f"{of_arm.updates:,.0f}"]
            lines.append([arm.label, str(cells.loc[(arm.name, measures[0])].seeds), *texts, *end])
        header = ["", "seeds", *(_head(measure) for measure in measures), "entropy", "sampled", "updates"]
        panels.append(Panel(f"{spec.label(group)}: success rates of problems, %", header, lines))
    return panels


def notes(spec: TableSpec) -> list[str]:
    """How to read the panel."""
    base = spec.arm_labels[spec.measures.base]
    return [
        "Cover@τ: share of problems with a measured success rate of at least τ. Area: mean of pass@k over "
        f"log k. Lost: problems that {base} solved in one sample or more and the arm in none; won: the other "
        "way. Distinct right answers: forms of a problem's right samples, a number, of benchmarks that have "
        f"it. Entropy: nats a token, the last {LAST_STEPS} steps of training; sampled: tokens of training. "
        "Averages are unweighted over benchmarks; ± as above. The counts of every problem are in the file "
        "that ends in -problems.csv."
    ]


def _head(measure: str) -> str:
    return measure.replace("cover@", "Cover@").replace("log-k area", "area")


def _text(cell: pd.Series, measure: str) -> str:
    factor = 1 if measure == DISTINCT else 100
    half_width = factor * (cell.high - cell.low) / 2
    return f"{factor * cell.value:.1f}{give_or_take(half_width, f'{half_width:.1f}')}"
