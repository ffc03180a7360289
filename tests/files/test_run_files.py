"""What is damaged or odd in a run's folder is a sentence that names the file."""

import errno
import json
import threading
from pathlib import Path

import pytest
from reported_runs import EASY, write_run

from rlvr.config import config_from_yaml, load_config, to_yaml
from rlvr.errors import UserError
from rlvr.evaluation import counts
from rlvr.files import step_lines
from rlvr.files.atomic import user_errors_for, write_whole
from rlvr.files.run_directory import RunDirectory
from rlvr.files.run_files import RunFiles
from rlvr.files.shapes import MAYBE, NUMBER, misfit
from rlvr.report import find_runs, write_report
from rlvr.tracking.watch import look


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path, "grpo", {EASY: [("correct", "1+2"), ("wrong", "3")]}, seed=7)


def test_a_run_says_what_it_is(folder: Path):
    run = RunFiles(folder)
    assert (run.arm, run.seed, run.scale, run.commit) == ("grpo", 7, "smoke", "0123456789ab")
    assert run.finished and run.trains
    assert [line["step"] for line in run.metrics] == [1, 2, 3, 4]
    assert run.seconds == 90 + 30
    assert run.entry("flops", "trained") == 0.5e12
    assert run.samples("countdown_3") == folder / "evaluation" / "countdown_3.parquet"
    assert run.samples("gcd") is None


def test_a_run_that_has_only_started_says_what_its_config_says(folder: Path):
    for name in ("summary.json", "provenance.json", "metrics.jsonl"):
        (folder / name).unlink()
    run = RunFiles(folder)
    assert (run.arm, run.seed, run.finished, run.commit) == ("grpo", 7, False, "unknown")
    assert (run.summary, run.metrics, run.progress, list(run.rollouts())) == ({}, [], {}, [])


def test_a_file_is_read_once(folder: Path):
    run = RunFiles(folder)
    lines = run.metrics
    (folder / "metrics.jsonl").unlink()
    assert run.metrics is lines


@pytest.mark.parametrize("content", [b"", b'{"arm": "gr', b"\0" * 40, b"[]", b"\xff\xfe{"])
@pytest.mark.parametrize("name", ["summary", "provenance"])
def test_a_damaged_json_file_is_named(folder: Path, name: str, content: bytes):
    (folder / f"{name}.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}\.json is damaged"):
        write_report(find_runs(folder), folder / "report.html", iterations=50)


def test_a_damaged_summary_stops_the_run_that_would_go_on_from_it(tmp_path: Path):
    config = load_config(["scale=smoke", f"runs={tmp_path}", "arm=grpo"])
    directory = RunDirectory(config)
    (directory.path / "summary.json").write_text("")
    with pytest.raises(UserError, match=r"summary\.json is damaged"):
        directory.update_summary(status="trained")
    (directory.path / "provenance.json").write_text("{")
    with pytest.raises(UserError, match=r"provenance\.json is damaged"):
        directory.record_provenance(config, {})
    directory.close()


def test_what_a_summary_lacks_is_named(folder: Path):
    (folder / "summary.json").write_text(json.dumps({"status": "finished", "arm": "grpo", "seed": 7}))
    with pytest.raises(UserError, match=r"summary\.json has no scale"):
        write_report(find_runs(folder), folder / "report.html", iterations=50)


@pytest.mark.parametrize("line", [b"\0\0\0", b'{"step": 5', b"[1]", b'{"value": 1}', b"\xff"])
@pytest.mark.parametrize("name", ["metrics", "timing", "validation", "rollouts"])
def test_a_damaged_line_is_named_with_its_number(folder: Path, name: str, line: bytes):
    file = folder / f"{name}.jsonl"
    whole = file.read_bytes() if file.exists() else b""
    file.write_bytes(whole + line + b"\n")
    number = len(whole.splitlines()) + 1
    with pytest.raises(UserError, match=rf"line {number} of .*{name}\.jsonl is damaged"):
        write_report(find_runs(folder), folder / "report.html", iterations=50)


def test_a_line_that_is_being_written_is_left_for_later(folder: Path):
    with (folder / "metrics.jsonl").open("a") as lines:
        lines.write('{"step": 5, "reward')
    assert len(RunFiles(folder).metrics) == 4


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_rollouts_have_numbers_that_are_some(folder: Path, number: str):
    """Metrics may be NaN, as those of a run that diverged are, and are left out of the curves."""
    (folder / "rollouts.jsonl").write_text(f'{{"step": 1, "groups": [], "advantage": {number}}}\n')
    with pytest.raises(UserError, match=r"line 1 of .*rollouts\.jsonl is damaged.*finite"):
        write_report(find_runs(folder), folder / "report.html", iterations=50)
    (folder / "rollouts.jsonl").unlink()
    step_lines.append(folder / "metrics.jsonl", 5, {"reward/success_rate": float("nan")})
    page = write_report(find_runs(folder), folder / "report.html", iterations=50).read_text()
    assert '"reward/success_rate":{"step":[1,2,3,4]' in page


