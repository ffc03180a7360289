"""Choose problems from a finished run's accuracy by problem and epoch: LIM and its two baselines."""

import random
from pathlib import Path

import numpy as np

from rlvr.curriculum import build_curriculum
from rlvr.curriculum.lim import Selection, fill_gaps, learning_impact, steady_improvement, write_selection
from rlvr.errors import UserError, refuse_unknown
from rlvr.files.run_directory import fingerprint_of, read_summary, refuse_other
from rlvr.files.run_files import RunFiles
from rlvr.problems import contents, ids_of, load_problems
from rlvr.training.accuracy_log import accuracy_by_epoch

SCORES = {"lim": learning_impact, "linear": steady_improvement}
THRESHOLDS = {"lim": 0.6, "linear": 0.7}  # of LIMR's released set and of its LINEAR baseline
METHODS = (*SCORES, "random_subset")


def selection_file(run: Path, method: str) -> Path:
    """Where a selection goes if no file is given."""
    return run / f"selection-{method}.json"


def scores_of(run: Path, method: str, *, epochs: int | None = None) -> dict[str, float]:
    """The score of each problem of a run that was asked in every epoch, or but for gaps that can be filled.

    Args:
        run: a run with `curriculum=shuffled`, of two complete epochs at least.
        method: "lim" or "linear".
        epochs: look at so many only, from the first; None for all complete ones.
    """
    config = RunFiles(run).config
    if config.curriculum.name != "shuffled":
        raise UserError(
            f"{run} was trained with curriculum={config.curriculum.name}: problems are selected from a run "
            "on all of them, with curriculum=shuffled"
        )
    problems = load_problems(config.data, held_out=False)
    accuracy = accuracy_by_epoch(run / "accuracy.jsonl", build_curriculum(config, problems))
    if not 2 <= (epochs or 2) <= accuracy.shape[1]:
        raise UserError(
            f"{run} has {accuracy.shape[1]} complete epochs: a selection needs 2 or more"
            + (f", and epochs={epochs} as many" if epochs else "")
        )
    values = SCORES[method](fill_gaps(accuracy[:, :epochs]))
    scored = zip(ids_of(problems), values, strict=True)
    return {problem: float(value) for problem, value in scored if not np.isnan(value)}


def keep(scores: dict[str, float], threshold: float) -> set[str]:
    """The problems with score >= threshold, as in LIMR's code (its text has >)."""
    kept = {problem for problem, score in scores.items() if score >= threshold}
    if not kept:
        raise UserError(
            f"threshold={threshold} keeps none of {len(scores)} problems: the highest score is "
            f"{max(scores.values()):.2f}"
        )
    return kept


def keep_best(scores: dict[str, float], share: float) -> set[str]:
    """The best-scoring share of the problems with a score; of equal scores, the first in the data.

    A threshold means little where the average curve stays low: a problem never solved scores
    1 - sum m^2 / sum (1 - m)^2, which is .56 at an average m of .4 and .82 at .3, so that few epochs of a
    weak policy leave nearly everything above .6. LIMR's .6 kept 1,389 of 8,523 problems: a share of .163.
    """
    if not 0 < share <= 1:
        raise UserError(f"share={share}: accepted is above 0 and at most 1, nearest is 0.163 as in LIMR")
    ordered = sorted(scores, key=scores.__getitem__, reverse=True)
    return set(ordered[: max(round(share * len(ordered)), 1)])


