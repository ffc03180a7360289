import json

import pytest
from table_runs import finished

from rlvr.errors import UserError
from rlvr.evaluation import counts
from rlvr.files.run_directory import describe
from rlvr.files.run_files import RunFiles
from rlvr.tables.page import assemble
from rlvr.tables.write import write_table


def test_reads_what_a_finished_run_says(write_run, tmp_path):
    directory = write_run(tmp_path, "grpo", 3, {"easy": [1, 0]}, dirty=True)
    (run,) = finished([directory])
    assert (run.arm, run.seed, run.scale, run.commit, run.seconds) == (
        "grpo", 3, "laptop", "0123456789ab-dirty", 90
    )  # fmt: skip
    assert counts(run.samples("easy"))["c"].tolist() == [1, 0]
    assert run.samples("hard") is None


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


def test_a_table_marks_a_run_whose_better_checkpoint_is_damaged(tmp_path, spec, run_dirs):
    summary = json.loads((run_dirs[1] / "summary.json").read_text())
    summary |= {"evaluated": {"damaged": {"300": "weights are missing"}}, "checkpoint_step": 200}
    (run_dirs[1] / "summary.json").write_text(json.dumps(summary))
    page = write_table(assemble(spec, map(RunFiles, run_dirs)), tmp_path)[0].read_text()
    assert "checkpoint 300 was the better one by validation, but is damaged; step 200 was evaluated" in page


@pytest.mark.parametrize("harm", ["a bit", "lost"])
def test_a_file_that_is_not_as_the_summary_says_makes_no_table(run_dirs, harm):
    samples = run_dirs[0] / "evaluation" / "easy.parquet"
    summary = json.loads((run_dirs[0] / "summary.json").read_text())
    files = {"evaluation/easy.parquet": describe(samples)}
    (run_dirs[0] / "summary.json").write_text(json.dumps(summary | {"files": files}))
    finished(run_dirs)
    if harm == "lost":
        samples.unlink()
    else:
        content = bytearray(samples.read_bytes())
        content[10] ^= 1
        samples.write_bytes(content)
    with pytest.raises(UserError, match=r"easy.parquet (is missing|does not have the digest).*rlvr evaluate"):
        finished(run_dirs)
