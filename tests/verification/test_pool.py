import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Timer

import pytest

from rlvr.data import Verdict
from rlvr.verification.pool import PROBE, SPARES, VerifierPool

ACT = "pool_judges:act"
CORRECT, WRONG, TIMEOUT, ERROR = Verdict.CORRECT, Verdict.WRONG, Verdict.TIMEOUT, Verdict.ERROR


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(2, deadline_seconds=60, function=ACT) as pool:
        yield pool


def ended(process: int) -> bool:
    """Has a process that is no child of ours ended, within reason?"""
    for _ in range(600):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_verdicts_come_in_order_of_the_pairs(pool: VerifierPool) -> None:
    pairs = [(str(i), str(i if i % 3 else i + 1)) for i in range(43)]
    assert pool.compare(pairs) == [CORRECT if i % 3 else WRONG for i in range(len(pairs))]


def test_nothing_to_judge(pool: VerifierPool) -> None:
    assert pool.verify([]) == []


def test_what_needs_no_parser_never_reaches_a_worker(pool: VerifierPool) -> None:
    before = pool.replaced
    pairs = [("exit", r"\boxed{exit}"), ("exit", "exit"), ("3", r"\boxed{4}")]
    assert pool.verify(pairs) == [CORRECT, Verdict.NO_ANSWER, WRONG]
    assert pool.replaced == before


def test_equal_comparisons_are_made_once(pool: VerifierPool) -> None:
    before = pool.replaced
    assert pool.compare([("x", "exit")] * 20) == [WRONG] * 20
    assert pool.replaced == before + 2  # it is tried again, once


def test_counts_by_kind() -> None:
    with VerifierPool(1, function=ACT) as pool:
        pool.verify([("1", r"\boxed{1}"), ("1", r"\boxed{2}"), ("1", ""), ("x", r"\boxed{exit}")])
        assert pool.counts == {CORRECT: 1, WRONG: 2, Verdict.NO_ANSWER: 1}


@pytest.mark.parametrize(("answer", "replaced"), [("raise", 0), ("interrupt", 0), ("exit", 2)])
def test_an_answer_that_breaks_the_comparison_is_wrong(
    pool: VerifierPool, answer: str, replaced: int
) -> None:
    before = pool.replaced
    pairs = [("a", "a"), ("a", answer), ("b", "b"), ("b", "c")]
    assert pool.compare(pairs) == [CORRECT, WRONG, CORRECT, WRONG]
    assert pool.replaced == before + replaced


@pytest.mark.parametrize("reference", ["raise on", "exit on"])
def test_a_reference_that_breaks_every_comparison_is_an_error(pool: VerifierPool, reference: str) -> None:
    assert pool.compare([(reference, "b"), (reference, PROBE), ("b", "b")]) == [ERROR, ERROR, CORRECT]


def test_a_hanging_answer_is_wrong_and_a_stalled_machine_a_timeout() -> None:
    with VerifierPool(1, deadline_seconds=1, function=ACT) as pool:
        assert pool.compare([("a", "spin")]) == [WRONG]  # it had the CPU
        assert pool.compare([("a", "sleep 999")]) == [TIMEOUT]  # it had none, twice
        assert pool.compare([("spin on", "a")]) == [TIMEOUT]  # so does any answer to this reference


def test_answers_that_hang_do_not_wait_for_each_other() -> None:
    """All eight are at work together, though one worker alone would have taken them one by one."""
    with VerifierPool(1, deadline_seconds=600, function=ACT) as pool:
        stuck = [pool._threads.submit(pool._judge, ("x", f"sleep 999{i}")) for i in range(SPARES)]
        assert pool.compare([("a", "a"), ("b", "c")]) == [CORRECT, WRONG]
        assert not any(one.done() for one in stuck)


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux only")
def test_memory_is_bounded() -> None:
    with VerifierPool(1, memory_bytes=1 << 30, function=ACT) as pool:
        assert pool.compare([("x", "two gibibytes"), ("y", "y")]) == [WRONG, CORRECT]
        assert pool.replaced == 2


def test_an_overrun_costs_one_answer_and_only_its_own_process() -> None:
    with VerifierPool(2, deadline_seconds=1, function=ACT) as pool:
        pool.compare([(str(i), "") for i in range(32)])
        before = [worker.process for worker in pool._workers]
        assert pool.compare([("a", "a"), ("b", "spin"), ("c", "c")]) == [CORRECT, WRONG, CORRECT]
        pairs = zip(before, pool._workers, strict=True)
        changed = [old for old, worker in pairs if old and old != worker.process]
        assert len(changed) == pool.replaced == 1
        assert all(ended(process) for process in changed)


def test_others_go_on_while_one_is_stuck() -> None:
    with VerifierPool(2, deadline_seconds=600, function=ACT) as pool:
        stuck = pool._threads.submit(pool._judge, ("x", "sleep 999"))
        pairs = [(str(i), str(i)) for i in range(50)]
        assert pool.compare(pairs) == [CORRECT] * 50
        assert not stuck.done()


