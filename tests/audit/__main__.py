"""An audit of a rendered table that anyone can repeat: `python -m tests.audit TABLE.csv`.

Everything is computed anew from the files that the runs left, with pandas and nothing of rlvr: digests and
counts, verdicts on puzzles, pass@k, differences, which checkpoint was chosen, rewards, advantages and focal
weights of the rollouts that were logged, and whether training saw a test problem. Where the runs are stands
beside the table, in the file that ends in -runs.csv.

    python -m tests.audit results/tables/fgrpo-table1-smoke.csv
"""

import argparse
import hashlib
import json
import sys
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tests.audit.judges import judge

NOT_JUDGED = {"error", "timeout", "reference_unparsable"}
ROUNDED = 1e-5  # cells have six digits


class Audit:
    """What was compared, by subject, and where it did not agree."""

    def __init__(self) -> None:
        self.compared: dict[str, int] = {}
        self.faults: list[str] = []

    def check(self, subject: str, agrees: bool, what: str) -> None:
        self.compared[subject] = self.compared.get(subject, 0) + 1
        if not agrees:
            self.faults.append(f"{subject}: {what}")

    def close(self, subject: str, found: float, stated: float, what: str, within: float = ROUNDED) -> None:
        same = bool(np.isclose(found, stated, rtol=within, atol=within, equal_nan=True))
        self.check(subject, same, f"{what} is {stated}, computed {found}")


class Run:
    """The files of one run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.summary = json.loads((folder / "summary.json").read_text())
        self.config = yaml.safe_load((folder / "config.yaml").read_text())

    @property
    def name(self) -> str:
        return f"{self.summary['arm']} seed {self.summary['seed']}"

    def lines(self, name: str) -> list[dict[str, Any]]:
        file = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def samples(self, benchmark: str, *, at_last_step: bool = False) -> pd.DataFrame:
        other = at_last_step and self.summary["checkpoint_step"] != self.config["training"]["steps"]
        return pd.read_parquet(
            self.folder / ("evaluation-last" if other else "evaluation") / f"{benchmark}.parquet"
        )


def check_files(audit: Audit, run: Run) -> None:
    """Digest and count of each file that the summary names."""
    for name, stated in run.summary["files"].items():
        file = run.folder / name
        if not file.exists():
            audit.check("digests", False, f"{file} is missing")
            continue
        content = file.read_bytes()
        audit.check(
            "digests", hashlib.blake2b(content, digest_size=16).hexdigest() == stated["blake2b"], f"{file}"
        )
        count = len(content.splitlines()) if "lines" in stated else len(pd.read_parquet(file))
        audit.check("counts", count == stated.get("lines", stated.get("rows")), f"{file} has {count}")


def check_verdicts(audit: Audit, run: Run) -> None:
    """Verdicts on puzzles against judges of the audit's own."""
    for benchmark in run.summary["evaluation"]:
        samples = run.samples(benchmark)
        answered = samples[~samples["verdict"].isin([*NOT_JUDGED, "truncated"])]
        for problem, text, verdict in answered[["problem_id", "text", "verdict"]].itertuples(index=False):
            right = judge(problem, text)
            if right is not None:
                audit.check("verdicts", right == (verdict == "correct"), f"{problem} <- {text!r} {verdict}")


