"""A side as a process: what it answers, and what is said when it ends."""

import os
import signal
from pathlib import Path

import pytest

from rlvr.bench.job import Job
from rlvr.bench.rlvr_side import RlvrSide, described, groups_from
from rlvr.bench.side import Side
from rlvr.errors import UserError

JOB = Job("embedded", "embedded", prompts=2, group_size=4, max_tokens=8, threads=1)

ECHO = """
import sys
sys.path.insert(0, {root!r})
from rlvr.bench.side import peak_bytes, requests
for request, answer in requests():
    print("noise that is no answer")
    if request["do"] == "end":
        sys.exit("enough of this")
    answer({{"seen": request, "memory": peak_bytes() > 0}})
"""


@pytest.fixture
def echo(tmp_path: Path):
    file = tmp_path / "echo_side.py"
    file.write_text(ECHO.format(root=str(Path(__file__).parents[2])))
    side = Side("echo", str(file), JOB.as_dict())
    yield side
    side.close()


def test_a_side_answers_request_by_request(echo: Side):
    assert echo.ask("step") == {"seen": {"do": "step"}, "memory": True}
    assert echo.ask("update", rollouts=[1])["seen"] == {"do": "update", "rollouts": [1]}


def test_a_side_that_waits_is_stopped(echo: Side):
    for _ in range(2):
        echo.ask("step")
        state = os.waitid(os.P_PID, echo._process.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG)
        assert state is not None and state.si_status == signal.SIGSTOP
    echo.close()
    assert echo._process.returncode == 0


def test_a_side_that_ends_is_a_sentence_with_its_last_words(echo: Side):
    with pytest.raises(UserError, match="echo ended during end: enough of this"):
        echo.ask("end")


def test_rollouts_survive_the_way_between_sides_and_an_update_changes_nearly_nothing():
    side = RlvrSide(JOB)
    before = side.policy.head.weight.detach().clone()
    sampled = side.sample()
    message = described(sampled)
    groups = groups_from(side.problems, message["rollouts"])
    side.update(groups)
    side.logprobs(groups)

    assert [[c.token_ids for c in group.completions] for group in groups] == message["rollouts"][
        "completions"
    ]
    assert message["tokens"] == sum(len(c.token_ids) for group in sampled for c in group.completions)
    assert side.learner.updates == 1
    assert 0 < (side.policy.head.weight - before).abs().max() < 1e-6