@pytest.mark.slow
def test_the_deadline_counts_from_the_start_of_the_work() -> None:
    with VerifierPool(1, deadline_seconds=2, function=ACT) as pool:
        pairs = [(str(i), f"sleep 0.4{i}") for i in range(6)]  # 2.5 s of work one after the other
        assert pool.compare(pairs) == [WRONG] * 6


PAIRS = [("a", "a"), ("b", "b"), ("c", "d"), ("d", "d")]
VERDICTS = [CORRECT, CORRECT, WRONG, CORRECT]


def test_a_process_that_the_machine_stopped_is_tried_again() -> None:
    """Its late replies, if a new process gives any to the message it never read, are dropped."""
    with VerifierPool(1, deadline_seconds=1, function=ACT) as pool:
        pool.compare([("a", "a")])
        os.kill(pool._workers[0].process, signal.SIGSTOP)  # as if the machine were that busy
        assert pool.compare(PAIRS) == VERDICTS


def test_a_probe_that_the_machine_stopped_says_nothing_of_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probes = iter([(Verdict.TIMEOUT, True), (Verdict.WRONG, False)])

    def judge(worker, pair, slow) -> tuple[Verdict, bool]:
        return next(probes) if pair[1] == PROBE else (Verdict.TIMEOUT, False)

    monkeypatch.setattr("rlvr.verification.pool._Worker.judge", judge)
    with VerifierPool(1) as pool:
        assert pool.compare([("x^2", "a")]) == [Verdict.TIMEOUT]
        assert pool.compare([("x^2", "b")]) == [Verdict.WRONG]


def test_a_process_that_died_idle_costs_no_answer() -> None:
    with VerifierPool(1, deadline_seconds=60, function=ACT) as pool:
        pool.compare([("a", "a")])
        for _ in range(3):
            os.kill(pool._workers[0].process, signal.SIGKILL)
            assert pool.compare(PAIRS) == VERDICTS


def test_a_parent_that_was_killed_is_replaced() -> None:
    with VerifierPool(1, deadline_seconds=1, function=ACT) as pool:
        pool.compare([("a", "a")])
        first = pool._fleet.process.pid
        os.kill(first, signal.SIGKILL)
        # a hang has its process killed, which nobody is there to replace any more
        assert pool.compare([("a", "spin"), *PAIRS]) == [WRONG, *VERDICTS]
        assert pool._fleet.process.pid != first
        assert ended(first)


def test_only_processes_of_the_pool_are_ever_killed() -> None:
    with (
        subprocess.Popen(["sleep", "60"]) as stranger,
        VerifierPool(1, deadline_seconds=1, function=ACT) as pool,
    ):
        pool.compare([("a", "a")])
        pool._fleet.kill(stranger.pid)
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("text", ['"], ["x", "x"', "ready 1", "correct", "1 correct\n2 correct", "\ud800\0é"])
def test_an_answer_is_only_data(pool: VerifierPool, text: str) -> None:
    assert pool.compare([("x", text), (text, text)]) == [WRONG, CORRECT]


def test_workers_do_not_import_torch(pool: VerifierPool) -> None:
    assert pool.compare([("x", "torch")]) == [WRONG]
    with VerifierPool(1, function="rlvr.verification.equivalence:compare") as real:
        assert real.compare([(r"\frac{1}{2}", "0.5")]) == [CORRECT]
        with open(f"/proc/{real._workers[0].process}/maps") as maps:
            assert "libtorch" not in maps.read()


def test_close_ends_everything_at_once() -> None:
    pool = VerifierPool(2, deadline_seconds=600, function=ACT)
    pool.compare([(str(i), "") for i in range(32)])
    processes = [worker.process for worker in pool._workers if worker.process]
    Timer(0.5, pool.close).start()
    with pytest.raises(RuntimeError, match=r"ended|closed"):
        pool.compare([("x", f"sleep 999{i}") for i in range(20)])
    assert all(ended(process) for process in processes)
    pool.close()


def test_processes_that_cannot_start_are_an_error() -> None:
    with (
        VerifierPool(1, function="pool_judges:no_such_function") as pool,
        pytest.raises(RuntimeError, match="ended"),
    ):
        pool.compare([("a", "a")])


PARENT = """
import os, sys
from rlvr.verification.pool import VerifierPool
with VerifierPool(2, deadline_seconds={deadline}, function="pool_judges:act") as pool:
    pool.compare([(str(i), "sleep 0.01") for i in range(64)])
    print(*[worker.process for worker in pool._workers if worker.process], flush=True)
    pool.compare([("x", "sleep 999")])
"""


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="started with interrupts switched off"
)
@pytest.mark.parametrize(
    ("signal_number", "deadline"),
    [(signal.SIGINT, 600), pytest.param(signal.SIGKILL, 0.5, marks=pytest.mark.slow)],
)
def test_nothing_outlives_the_parent(signal_number: int, deadline: float) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(deadline=deadline)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )
    processes = [int(process) for process in parent.stdout.readline().split()]
    os.killpg(parent.pid, signal_number)  # as the terminal does: to the whole group
    try:
        _, errors = parent.communicate(timeout=60)
    finally:
        parent.kill()
    assert processes
    assert parent.returncode != 0
    assert ("KeyboardInterrupt" in errors) == (signal_number == signal.SIGINT)
    assert all(ended(process) for process in processes)