def pass_at_k(n: int, c: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k), as a fraction until the end (Chen et al. 2021)."""
    return float(1 - Fraction(comb(n - c, k), comb(n, k)))


def tally(run: Run, benchmark: str, at_last_step: bool) -> pd.DataFrame:
    """By problem `size`, the samples that could be judged, and `sum`, the right ones."""
    samples = run.samples(benchmark, at_last_step=at_last_step)
    judged = samples[~samples["verdict"].isin(NOT_JUDGED)]
    right = judged.assign(right=judged["verdict"] == "correct")
    return right.groupby("problem_id")["right"].agg(["size", "sum"])


def benchmark_cells(tallies: dict[str, list[pd.DataFrame]], ks: list[int]) -> dict[tuple[str, int], float]:
    """Mean pass@k of each arm: over seeds, and over the problems that every run answered often enough.

    That is half as often as the one with the most answers, and for the largest k that takes no more than one
    problem of twenty from those.
    """
    n = pd.concat([one["size"] for of_arm in tallies.values() for one in of_arm], axis=1)
    half = int(n.max(axis=None)) // 2
    problems = {k: n.index[(n >= max(half, k)).all(axis=1)] for k in {1, *ks}}
    most = max(k for k in problems if 20 * len(problems[k]) >= 19 * len(problems[1]))
    return {
        (arm, k): float(
            np.mean(
                [
                    pass_at_k(int(size), int(right), k)
                    for one in of_arm
                    for size, right in one.loc[problems[most]].itertuples(index=False)
                ]
            )
        )
        if k <= most
        else np.nan
        for arm, of_arm in tallies.items()
        for k in ks
    }


def check_table(
    audit: Audit, runs: dict[str, list[Run]], table: pd.DataFrame, at_last_step: bool = False
) -> None:
    """Every cell, average and difference of a table."""
    ran, ks = table[table["seeds"] > 0], sorted(map(int, table["k"].unique()))
    cells: dict[tuple[str, str, str, int], float] = {}
    for group, rows in ran.groupby("group", sort=False):
        each = {}
        for name, of_name in rows[rows["benchmark"] != "average"].groupby("benchmark", sort=False):
            arms = {
                arm: [tally(run, name, at_last_step) for run in runs[arm]] for arm in of_name["arm"].unique()
            }
            each[name] = benchmark_cells(arms, ks)
            cells |= {(arm, group, name, k): value for (arm, k), value in each[name].items()}
        for arm, k in {key for values in each.values() for key in values}:
            cells[arm, group, "average", k] = float(np.mean([v.get((arm, k), np.nan) for v in each.values()]))
    for row in ran.itertuples():
        place = f"{row.arm} {row.benchmark} pass@{row.k}"
        value = cells[row.arm, row.group, row.benchmark, row.k]
        audit.close("cells", value, row.value, place)
        audit.check("seeds", row.seeds == len(runs[row.arm]), f"{place}: {row.seeds} seeds")
        holds = row.low - ROUNDED <= value <= row.high + ROUNDED or np.isnan(value)
        audit.check("intervals hold their value", holds, place)
        there = isinstance(row.baseline, str) and (row.baseline, row.group, row.benchmark, row.k) in cells
        if there:
            difference = value - cells[row.baseline, row.group, row.benchmark, row.k]
            audit.close("differences", difference, row.difference, f"{place} less {row.baseline}")


def check_checkpoint(audit: Audit, run: Run) -> None:
    """The best of validation, the earliest of equals, no later than the config allows and not damaged."""
    if not run.config["training"]["steps"]:
        return
    evaluation = run.config["evaluation"]
    latest = evaluation["latest_step"] if evaluation["latest_step"] is not None else float("inf")
    damaged = run.summary.get("evaluated", {}).get("damaged", {})
    by = f"in_domain/pass@{evaluation.get('select_by', 1)}"  # that of older runs has no key
    scores = {
        line["step"]: line.get(by)
        for line in run.lines("validation")
        if (0 < line["step"] <= latest or line["step"] == latest) and str(line["step"]) not in damaged
    }
    judged = {step: score for step, score in scores.items() if score is not None}
    best = min(judged, key=lambda step: (-judged[step], step), default=None)
    chosen = max(scores) if evaluation["checkpoint"] == "last" else best
    stated = run.summary["checkpoint_step"]
    audit.check("checkpoints", stated == chosen, f"{run.name} has step {stated}, validation says {chosen}")


def check_rollouts(audit: Audit, run: Run) -> None:
    """Of groups that were logged: advantage (r - mean) / (std + 1e-6), focal weight (1 - X/N)^gamma."""
    scaling = run.config["advantage_scaling"]
    gamma = scaling.get("gamma", 0.0) if scaling["name"] == "focal" else 0.0
    plain = (
        run.config["algorithm"]["normalize_std"] and run.config["algorithm"]["advantage"] == "group_relative"
    )
    for line in run.lines("rollouts"):
        for group in line["groups"]:
            completions = group["completions"]
            if not plain or any(one["verdict"] in NOT_JUDGED for one in completions):
                continue
            right = np.array([one["verdict"] == "correct" for one in completions])
            rewards = np.array([one["reward"] for one in completions])
            weight = (1 - right.mean()) ** gamma
            if gamma:
                audit.close("focal weights", weight, group["focal_weight"], f"{run.name} step {line['step']}")
            spread = rewards.std(ddof=1) if len(rewards) > 1 else 0.0
            expected = weight * (rewards - rewards.mean()) / (spread + 1e-6)
            for value, one in zip(expected, completions, strict=True):
                what = f"{run.name} step {line['step']} {group['problem']}"
                audit.close("advantages", value, one["advantage"], what, within=2e-5)


def check_overlap(audit: Audit, run: Run) -> None:
    """No problem that was trained on is asked in a benchmark."""
    trained = {problem for line in run.lines("accuracy") for problem in line["accuracy"]}
    for benchmark in run.summary["evaluation"]:
        shared = trained & set(run.samples(benchmark)["problem_id"])
        audit.check("overlap", not shared, f"{run.name} was trained on {sorted(shared)[:3]} of {benchmark}")


def audit_table(table: Path) -> Audit:
    """Hold a table, and that of the last steps where there is one, against the runs that it is of."""
    audit = Audit()
    runs: dict[str, list[Run]] = {}
    for arm, folder in pd.read_csv(table.with_name(f"{table.stem}-runs.csv"))[["arm", "folder"]].to_numpy():
        run = Run(Path(folder))
        runs.setdefault(arm, []).append(run)
        for check in (check_files, check_verdicts, check_checkpoint, check_rollouts, check_overlap):
            check(audit, run)
    check_table(audit, runs, pd.read_csv(table))
    if (last := table.with_name(f"{table.stem}-last-step.csv")).exists():
        check_table(audit, runs, pd.read_csv(last), at_last_step=True)
    return audit


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="the table's CSV")
    asked = parser.parse_args()
    audit = audit_table(asked.table)
    for subject, count in audit.compared.items():
        wrong = sum(fault.startswith(f"{subject}: ") for fault in audit.faults)
        print(f"{subject:28} {count:>9,} compared, {wrong:,} disagree")
    for fault in audit.faults[:20]:
        print(fault)
    sys.exit(1 if audit.faults or not audit.compared.get("cells") else 0)


if __name__ == "__main__":
    main()
