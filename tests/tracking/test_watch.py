"""`rlvr watch` on the files of a real run, whole and half-way."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tiny_runs import tiny

from rlvr.cli.main import main
from rlvr.files import step_lines
from rlvr.files.run_directory import run_folders
from rlvr.runs.run import run
from rlvr.tracking.watch import duration, look, printable, sparkline, warnings


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    longer = ["training.steps=4", "training.checkpoint_every=2", "training.prompts_per_step=8"]
    wider = ["evaluation.samples=8", "evaluation.k=[1,8]", "credit=process_lambda", "arm=watched"]
    return run(tiny(tmp_path_factory.mktemp("runs"), *longer, *wider))


@pytest.fixture
def half_way(finished: Path, tmp_path: Path) -> Path:
    """The same run as it was after its second step, ten seconds a step."""
    folder = tmp_path / "seed-1"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("checkpoints", "evaluation"))
    (folder / "summary.json").unlink()
    for name in ("metrics", "validation", "rollouts"):
        step_lines.rewind(folder / f"{name}.jsonl", 2)
    (folder / "timing.jsonl").unlink()
    for step in (1, 2):
        step_lines.append(folder / "timing.jsonl", step, {"seconds/step": 10.0})
    progress = {"stage": "training", "done": 2, "total": 4, "time": look(folder).now}
    (folder / "progress.json").write_text(json.dumps(progress))
    return folder


def shown(path: Path, capsys: pytest.CaptureFixture) -> str:
    main(["watch", str(path), "--once"])
    return capsys.readouterr().out


def test_a_finished_run(finished: Path, capsys: pytest.CaptureFixture):
    text = shown(finished, capsys)
    record = json.loads((finished / "rollouts.jsonl").read_text().splitlines()[-1])
    completion = record["groups"][0]["completions"][0]
    pass_at_1 = json.loads((finished / "summary.json").read_text())["evaluation"]["countdown_3"]["pass@k"][
        "1"
    ]
    assert "finished after" in text
    assert "success rate" in text
    assert "samples of step 4" in text
    assert "".join(completion["tokens"])[:10] in text
    assert f"{completion['advantage']:+.3f}" in text
    assert f"{100 * pass_at_1:.1f}" in text


def test_the_curve_of_the_k_that_checkpoints_are_chosen_by_is_shown(
    half_way: Path, capsys: pytest.CaptureFixture
):
    (half_way / "validation.jsonl").unlink()
    for step in (0, 2):
        scores = {"in_domain/pass@1": step / 4, "in_domain/pass@8": step / 2}
        step_lines.append(half_way / "validation.jsonl", step, scores)
    assert "validation pass@8" not in shown(half_way, capsys)
    file = half_way / "config.yaml"
    file.write_text(file.read_text().replace("select_by: 1", "select_by: 8"))
    text = shown(half_way, capsys)
    assert "validation pass@1" in text and "validation pass@8" in text


def test_recorded_groups_are_those_of_checkpoints_and_the_first_step(finished: Path):
    lines = step_lines.read(finished / "rollouts.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 4]
    for group in lines[0]["groups"]:
        for completion in group["completions"]:
            assert len(completion["tokens"]) == len(completion["weights"])
            # alone with its last token, or one of several that are the same
            assert {round(1 / weight) for weight in completion["weights"]} <= set(range(1, 9))


def test_a_run_at_work(half_way: Path, capsys: pytest.CaptureFixture):
    text = shown(half_way, capsys)
    assert "training 2/4, 20 s of training left" in text
    assert "samples of step 2" in text


def test_a_run_that_just_started(half_way: Path, capsys: pytest.CaptureFixture):
    for file in half_way.iterdir():
        if file.name != "config.yaml":
            file.unlink()
    assert "starting" in shown(half_way, capsys)


def test_silence_is_said(half_way: Path):
    progress = json.loads((half_way / "progress.json").read_text())
    progress["time"] -= 3600
    (half_way / "progress.json").write_text(json.dumps(progress))
    (warning,) = warnings(look(half_way))
    assert "no sign of life for 60 min" in warning


def test_a_run_that_is_not_to_be_evaluated_is_done_when_it_is_trained(half_way: Path):
    """It is not silent, and whoever watches it is let go."""
    config = (half_way / "config.yaml").read_text()
    (half_way / "config.yaml").write_text(config.replace("after_training: true", "after_training: false"))
    (half_way / "summary.json").write_text('{"status": "trained", "trained_steps": 4}')
    progress = json.loads((half_way / "progress.json").read_text())
    (half_way / "progress.json").write_text(json.dumps(progress | {"time": progress["time"] - 3600}))
    snapshot = look(half_way)
    assert snapshot.done
    assert warnings(snapshot) == []


def test_a_folder_of_runs_is_refused_with_their_names(finished: Path, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        main(["watch", str(finished.parent)])
    assert f"is not a run directory: accepted are {finished}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["watch", str(finished), "--onc"])
    assert "did you mean --once?" in capsys.readouterr().err


def test_sparklines():
    assert sparkline([0.0, 1.0, 2.0, 3.5, 7.0]) == "▁▂▃▅█"
    assert sparkline([1.0, 3.0, 5.0, 7.0, 2.0], width=3) == "▁█▁"  # means 2, 6, 2
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([0.0, float("nan"), 1.0]) == "▁ █"
    assert sparkline([]) == ""


def test_a_terminal_obeys_nothing_that_a_policy_wrote():
    assert printable("a\x1b[2Jb\nc\u202ed\x07") == "a·[2Jb c·d·"


def test_durations():
    assert [duration(s) for s in (42, 89.6, 420, 12_000)] == ["42 s", "90 s", "7 min", "3 h 20 min"]


def test_runs_are_found_while_folders_come_and_go(tmp_path: Path, monkeypatch):
    for arm in ("grpo", "cispo"):
        (tmp_path / arm / "seed-1" / "checkpoints").mkdir(parents=True)
        (tmp_path / arm / "seed-1" / "config.yaml").touch()
    (tmp_path / "mine").mkdir()  # as folder= puts it; a folder that a run pushed has no provenance.json
    for file in ("mine/config.yaml", "mine/provenance.json", "config.yaml"):
        (tmp_path / file).touch()
    (tmp_path / "half").mkdir()
    scan, listed = os.scandir, []

    def scandir(folder):
        listed.append(Path(folder).name)
        if Path(folder).name == "half":
            Path(folder).rmdir()
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert run_folders(tmp_path) == [tmp_path / name for name in ("cispo/seed-1", "grpo/seed-1", "mine")]
    assert "half" in listed and "checkpoints" not in listed
