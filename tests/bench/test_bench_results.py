"""What is made of measurements: pairing, ratios, the file, and what is said about a wrong key."""

import json
import re
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from rlvr.bench.alone import startup_work
from rlvr.bench.command import checked_micro_batch
from rlvr.bench.job import is_correct, jobs
from rlvr.bench.result import Result, committed, figure, interleaved, load, machine, save
from rlvr.cli.main import main
from rlvr.errors import UserError


def test_ratios_are_of_the_same_round():
    row = Result("step", "embedded", rlvr=[1.0, 2.0, 4.0], other=[4.0, 8.0, 8.0], against="TRL")

    assert row.ratios() == [4.0, 4.0, 2.0]
    assert figure(row, ".3g") == "4.00x"
    assert Result("step", "embedded", rlvr=[1.0], other=[]).ratios() == []


def test_sides_take_turns_and_the_first_round_is_thrown_away():
    order: list[str] = []

    def side(name: str):
        def call() -> float:
            order.append(name)
            return float(len(order))

        return call

    values = interleaved({"a": side("a"), "b": side("b")}, rounds=3)

    assert order == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert values == {"a": [3.0, 6.0, 7.0], "b": [4.0, 5.0, 8.0]}


def test_a_part_that_was_not_run_keeps_its_result(tmp_path: Path):
    first = [Result("packing", "p", [1.0], []), Result("step", "s", [1.0], [2.0], "TRL")]
    file = save(first, tmp_path, [])
    before = load(file)
    save([Result("step", "s", [3.0], [9.0], "TRL"), Result("step", "t", [4.0], [])], tmp_path, [])

    assert [(row["part"], row["what"], row["rlvr"]) for row in load(file)] == [
        ("packing", "p", [1.0]),
        ("step", "s", [3.0]),
        ("step", "t", [4.0]),
    ]
    assert load(file)[0] == before[0] and "measured" in before[0]


def test_a_row_has_the_versions_it_was_measured_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / f"{machine()['name']}.json"
    older = {"versions": {"trl": "1"}, "results": [asdict(Result("step", "s", [1.0], [2.0], "TRL"))]}
    file.write_text(json.dumps(older))  # as files were: one entry for all rows
    monkeypatch.setattr("rlvr.bench.result.versions", lambda pythons: {"trl": "2"})
    save([Result("update", "u", [1.0], [2.0], "TRL")], tmp_path, [])
    monkeypatch.setattr("rlvr.bench.result.versions", lambda pythons: {"torch": "3"})
    save([Result("packing", "p", [1.0], [])], tmp_path, [])

    assert [row["versions"] for row in load(file)] == [{"trl": "1"}, {"trl": "2"}, {"torch": "3"}]


def test_what_is_committed_is_what_git_has_and_not_what_lies_there(tmp_path: Path):
    file = save([Result("packing", "p", [1.0], [])], tmp_path, [])
    assert committed(file) == {}
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(tmp_path)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "results"]):
        subprocess.run([*git, *command], check=True)
    save([Result("packing", "p", [2.0], [])], tmp_path, [])

    assert committed(file)["packing", "p", ""].rlvr == [1.0]


def test_every_group_has_right_and_wrong_rollouts():
    verdicts = [[is_correct(rollout, 8) for rollout in range(start, start + 8)] for start in (0, 8, 16)]
    assert verdicts == [[True, False] * 4] * 3


def test_jobs_are_whole_batches_for_trl():
    for job in jobs(Path("somewhere"), ["float32", "bfloat16"], threads=1):
        assert job.prompts * job.group_size % job.trl_micro_batch == 0
        assert job.config().training.mini_batch_prompts == job.prompts


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("model=embedded precision=bfloat16", "precision=bfloat16: the embedded policy is timed in float32"),
        ("part=stepp", "unknown part 'stepp'.*did you mean step"),
        ("round=3", "unknown key of bench 'round'.*did you mean rounds"),
        ("rounds=0", "rounds=0: accepted is a whole number from 1 on"),
    ],
)
def test_a_wrong_key_is_a_sentence(argument: str, message: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        main(["bench", *argument.split()])
    assert re.search(message, capsys.readouterr().err)


def test_a_training_that_fails_is_no_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(UserError, match="rlvr train ended with status 1 before its first step"):
        startup_work()["first training step, from the start of the process"]()


def test_trls_micro_batch_divides_the_rollouts():
    job = jobs(None, [], threads=1)[0]

    assert checked_micro_batch(None, job) == job.trl_micro_batch
    assert checked_micro_batch(128, job) == 128
    with pytest.raises(UserError, match=r"trl_micro_batch=7: accepted are divisors of the 512 rollouts"):
        checked_micro_batch(7, job)
