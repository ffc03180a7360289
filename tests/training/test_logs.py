"""The JSON-lines files of a run, taken back together."""

import json
from pathlib import Path

from training_groups import RIGHT, make_groups

from rlvr.config import load_config
from rlvr.files import step_lines
from rlvr.policy.policy import Policy
from rlvr.training.batch import make_batch
from rlvr.training.logs import RunLogs


def test_a_rewind_takes_every_file_back_to_the_same_step(tmp_path: Path, frozen_policy: Policy):
    """Half a line, of a run that was killed, goes too."""
    config = load_config(["tracking=local"])
    logs = RunLogs(config, tmp_path, frozen_policy.tokenizer)
    logs.rewind(0)  # with no file there
    groups = make_groups([[RIGHT]])
    kept = {}
    for step in (1, 2, 3):
        logs.log(
            step, metrics={"reward/mean": 1.0}, timing={"seconds/step": 2.0}, epoch=step / 2, sampled=groups
        )
        logs.log_rollouts(step, make_batch(groups, config))
        logs.log_validation(step, {"in_domain/pass@1": 0.5})
        if step == 2:
            kept = {name: logs.file(name).read_text() for name in RunLogs.FILES}
    for name in RunLogs.FILES:
        with logs.file(name).open("a") as lines:
            lines.write('{"step": 2, "epo')
    logs.rewind(2)

    assert {name: logs.file(name).read_text() for name in RunLogs.FILES} == kept
    assert [json.loads(line)["step"] for line in kept["validation"].splitlines()] == [1, 2]
    logs.rewind(2, {name: 1 for name in RunLogs.FILES[1:]})  # as a checkpoint says; of metrics it has none
    assert [len(step_lines.read(logs.file(name))) for name in RunLogs.FILES] == [0, 1, 1, 1, 1]
    logs.close()
