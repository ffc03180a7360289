"""rlvr in Python: what a command does, and what it leaves, as data frames."""

import ast
import json
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pytest
from tiny_runs import TINY

import rlvr
import rlvr.runs.sweep
from rlvr.api.commands import _written
from rlvr.config import PACKAGE, Config, load_config, run_directory
from rlvr.evaluation import counts, pass_at_k_of
from rlvr.report import find_runs, write_report

NOTEBOOK = PACKAGE.parent / "docs" / "notebooks" / "first-run.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rlvr.Run:
    runs = tmp_path_factory.mktemp("runs")
    return rlvr.train(*TINY, runs=runs, algorithm="dapo", training={"gradient_clip": 0.5})


def test_importing_rlvr_imports_nothing_heavy_and_a_table_no_torch():
    loaded = "import rlvr, sys; sys.exit(bool({'torch', 'pandas', 'hydra'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
    of_tables = (
        "import rlvr.report.write, sys; sys.exit(bool({'torch', 'transformers'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", of_tables], check=False).returncode == 0
    with pytest.raises(AttributeError, match="module 'rlvr' has no attribute 'trian'"):
        _ = rlvr.trian
    assert (PACKAGE / "py.typed").exists()


def test_keys_in_python_are_those_of_the_command_line(run: rlvr.Run, tmp_path: Path):
    same = load_config([*TINY, f"runs={run.path.parents[2]}", "algorithm=dapo", "training.gradient_clip=0.5"])
    assert run.path == run_directory(same)
    assert run.config == same
    assert list(_written({"training": {"steps": 5, "sampling": {"top_p": 0.9}}, "arm": None})) == [
        *("training.steps=5", "training.sampling.top_p=0.9", "arm=null"),
    ]


def test_a_run_says_the_command_that_makes_it_again(run: rlvr.Run):
    """And not what the process of a script or a notebook was started with."""
    command = json.loads((run.path / "provenance.json").read_text())["command"]
    assert shlex.split(command) == [
        *("rlvr", "train", *TINY, f"runs={run.path.parents[2]}"),
        *("algorithm=dapo", "training.gradient_clip=0.5"),
    ]


def test_the_folder_of_a_sweeps_arm_is_a_run_and_no_override(tmp_path: Path):
    (folder := tmp_path / "gamma=0.5" / "seed-1").mkdir(parents=True)
    with pytest.raises(rlvr.UserError, match=r"gamma=0.5/seed-1 is not a run directory"):
        rlvr.evaluate(str(folder), n=4)


