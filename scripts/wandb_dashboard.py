"""W&B dashboards as code: a workspace and a report for a table or any other experiment.

    python scripts/wandb_dashboard.py fgrpo/table1/laptop --entity my-team
    python scripts/wandb_dashboard.py adhoc --runs results/runs --to dashboards

What it shows is read from the experiment's run directories. The first form makes both in W&B, where the runs
have to be (`wandb sync` sends offline ones). The second writes them as JSON, without account or network.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

from rlvr.errors import UserError
from rlvr.report import find_runs

ARM = "JobType"  # a run's group is its experiment, its job type the arm, and its name ends with the seed
STAGES = ("sampling", "verification", "advantage", "update", "weight_sync")


@dataclass(frozen=True)
class Experiment:
    """What is known of an experiment from its run directories.

    Attributes:
        group: of its runs in W&B.
        k: for which pass@k was measured, ascending.
        validated: for which of them it was measured in validation.
        curves: the benchmarks and the averages over each domain, which come first.
        table: whether a table was rendered from it and sent to W&B.
    """

    name: str
    project: str
    entity: str | None
    group: str
    k: list[int]
    validated: list[int]
    curves: list[str]
    table: bool


def read_experiment(name: str, runs: Path) -> Experiment:
    """The experiment `results/runs/<name>`.

    Raises:
        UserError: where it has no run, or those of several experiments.
    """
    configs = [run.config for run in find_runs(runs / name)]
    first = configs[0]
    tasks = {name: task for config in configs for name, task in config.benchmark.tasks.items()}
    return Experiment(
        name=name,
        project=first.tracking.project,
        entity=first.tracking.entity,
        group=first.tracking.group or first.experiment,
        k=sorted({k for config in configs for k in config.evaluation.k}),
        validated=sorted({k for config in configs for k in config.evaluation.validated_k}),
        curves=[*dict.fromkeys(task.domain for task in tasks.values()), *tasks],
        table=(runs / name / "wandb_id").exists(),
    )


def over_steps(title: str, metric: str, **options) -> wr.LinePlot:
    """A metric over training steps: a line an arm, the mean of its seeds, in the band of their extremes."""
    return by_arm(title, metric, x="step", title_x="step", **options)


def by_arm(title: str, metric: str, **options) -> wr.LinePlot:
    """A line an arm, over anything."""
    return wr.LinePlot(
        title=title, y=[metric], groupby=ARM, groupby_aggfunc="mean", groupby_rangefunc="minmax", **options
    )


def sections(experiment: Experiment) -> dict[str, list]:
    """The panels, by section; every metric they name is one that a run logs."""
    largest = experiment.k[-1]
    found = {
        "Learning": [
            over_steps("Success rate of rollouts", "reward/success_rate", smoothing_factor=0.6),
            over_steps("Reward", "reward/mean", smoothing_factor=0.6),
            *(
                over_steps(f"pass@{k} in validation", f"validation/in_domain/pass@{k}")
                for k in dict.fromkeys((experiment.validated[0], experiment.validated[-1]))
            ),
            over_steps("Completion length (tokens)", "completion/length_mean"),
            over_steps("Cut at the maximum length", "completion/truncated"),
        ],
        "pass@k": [
            by_arm(name.replace("_", " "), f"pass@k/{name}", x="k", title_x="k", log_x=True)
            for name in experiment.curves
        ],
        "Group composition": [
            over_steps("All right", "groups/all_right", range_y=(0, 1)),
            over_steps("Mixed", "groups/mixed", range_y=(0, 1)),
            over_steps("All wrong", "groups/all_wrong", range_y=(0, 1)),
            over_steps("Without a signal", "groups/without_signal", range_y=(0, 1)),
        ],
        "Entropy": [
            over_steps("Entropy of the policy (nats a token)", "policy/entropy"),
            wr.ScatterPlot(
                title=f"Entropy at the end against pass@{largest}",
                x=wr.SummaryMetric("policy/entropy"),
                y=wr.SummaryMetric(f"evaluation/{experiment.curves[0]}/pass@{largest}"),
            ),
        ],
        "Advantage weight": [
            over_steps("Mean over groups", "focal/weight_mean"),
            over_steps("Mean over groups with a signal", "focal/weight_mean_with_signal"),
            over_steps("Gradient norm", "update/gradient_norm"),
        ],
        "Log-ratio health": [
            over_steps("Within the update: mean", "update/log_ratio_mean"),
            over_steps("Within the update: largest", "update/log_ratio_max", log_y=True),
            over_steps("Clipped tokens", "update/clip_fraction"),
            over_steps("Effective sample size", "update/effective_sample_size"),
            over_steps("Engine against trainer: mean", "mismatch/log_ratio_mean"),
            over_steps("Engine against trainer: largest", "mismatch/log_ratio_max"),
        ],
        "Throughput and time": [
            over_steps("Tokens a second", "throughput/tokens_per_second"),
            over_steps("Seconds a step", "seconds/step"),
            *(over_steps(f"Seconds of {stage.replace('_', ' ')}", f"seconds/{stage}") for stage in STAGES),
        ],
    }
    if experiment.table:
        found["Table"] = [wr.WeavePanelSummaryTable(table_name="table", layout=wr.Layout(w=24, h=16))]
    return found


def workspace(experiment: Experiment, entity: str) -> ws.Workspace:
    """Every panel, over the runs of the experiment."""
    return ws.Workspace(
        entity=entity,
        project=experiment.project,
        name=experiment.name,
        sections=[
            ws.Section(name=name, panels=panels, is_open=True)
            for name, panels in sections(experiment).items()
        ],
        settings=ws.WorkspaceSettings(x_axis="step", max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(expr.Metric("Group") == experiment.group), groupby=[expr.Metric(ARM)]
        ),
    )


def report(experiment: Experiment, entity: str) -> wr.Report:
    """The same panels as a page to be read and annotated, a section after the other."""
    runset = {"filters": expr.And(expr.Metric("Group") == experiment.group), "groupby": [ARM]}
    blocks: list = [wr.TableOfContents()]
    for name, panels in sections(experiment).items():
        blocks += [
            wr.H2(name),
            wr.PanelGrid(runsets=[wr.Runset(name=experiment.name, **runset)], panels=panels),
        ]
    return wr.Report(
        entity=entity,
        project=experiment.project,
        title=experiment.name,
        description="Lines are means over seeds, bands reach from the lowest to the highest.",
        blocks=blocks,
        width="fluid",
    )


def write(experiment: Experiment, folder: Path) -> list[Path]:
    """Both as JSON, as W&B would get them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for kind, made in (("workspace", workspace), ("report", report)):
        model = made(experiment, experiment.entity or "entity")._to_model()
        files.append(folder / f"{experiment.name.replace('/', '-')}-{kind}.json")
        files[-1].write_text(model.spec.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n")
    return files


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A W&B workspace and report for an experiment.")
    parser.add_argument("experiment", help="a folder of results/runs, such as fgrpo/table1/laptop or adhoc")
    parser.add_argument("--runs", type=Path, default=Path("results/runs"), help="where runs are")
    parser.add_argument("--entity", help="W&B user or team; the runs' own, or your default one, if not given")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write JSON files and send nothing")
    given = parser.parse_args(arguments)
    try:
        experiment = read_experiment(given.experiment, given.runs)
    except UserError as error:
        sys.exit(f"wandb_dashboard: {error}")
    if given.to:
        print("\n".join(map(str, write(experiment, given.to))))
        return
    import wandb

    entity = given.entity or experiment.entity or wandb.Api().default_entity
    print(workspace(experiment, entity).save().url)
    print(report(experiment, entity).save().url)


if __name__ == "__main__":
    main()