def select(
    run: Path,
    method: str,
    *,
    threshold: float | None = None,
    share: float | None = None,
    epochs: int | None = None,
    size: int | None = None,
    seed: int | None = None,
    file: Path | None = None,
) -> Selection:
    """Choose problems by a run, and write the selection.

    Args:
        run: the run directory.
        method: "lim" and "linear" keep problems by score, "random_subset" draws `size` problems.
        threshold: None for the method's own, 0.6 and 0.7.
        share: keep so many by score instead, from above 0 to 1.
        epochs: see `scores_of`.
        size: of a random subset; None for as many as LIM keeps.
        seed: of a random subset; None for the run's.
        file: None for `selection_file`.
    """
    by_score = {"threshold": threshold, "share": share, "epochs": epochs}
    check_settings(method, by_score, {"size": size, "seed": seed})
    config = RunFiles(run).config
    problems = load_problems(config.data, held_out=False)
    ids = ids_of(problems)
    refuse_other(run, "data", {config.data.name: fingerprint_of(ids)})
    refuse_other(run, "contents", contents({config.data.name: problems}))
    scores: dict[str, float] = {}
    if method == "random_subset":
        as_lim: dict[str, float | int] = {}
        if size is None:
            lim_scores = scores_of(run, "lim", epochs=epochs)
            kept, as_lim = best_by_score("lim", lim_scores, threshold, share)
            size, as_lim = len(kept), as_lim | ({"epochs": epochs} if epochs else {})
        if not 1 <= size <= len(ids):
            raise UserError(f"size={size}: accepted are 1 to {len(ids)} problems")
        seed = config.seed if seed is None else seed
        chosen = set(random.Random(seed).sample(ids, size))
        settings: dict[str, float | int] = {"size": size, "seed": seed} | as_lim
    else:
        scores = scores_of(run, method, epochs=epochs)
        chosen, settings = best_by_score(method, scores, threshold, share)
        settings |= {"epochs": epochs} if epochs else {}
    flops = read_summary(run).get("flops", {})
    selection = Selection(
        method=method,
        data=fingerprint_of(ids),
        run=str(run),
        settings=settings,
        flops=flops.get("generated", 0.0) + flops.get("trained", 0.0) if scores else 0.0,
        selected=[problem for problem in ids if problem in chosen],
        scores=scores,
    )
    write_selection(selection, file or selection_file(run, method))
    return selection


def made_otherwise(
    selection: Selection,
    *,
    threshold: float | None = None,
    share: float | None = None,
    epochs: int | None = None,
    size: int | None = None,
) -> dict[str, tuple[float | int | None, float | int | None]]:
    """{key: (before, now)} of what is other in these settings of `select` than in those of a selection.

    A random subset of an earlier version does not say whose size it has: there only a `size` is compared.
    """
    made = selection.settings
    if size is not None:
        now: dict[str, float | int | None] = {"size": size}
    elif "size" in made and not {"share", "threshold"} & made.keys():
        return {}
    else:
        method = selection.method if selection.method in SCORES else "lim"
        threshold = THRESHOLDS[method] if threshold is None and share is None else threshold
        now = {"threshold": threshold, "share": share, "epochs": epochs}
    return {key: (made.get(key), value) for key, value in now.items() if made.get(key) != value}


def check_settings(method: str, by_score: dict[str, float | None], at_random: dict[str, int | None]) -> None:
    """Raise UserError for a setting that a method has no use for, or has two of."""
    refuse_unknown("method of selection", [method], METHODS)
    if None not in (by_score["threshold"], by_score["share"]):
        raise UserError(
            f"threshold={by_score['threshold']} and share={by_score['share']}: accepted is one of the two"
        )
    for name, value in (at_random if method in SCORES else {}).items():
        if value is not None:
            raise UserError(f"{name}={value} with method={method}: accepted are {', '.join(by_score)}")
    for name, value in by_score.items():
        if None not in (value, at_random["size"]):
            raise UserError(f"{name}={value} and size={at_random['size']}: accepted is one of the two")


def best_by_score(
    method: str, scores: dict[str, float], threshold: float | None, share: float | None
) -> tuple[set[str], dict[str, float | int]]:
    """The problems that a share, or else a threshold, keeps; and which of the two it was."""
    if share is not None:
        return keep_best(scores, share), {"share": share}
    threshold = THRESHOLDS[method] if threshold is None else threshold
    return keep(scores, threshold), {"threshold": threshold}


def describe(selection: Selection) -> str:
    """How many problems are kept, and how the scores are distributed."""
    settings = ", ".join(f"{name} {value}" for name, value in selection.settings.items())
    lines = [f"{selection.method}: {len(selection.selected)} problems kept ({settings})"]
    if selection.scores:
        scores = np.array(list(selection.scores.values()))
        deciles = " ".join(f"{value:.2f}" for value in np.quantile(scores, np.arange(11) / 10))
        at_least = ", ".join(f">= {t}: {(scores >= t).sum()}" for t in (0.2, 0.4, 0.5, 0.6, 0.7, 0.8))
        lines += [
            f"{len(scores)} problems with a score; the others were not asked in too many epochs",
            f"scores from lowest to highest, in tenths: {deciles}",
            f"counts: {at_least}",
        ]
    return "\n".join(lines)