def test_runs_of_several_threads_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two that loaded a model at the same time said that a whole checkpoint lacked weights."""
    at_work, most = [], []

    def work(config: Config, start: object) -> Path:
        at_work.append(config.seed)
        most.append(len(at_work))
        time.sleep(0.05)
        at_work.remove(config.seed)
        return tmp_path

    monkeypatch.setattr(rlvr.runs.sweep, "run_with_display", work)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda seed: rlvr.train(*TINY, runs=tmp_path, seed=seed), (1, 2, 3)))
    assert most == [1, 1, 1]


def test_a_run_that_was_broken_off_is_one_to_look_at(tmp_path: Path):
    """Its summary.json has seconds alone, and no seed."""
    broken = rlvr.train(*TINY, runs=tmp_path, stop_after_minutes=1e-6)
    assert broken.summary.keys() == {"seconds"}
    assert repr(broken) == f"<rlvr run tiny seed 1, 0 of 2 steps: {broken.path}>"
    assert write_report(find_runs(broken.path), tmp_path / "report.html").exists()


def test_a_finished_run_is_left_alone_and_loads_as_frames(run: rlvr.Run):
    files = {file: file.stat().st_mtime_ns for file in run.path.rglob("*.jsonl")}
    again = rlvr.train(*TINY, runs=run.path.parents[2], algorithm="dapo", training={"gradient_clip": 0.5})
    assert {file: file.stat().st_mtime_ns for file in run.path.rglob("*.jsonl")} == files
    assert again.finished
    loaded = rlvr.load_run(str(run.path))
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert loaded.metrics["reward/mean"].to_dict() == {line["step"]: line["reward/mean"] for line in lines}
    assert (loaded.metrics["seconds/step"] > 0).all()
    assert loaded.validation.index.tolist() == [0, 1, 2]
    assert set(loaded.samples["benchmark"]) == {"countdown_3"} and len(loaded.samples) == 16
    assert loaded.pass_at_k["k"].tolist() == [1, 2, 4]
    for _, row in loaded.pass_at_k.iterrows():
        values = pass_at_k_of(counts(loaded.samples), row["k"])
        assert row["value"] == pytest.approx(values.mean())
        assert row["low"] <= row["value"] <= row["high"]
    assert set(loaded.rollouts["verdict"]) <= {"correct", "wrong", "no_answer", "truncated"}
    assert repr(loaded).startswith(f"<rlvr run tiny seed 1, finished: {run.path}")


def test_plots_draw_what_the_frames_say(run: rlvr.Run):
    axes = run.plot()
    (curve,) = axes.get_lines()
    assert curve.get_xdata().tolist() == [1, 2, 4]
    assert curve.get_ydata().tolist() == pytest.approx((100 * run.pass_at_k["value"]).tolist())
    assert run.plot("pass@k", ax=axes) is axes and len(axes.get_lines()) == 2
    both = run.plot("reward/mean", "in_domain/pass@1", smoothing=2).get_lines()
    first, second = run.metrics["reward/mean"]
    assert both[0].get_ydata().tolist() == pytest.approx([first, (first + second) / 2])
    assert both[1].get_xdata().tolist() == [0, 1, 2]


def test_evaluate_measures_a_run_again(run: rlvr.Run):
    measured = rlvr.evaluate(run, n=2)
    assert measured.path == run.path
    assert measured.pass_at_k["k"].tolist() == [1, 2]
    assert rlvr.evaluate(f"run={run.path}", n=2).path == run.path  # was asked for a run or a model


def test_keys_of_a_verb_hold_in_python_too(run: rlvr.Run, monkeypatch: pytest.MonkeyPatch):
    """gpus_per_run was read and dropped, and so was run= beside model=."""
    started = []
    monkeypatch.setattr(
        rlvr.runs.sweep, "run_with_display", lambda config, start: started.append((config, start)) or run.path
    )
    rlvr.train("gpus_per_run=2", "stop_after_minutes=3")
    rlvr.evaluate(f"run={run.path}", model="embedded")
    (_, trained), (config, evaluated) = started
    assert (trained.processes, trained.deadline is not None) == (2, True)
    assert (config.training.steps, evaluated.evaluate) == (2, True)


def test_a_run_is_read_from_where_it_was(run: rlvr.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(run.path.parent)
    relative = rlvr.load_run(run.path.name)
    monkeypatch.chdir(tmp_path)
    assert len(relative.metrics) == 2


def test_errors_are_the_command_lines_sentences(tmp_path: Path, run: rlvr.Run):
    for call, sentence in (
        (lambda: rlvr.train(algorithm="dap"), r"unknown algorithm 'dap': .*did you mean dapo\?"),
        (lambda: rlvr.train(training={"stps": 1}), r"unknown key in training 'stps': .*did you mean steps\?"),
        (lambda: rlvr.train("--cfg"), "'--cfg' is no override: accepted is key=value"),
        (lambda: rlvr.train(seed=object()), "is no value of a key"),
        (lambda: rlvr.train("seed=1,2"), "several values are a sweep"),
        (lambda: rlvr.evaluate(n=4), "evaluate needs a run or a model"),
        (lambda: rlvr.evaluate("~nobody-of-that-name/run"), "no home folder is known"),
        (lambda: rlvr.evaluate(tmp_path), "is not a run directory: it has no config.yaml"),
        (lambda: rlvr.load_run(run.path.parents[1]), f"is not a run directory: accepted are {run.path}"),
        (lambda: rlvr.load_run(tmp_path), "is not a run directory and holds none"),
        (lambda: run.plot("reward/maen"), r"unknown curve 'reward/maen': .*did you mean reward/mean\?"),
    ):
        with pytest.raises(rlvr.UserError, match=sentence):
            call()


def test_the_notebook_is_python_and_says_nothing_of_the_machine_it_was_run_on():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            ast.parse("\n".join(line for line in source.splitlines() if not line.startswith("%%")))
            assert not [output for output in cell["outputs"] if output["output_type"] == "error"]
    assert len(cells) > 10


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path):
    """As a reader's would, in a kernel of its own and an empty folder."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [text for output in outputs if (text := output.get("data", {}).get("text/plain"))]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert any(text.startswith("<rlvr run F-DAPO seed 1, finished") for text in texts)
    assert any("unknown key in training 'stepps'" in output.get("text", "") for output in outputs)