@pytest.mark.parametrize("content", ["[]", "", "3", '{"stage": "trai'])
def test_progress_that_says_nothing_is_waited_for(folder: Path, content: str):
    (folder / "progress.json").write_text(content)
    assert RunFiles(folder).progress == {}
    assert look(folder).seconds_left is None


@pytest.mark.parametrize("cut", [0, 100, 900])
def test_damaged_samples_are_named(folder: Path, cut: int):
    file = folder / "evaluation" / "countdown_3.parquet"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"countdown_3\.parquet is damaged"):
        counts(RunFiles(folder).samples("countdown_3"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no whole config"),
        ("experiment: sweep\nmodel: {path: x}\n", "is no whole config of a run: it lacks algorithm"),
        ("model: [", "can't be read as a config"),
        ("\0\0", "can't be read as a config"),
        ("- model", "is no whole config"),
    ],
)
def test_a_damaged_config_is_named(folder: Path, content: str, said: str):
    (folder / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=rf"config\.yaml.*{said}"):
        find_runs(folder)


def test_half_a_config_is_no_config(folder: Path):
    """Cut at any line, it is refused by name; today's groups would otherwise fill in what is lost."""
    lines = (folder / "config.yaml").read_text().splitlines(keepends=True)
    for length in range(0, len(lines) - 2, 9):
        (folder / "config.yaml").write_text("".join(lines[:length]))
        with pytest.raises(UserError, match=r"config\.yaml"):
            assert RunFiles(folder).config


def test_a_strangers_config_looks_nothing_up(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET", "sk-123456")
    text = (folder / "config.yaml").read_text()
    for change in ("experiment: ${oc.env:SECRET}", "experiment: a-${seed}"):
        (folder / "config.yaml").write_text(text.replace("experiment: sweep", change))
        for read in (config_from_yaml, lambda file: look(file.parent), lambda file: find_runs(file.parent)):
            with pytest.raises(UserError, match=r"experiment holds an interpolation") as refusal:
                read(folder / "config.yaml")
            assert "sk-123456" not in str(refusal.value)
    (folder / "config.yaml").write_text(text)
    assert to_yaml(config_from_yaml(folder / "config.yaml")) == text


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("run/metrics.jsonl", r"^\S*/run can't be written \(Read-only file system\): .* with runs=$"),
        ("", r"^\S*/run can't be written"),  # the folder that it would be made in
        ("hub/rlvr/x", r"hub/rlvr/x can't be used \(Read-only .*/hub readable .* place with HF_HOME=$"),
        ("data/q.jsonl", r"data/q\.jsonl can't be used \(Read-only .*\): make it readable and writable$"),
    ],
)
def test_what_cannot_be_written_is_named_as_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, said: str
):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.raises(UserError, match=said), user_errors_for(tmp_path / "run"):
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / file))


def test_several_writers_of_a_file_wait_for_each_other(tmp_path: Path):
    """Each would otherwise rename what another has just opened, or find that it is gone."""
    contents = [str(n) * 50_000 for n in range(4)]
    writers = [
        threading.Thread(target=lambda text=text: [write_whole(tmp_path / "x", text) for _ in range(100)])
        for text in contents
    ]
    failed: list[object] = []
    threading.excepthook, before = failed.append, threading.excepthook
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if (tmp_path / "x").exists():
            assert (tmp_path / "x").read_text() in contents
    threading.excepthook = before
    assert not failed
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("value", "shape", "wrong"),
    [
        ({"a": {"b": 1}}, {"a": {"*": NUMBER}}, ""),
        ({"a": {"b": True}}, {"a": {"*": NUMBER}}, "a.b is a bool"),
        ({"a": {"b": "1"}}, {"a": {"*": NUMBER}}, "a.b is a str"),
        ({"a": 10**400}, {"a": NUMBER}, "a is beyond all bounds"),
        ({"a": [1, "b"]}, {"a": [int]}, "a.1 is a str"),
        ({}, {"a": int}, "has no a"),
        ([], {"a": int}, "is a list"),
        ({"pass@k": {"1": 0.5, "8": None}}, {"pass@k": {"#": MAYBE}}, ""),
        ({"pass@k": {}}, {"pass@k": {"#": MAYBE}}, "pass@k has other keys than whole numbers, or none"),
        ({"k": {"many": 0.5}}, {"k": {"#": MAYBE}}, "k has other keys than whole numbers, or none"),
    ],
)  # fmt: skip
def test_what_of_a_value_is_not_of_its_shape(value, shape, wrong: str):
    assert misfit(value, shape) == wrong
