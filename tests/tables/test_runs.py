import json

import pytest
from table_runs import finished

from rlvr.errors import UserError
from rlvr.tables.collect import counts


def test_reads_what_a_finished_run_says(write_run, tmp_path):
    directory = write_run(tmp_path, "grpo", 3, {"easy": [1, 0]}, dirty=True)
    (run,) = finished([directory])
    assert (run.arm, run.seed, run.scale, run.commit, run.seconds) == (
        "grpo", 3, "laptop", "0123456789ab-dirty", 90
    )  # fmt: skip
    assert counts(run, "easy")["c"].tolist() == [1, 0]
    assert counts(run, "hard") is None


def test_only_finished_runs_count(write_run, tmp_path):
    runs = [
        write_run(tmp_path, "grpo", seed, {}, status=status)
        for seed, status in enumerate(["finished", "trained"])
    ]
    assert [run.seed for run in finished([*runs, tmp_path / "never-started"])] == [0]


def test_a_package_without_a_clone_has_no_commit(write_run, tmp_path):
    directory = write_run(tmp_path, "grpo", 0, {})
    (directory / "provenance.json").write_text(json.dumps({"git": {}}))
    assert finished([directory])[0].commit == "unknown"


def test_refuses_two_runs_of_one_seed_and_mixed_scales(write_run, tmp_path):
    first = write_run(tmp_path / "a", "grpo", 0, {})
    with pytest.raises(UserError, match="arm 'grpo', seed 0 is in both"):
        finished([first, write_run(tmp_path / "b", "grpo", 0, {})])
    with pytest.raises(UserError, match="scales laptop, smoke"):
        finished([first, write_run(tmp_path / "b", "grpo", 1, {}, scale="smoke")])
