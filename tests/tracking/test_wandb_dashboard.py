"""The dashboards, built offline, against what a real run has logged."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import wandb_dashboard as dashboard
import wandb_workspaces.reports.v2 as wr
from wandb_file import history, offline_records, values

from rlvr.config import PACKAGE, load_config
from rlvr.runs.run import run
from rlvr.tracking.tracker import Tracker

NAME = "fgrpo/table1/smoke"
OVERRIDES = [
    "scale=smoke",
    "tracking.mode=offline",
    f"experiment={NAME}",
    "data.size=64",
    "training.steps=2",
    "training.prompts_per_step=16",
    "training.mini_batch_prompts=8",
    "evaluation.samples=8",
    "evaluation.k=[1,2,4,8]",
    "evaluation.validation_samples=2",
    *(f"benchmark.tasks.countdown_{name}.size=2" for name in ("3", "4", "5", "add", "large")),
    "benchmark.tasks.chain_sum.size=2",
    "benchmark.tasks.gcd.size=2",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One arm under one seed, trained and evaluated for real, and the table's own run beside it."""
    folder = tmp_path_factory.mktemp("runs")
    config = load_config([*OVERRIDES, f"runs={folder}", "arm=f-grpo", "seed=2", "advantage_scaling=focal"])
    run(config)
    table = Tracker(replace(config, arm="table"), folder / NAME)
    results = PACKAGE.parent / "results"
    table.log_table([results / "tables/fgrpo-table1-laptop.csv"])
    table.close()
    return folder


def metrics_of(panel: object) -> Iterator[str]:
    """Everything a panel takes from W&B, by its name there."""
    if isinstance(panel, wr.LinePlot):
        yield from (panel.x, *panel.y)
    elif isinstance(panel, wr.ScatterPlot):
        yield from (panel.x.name, panel.y.name)
    else:
        assert isinstance(panel, wr.WeavePanelSummaryTable)
        yield panel.table_name


def test_no_panel_names_a_metric_that_is_not_logged(runs: Path):
    records = offline_records(runs / NAME / "f-grpo" / "seed-2") + offline_records(runs / NAME)
    logged = {key for row in history(records) for key in row}
    logged |= {key for r in records if r.HasField("summary") for key in values(r.summary.update)}
    sections = dashboard.sections(dashboard.read_experiment(NAME, runs))
    named = {metric for panels in sections.values() for panel in panels for metric in metrics_of(panel)}

    assert "Table" in sections
    assert {"pass@k/in_domain", "pass@k/gcd", "evaluation/in_domain/pass@8", "policy/entropy"} <= named
    assert {"validation/in_domain/pass@1", "validation/in_domain/pass@2"} <= named
    assert not {name for name in named if name not in logged and f"{name}.path" not in logged}


def test_curves_of_pass_at_k_are_a_history_over_k(runs: Path):
    directory = runs / NAME / "f-grpo" / "seed-2"
    rows = [row for row in history(offline_records(directory)) if "pass@k/in_domain" in row]
    results = json.loads((directory / "summary.json").read_text())["evaluation"]
    at_8 = [result["pass@k"]["8"] for result in results.values() if result["domain"] == "in_domain"]

    assert [row["k"] for row in rows] == [1, 2, 4, 8]
    assert rows[-1]["pass@k/in_domain"] == pytest.approx(sum(at_8) / 5)
    assert rows[-1]["pass@k/gcd"] == results["gcd"]["pass@k"]["8"]


def test_runs_are_grouped_by_table_and_arm_and_seed(runs: Path):
    arm, table = (
        [record.run for record in offline_records(folder) if record.HasField("run")]
        for folder in (runs / NAME / "f-grpo" / "seed-2", runs / NAME)
    )

    assert {(r.run_group, r.job_type, r.display_name) for r in arm} == {(NAME, "f-grpo", "f-grpo/seed-2")}
    assert len({r.run_id for r in arm}) == 1  # training and evaluation are one run
    assert values(arm[0].config.update)["seed"] == 2
    assert {(r.run_group, r.job_type) for r in table} == {(NAME, "table")}


def test_workspace_and_report_are_written_without_a_network(runs: Path, tmp_path: Path):
    dashboard.main([NAME, "--runs", str(runs), "--to", str(tmp_path)])
    for kind in ("workspace", "report"):
        text = (tmp_path / f"fgrpo-table1-smoke-{kind}.json").read_text()
        assert json.loads(text)
        for expected in ("pass@k/in_domain", "focal/weight_mean", "jobType", NAME):
            assert expected in text, (kind, expected)


def test_an_experiment_that_is_not_there(runs: Path, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit, match="fgrpo/table9 holds no run: accepted are"):
        dashboard.main(["fgrpo/table9", "--runs", str(runs)])
