"""The members of a family in a table, and the learning rate at which each is best."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from rlvr.files.run_files import RunFiles
from rlvr.tables.part import Panel, Part
from rlvr.tables.spec import Arm, TableSpec, metric_k

RATES = ["member", "arm", "rate", "seeds", "k", "value", "best"]


def part(spec: TableSpec, runs: Sequence[RunFiles]) -> Part:
    """The learning rates of each member, where arms differ in it."""
    if not any(arm.rate for arm in spec.arms):
        return Part()
    rates = rates_frame(spec, runs)
    return Part([rates_panel(rates)] if len(rates) else [], numbers={"-rates": rates})


def members(spec: TableSpec) -> dict[str, list[Arm]]:
    """The arms of each member, in the order of the table."""
    found: dict[str, list[Arm]] = {}
    for arm in spec.arms:
        if arm.member:
            found.setdefault(arm.member, []).append(arm)
    return found


def own_strength(arms: Sequence[Arm]) -> list[Arm]:
    """The arms of a member at its own strength: the one that has other learning rates, or the first."""
    varied = next((arm.strength for arm in arms if arm.rate), arms[0].strength)
    return [arm for arm in arms if arm.strength == varied]


def has_all_rates(arms: Sequence[Arm], measured: Collection[str]) -> bool:
    """Whether the arms that were measured are all those of a member at its own strength: before that none of
    its learning rates is the best."""
    return all(arm.name in measured for arm in own_strength(arms))


def rates_frame(spec: TableSpec, runs: Sequence[RunFiles]) -> pd.DataFrame:
    """Validation of each member, at its own strength, at every learning rate, and which rate is best.

    Returns:
        `RATES`: pass@k in validation at the checkpoint measured, from 0 to 1, for k = 1 and the largest there
        is, mean over the seeds that the member has at every rate; `best` is true of one arm for each k of a
        member of which every rate has run, the first of equals.
    """
    rows = []
    for member, arms in members(spec).items():
        by_seed = {
            arm.name: {run.seed: run for run in runs if run.arm == arm.name and run.validation}
            for arm in own_strength(arms)
        }
        by_seed = {name: of_arm for name, of_arm in by_seed.items() if of_arm}
        for name, of_arm in by_seed.items():
            seeds = set(of_arm).intersection(*by_seed.values())  # rates are compared on the same ones
            if not seeds:
                continue
            measured = [_measured_line(of_arm[seed]) for seed in sorted(seeds)]
            for k in sorted({1, largest_k(measured)}):
                values = [line.get(f"in_domain/pass@{k}") for line in measured]
                if None in values:
                    continue  # of a seed nothing could be judged there, and one of two is no mean over seeds
                value = round(float(np.mean(values)), 12)  # equal ones summed in another order are equal
                rate = next(iter(of_arm.values())).config.training.learning_rate
                rows.append([member, name, rate, len(seeds), k, value, False])
    frame = pd.DataFrame(rows, columns=RATES)
    whole = [name for name, arms in members(spec).items() if has_all_rates(arms, set(frame["arm"]))]
    if len(known := frame[frame["member"].isin(whole)]):
        frame.loc[known.groupby(["member", "k"])["value"].idxmax(), "best"] = True
    return frame


def largest_k(lines: Sequence[Mapping[str, float]]) -> int:
    """The largest k of pass@k in some lines of validation.jsonl, of which one may lack what another has."""
    names = {key.removeprefix("in_domain/") for line in lines for key in line if "/pass@" in key}
    return max(map(metric_k, names), default=1)


def _measured_line(run: RunFiles) -> dict[str, float]:
    return next(line for line in run.validation if line["step"] == run.entry("checkpoint_step"))


def rates_panel(frame: pd.DataFrame) -> Panel:
    """A row a member: pass@1 and pass@k in validation at each rate, the best in brackets."""
    rates = sorted(frame["rate"].unique())
    ks = sorted(frame["k"].unique())
    rows = []
    for member, of_member in frame.groupby("member", sort=False):
        cells = {(row.k, row.rate): row for row in of_member.itertuples()}
        texts = [_rate_text(cells.get((k, rate))) for k in ks for rate in rates]
        rows.append([str(member), *texts])
    header = ["", *(f"pass@{k}, rate {rate:g}" for k in ks for rate in rates)]
    return Panel(
        "Validation at the checkpoint measured, %; the best rate of each member in brackets", header, rows
    )


def _rate_text(cell: object) -> str:
    if cell is None:
        return "–"
    text = f"{100 * cell.value:.1f}"
    return f"[{text}]" if cell.best else text
