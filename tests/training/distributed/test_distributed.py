"""Several processes give what one does. Real processes, started by torchrun, that talk through gloo."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rank_load
import rank_main
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from rlvr.config import load_config, run_directory
from rlvr.data import Completion, Group, Verdict
from rlvr.policy.blocks import BlockAttention
from rlvr.policy.packing import cut, spread
from rlvr.policy.policy import EMBEDDED, Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.problems import load_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.runs.run import run
from rlvr.training.checkpoint import checkpoint_path, checkpoints
from rlvr.training.distributed import data_parallel, watchdog
from rlvr.training.distributed.data_parallel import DataParallelEngine, join
from rlvr.training.distributed.ranks import gather, rank, world_size
from rlvr.training.recompute import recompute_activations
from rlvr.verification import verify

HERE = Path(__file__).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
PLAIN = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}


def torchrun(processes: int, *arguments: str, seconds: float = 590.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TORCHRUN, f"--nproc-per-node={processes}", *arguments],
        env={**PLAIN, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def test_one_process_is_alone_and_starts_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "4")  # schedulers set it too; torchrun gives a rank with it
    monkeypatch.delenv("RANK", raising=False)
    assert (world_size(), rank(), gather("x")) == (1, 0, ["x"])
    assert not torch.distributed.is_initialized()


def test_rollouts_are_cut_into_neighbours_of_equal_cost():
    assert cut([4, 1, 1, 1, 1], 2) == [range(0, 1), range(1, 5)]
    assert cut([1, 1, 1, 1, 1, 3], 2) == [range(0, 4), range(4, 6)]
    assert cut([5], 3) == [range(0, 0), range(0, 1), range(1, 1)]
    assert cut([], 2) == [range(0, 0), range(0, 0)]


def test_groups_are_dealt_by_their_size():
    assert spread([8, 8, 8, 8], 2) == [[0, 2], [1, 3]]
    assert spread([1, 1, 6, 2, 2], 2) == [[2], [0, 1, 3, 4]]
    assert spread([3], 2) == [[0], []]


@settings(derandomize=True, deadline=None)
@given(costs=st.lists(st.integers(1, 50), max_size=40), parts=st.integers(1, 9))
def test_every_rollout_has_one_rank_and_no_rank_has_much_more_than_its_share(costs: list[int], parts: int):
    runs, dealt = cut(costs, parts), spread(costs, parts)
    assert [i for run_ in runs for i in run_] == list(range(len(costs)))
    assert sorted(i for positions in dealt for i in positions) == list(range(len(costs)))
    bound = sum(costs) / parts + max(costs, default=0)
    for share in (*runs, *dealt):
        assert sum(costs[i] for i in share) <= bound


def test_a_request_is_dealt_in_parts_and_comes_back_whole(
    frozen_policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    requests = list(zip(load_problems(load_config().data, held_out=False), (4, 7, 1), strict=False))
    engine = TransformersEngine(frozen_policy)
    alone = engine.generate(requests, Sampling(max_tokens=12), seed=7)
    asked = []
    generate = engine.generate

    def noted(*arguments, only: list, **named):
        asked.extend(only)
        return generate(*arguments, only=only, **named)

    monkeypatch.setattr(engine, "generate", noted)
    monkeypatch.setattr(data_parallel, "PART", 3)
    together = DataParallelEngine(engine, 1).generate(requests, Sampling(max_tokens=12), seed=7)
    assert asked == [
        (0, range(3)), (0, range(3, 4)), (1, range(3)), (1, range(3, 6)), (1, range(6, 7)), (2, range(1)),
    ]  # fmt: skip
    verify(alone)
    for one, other in zip(together, alone, strict=True):
        assert [c.token_ids for c in one.completions] == [c.token_ids for c in other.completions]
        assert (one.problem, one.verdicts) == (other.problem, other.verdicts)


def test_a_group_of_which_a_part_has_no_reference_to_go_by_is_judged_as_a_whole():
    problem = load_problems(load_config().data, held_out=False)[0]

    def part(verdict: Verdict) -> Group:
        completions = [Completion([1], [-0.5], text, "stop", 0) for text in "ab"]
        return Group(problem, [3], completions, [verdict, verdict])

    whole = join(part(Verdict.WRONG), part(Verdict.CORRECT))
    assert whole.verdicts == [Verdict.WRONG] * 2 + [Verdict.CORRECT] * 2 and len(whole.completions) == 4
    unjudged = join(part(Verdict.REFERENCE_UNPARSABLE), part(Verdict.CORRECT))
    assert unjudged.verdicts == [] and len(unjudged.completions) == 4
    again = join(unjudged, part(Verdict.REFERENCE_UNPARSABLE))
    assert len(again.verdicts) != len(again.completions) == 6  # so `verify` judges it


def test_the_slowest_rank_is_named():
    engine = DataParallelEngine.__new__(DataParallelEngine)
    engine.seconds = []  # a run that goes on at its last step, sampled ahead, samples nothing
    assert engine.timing() == {}
    engine.seconds = [1.0, 1.0, 3.0, 1.2]
    assert engine.timing() == {"ranks/slowest": 2.0, "ranks/slowest_over_median": pytest.approx(3 / 1.1)}


def test_recomputed_activations_give_the_same_gradients():
    plain, recomputed = (
        rank_main.update([f"training.activation_checkpointing={switch}"]) for switch in ("false", "true")
    )
    assert recomputed["metrics"] == plain["metrics"]
    for one, other in zip(recomputed["gradients"][0], plain["gradients"][0], strict=True):
        assert torch.equal(one, other)


def test_with_recomputation_a_layer_runs_twice_for_its_gradient(policy: Policy):
    recompute_activations(policy.model)
    calls = []
    policy.model.model.layers[1].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    layout = BlockAttention(PrefixTree.build([[5, 6, 7]], [[[8]]]))
    policy.model(torch.tensor([[5, 6, 7]]), layout=layout).logits.sum().backward()
    assert len(calls) == 2


@pytest.fixture(scope="module")
def alone() -> dict:
    return rank_main.everything()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_any_number_of_processes_gives_the_same_loss_gradients_and_rollouts(
    alone: dict, tmp_path: Path, processes: int
):
    done = torchrun(processes, str(HERE / "rank_main.py"), str(tmp_path))
    assert done.returncode == 0, done.stderr[-4000:]
    together = torch.load(tmp_path / "results.pt", weights_only=True)

    assert together["world_size"] == processes
    for name in rank_main.CASES:
        assert together[name]["version"] == alone[name]["version"] > 0
        ours, theirs = (dict(results[name]["metrics"]) for results in (together, alone))
        # what is computed once for several rollouts depends on which of them a rank has
        ours["tokens/distinct"] = theirs["tokens/distinct"] = 0
        # the mean of what nearly cancels, from log-probabilities whose last digit is 1e-6
        means = [metrics.pop("update/log_ratio_mean") for metrics in (ours, theirs)]
        assert means[0] == pytest.approx(means[1], abs=5e-6)
        # likewise the largest of them, one token's, after a step that divides rounding by itself
        largest = [metrics.pop("update/log_ratio_max") for metrics in (ours, theirs)]
        assert largest[0] == pytest.approx(largest[1], abs=1e-5, rel=1e-5)
        assert ours == pytest.approx(theirs, abs=2e-6, rel=1e-5)
        assert len(together[name]["gradients"]) == len(alone[name]["gradients"])
        for step, plain in zip(together[name]["gradients"], alone[name]["gradients"], strict=True):
            for one, other in zip(step, plain, strict=True):
                assert (one is None) == (other is None)
                if one is not None:
                    torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    for ours, theirs in zip(
        together["bfloat16"]["gradients"][0], alone["bfloat16"]["gradients"][0], strict=True
    ):
        # sharded weights are gathered in bfloat16, so the residual stream is in it too
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 0.1 * theirs.norm()
    for (id_, tokens, logprobs), (id_alone, tokens_alone, logprobs_alone) in zip(
        together["sample"], alone["sample"], strict=True
    ):
        assert (id_, tokens) == (id_alone, tokens_alone)
        for one, other in zip(logprobs, logprobs_alone, strict=True):
            assert one == pytest.approx(other, abs=1e-5)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A model of 200 MB in float32, half of that on disk: random weights for rank 0, NaN for rank 1."""
    config = AutoConfig.from_pretrained(EMBEDDED)
    config.intermediate_size = 2**15
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    for number in range(2):
        folder = tmp_path / f"rank-{number}" / "model"
        shutil.copytree(EMBEDDED, folder)
        model.save_pretrained(folder)
        for weight in model.parameters():
            weight.data.fill_(torch.nan)
    return tmp_path


@pytest.mark.slow
def test_rank_zero_alone_reads_the_weights(large: Path):
    done = torchrun(2, str(HERE / "rank_load.py"), str(large))
    assert done.returncode == 0, done.stderr[-4000:]
    zero, one = torch.load(large / "results.pt", weights_only=True)
    model = load_policy(large / "rank-0" / "model").model
    assert zero["weights"] == one["weights"] == [rank_load.digest(model.named_parameters())] * 4
    assert zero["buffers"] == one["buffers"] == [rank_load.digest(model.named_buffers())] * 4
    assert zero["tied"] == one["tied"] == [True] * 4
    assert zero["end_ids"] == one["end_ids"]
    # both hold their shards and a whole engine; rank 0 has had the whole policy besides
    assert zero["peak"] - one["peak"] > 0.25 * sum(weight.nbytes for weight in model.parameters())


RUN = [
    "scale=smoke",
    "tracking=local",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=4",
    "training.steps=4",
    "training.checkpoint_every=2",
    "training.prompts_per_step=6",
    "training.mini_batch_prompts=3",
    "evaluation.samples=4",
    "evaluation.k=[1,2,4]",
    "arm=tiny",
]


def train(folder: Path, processes: int, *more: str) -> Path:
    """A run of `rlvr train`; goes on where a run in `folder` stopped."""
    overrides = [*RUN, *more, f"runs={folder}"]
    if processes == 1:
        return run(load_config(overrides))
    done = torchrun(processes, "-m", "rlvr", "train", *overrides)
    assert done.returncode == 0, done.stderr[-4000:]
    return run_directory(load_config(overrides))


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def assert_same_run(path: Path, other: Path) -> None:
    """All metrics of all steps, up to rounding, which four steps let grow."""
    for name in ("metrics.jsonl", "validation.jsonl"):
        for one, two in zip(lines(path / name), lines(other / name), strict=True):
            skipped = dict.fromkeys(["tokens/distinct", "mismatch/log_ratio_max"], 0)
            assert {**one, **skipped} == pytest.approx({**two, **skipped}, rel=1e-3, abs=1e-4)
    assert lines(path / "accuracy.jsonl") == lines(other / "accuracy.jsonl")
    ours, theirs = (json.loads((p / "summary.json").read_text()) for p in (path, other))
    assert ours["evaluation"] == theirs["evaluation"]


def back_to_step_two(path: Path, folder: Path) -> None:
    """A copy of a run as it would be if it had been killed after its checkpoint of step 2."""
    copy = folder / path.relative_to(path.parents[2])
    shutil.copytree(path, copy)
    shutil.rmtree(checkpoint_path(copy, 4))
    for file in (copy / "summary.json", *(copy / "evaluation").glob("*.parquet")):
        file.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "adamw_host"])
def test_a_run_is_the_same_on_two_processes_and_goes_on_with_another_number(tmp_path: Path, optimizer: str):
    given = f"training.optimizer={optimizer}"
    one, two = train(tmp_path / "one", 1, given), train(tmp_path / "two", 2, given)
    assert (checkpoint_path(two, 4) / "optimizer" / ".metadata").exists()
    assert len(list((checkpoint_path(two, 4) / "optimizer").glob("*.distcp"))) == 2
    assert_same_run(two, one)

    for path, processes, folder in ((two, 1, "two-one"), (one, 2, "one-two"), (two, 4, "two-four")):
        back_to_step_two(path, tmp_path / folder)
        assert_same_run(train(tmp_path / folder, processes, given), one)


@pytest.mark.slow
def test_two_nodes_with_a_folder_in_common_give_the_same_run(tmp_path: Path):
    """Two agents of torchrun, each as it would be started on a node of its own, that meet at an address; one
    step off-policy, so that a checkpoint has rollouts too."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    overrides = [*RUN, "training.off_policy_steps=1", f"runs={tmp_path / 'nodes'}"]
    agents = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"),
                *("--rdzv-backend=c10d", f"--rdzv-endpoint={address}", "--rdzv-id=nodes"),
                *("-m", "rlvr", "train", *overrides),
            ],
            env={**PLAIN, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        said = [agent.communicate(timeout=300)[1] for agent in agents]
    finally:
        for agent in agents:
            agent.kill()
    assert [agent.returncode for agent in agents] == [0, 0], "\n".join(said)[-4000:]
    path = run_directory(load_config(overrides))
    assert len(list((checkpoint_path(path, 4) / "optimizer").glob("*.distcp"))) == 2
    assert_same_run(path, train(tmp_path / "one", 1, "training.off_policy_steps=1"))
    assert min(line["mismatch/log_ratio_max"] for line in lines(path / "metrics.jsonl")[1:]) > 1e-4


def test_a_rank_is_missed_within_a_minute():
    assert watchdog.SILENCE_SECONDS + watchdog.FAILURE_SILENCE_SECONDS + 2 * watchdog.HEARTBEAT_SECONDS < 60


def test_a_process_that_two_threads_end_has_said_why():
    """The thread that watches and the main one, whose collective failed, both find rank 1 gone."""
    assert end_by_watchdog("two threads").count("rlvr: rank 1 is gone") == 1


def test_a_process_that_has_lost_the_store_ends_and_says_so():
    assert end_by_watchdog("lost store").count("rlvr: rank 0 has lost the rendezvous store: Broken pipe") == 1


def end_by_watchdog(case: str) -> str:
    """What a process says whose watchdog ends it, see `watchdog_ends.py`."""
    ended = subprocess.run(
        [sys.executable, str(HERE / "watchdog_ends.py"), case],
        capture_output=True,
        text=True,
        env=PLAIN,
        timeout=300,
    )
    assert ended.returncode == 1
    return ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "rank 1 is gone, it was at 'taking part'"),
        (signal.SIGSTOP, "rank 1 is gone, it was at 'taking part'"),
        (0, "rank 1 failed at 'taking part' (no more of this)"),
    ],
)
def test_a_rank_that_goes_ends_the_job_and_is_named(number: int, said: str):
    job = subprocess.Popen(
        [*TORCHRUN, "--nproc-per-node=2", str(HERE / "rank_gone.py"), str(int(number))],
        env={**PLAIN, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    heard = ""
    for line in job.stderr:
        heard += line
        if said in line:
            break
    assert said in heard
    if number == signal.SIGSTOP:  # torchrun waits half a minute more for a process that can't end
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
    _, rest = job.communicate(timeout=60)
    assert job.returncode != 0
    assert said not in rest  # it is said once


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.parametrize("tensor_parallel_size", [1, 2])
def test_vllm_samples_on_the_ranks_of_the_trainer(tmp_path: Path, tensor_parallel_size: int):
    overrides = [
        *[override for override in RUN if override != "scale=smoke" and "training.steps" not in override],
        "scale=gpu",
        "model=embedded",
        "data=countdown",
        "training.precision=float32",
        "training.sampling.max_tokens=16",
        "evaluation.sampling.max_tokens=16",
        f"runs={tmp_path}",
        "training.steps=2",
        "training.learning_rate=1e-3",
        "evaluation.after_training=false",
        "rollout=vllm",
        "rollout.enforce_eager=true",
        f"rollout.tensor_parallel_size={tensor_parallel_size}",
    ]
    done = torchrun(2, "-m", "rlvr", "train", *overrides, seconds=580)
    assert done.returncode == 0, done.stderr[-4000:]
    path = run_directory(load_config(overrides))
    for line in lines(path / "metrics.jsonl"):  # the second step samples with weights that were handed over
        assert line["mismatch/log_ratio_max"] < 1e-3
        assert line["tokens/sampled"] > 6 * 8


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_all_ranks_stop_together_when_one_is_asked_to(tmp_path: Path, number: signal.Signals):
    """USR1 to rank 1 alone; TERM to all, as a scheduler does."""
    overrides = [*(text for text in RUN if "steps" not in text), f"runs={tmp_path}", "training.steps=400"]
    path = run_directory(load_config(overrides))
    job = subprocess.Popen(
        [*TORCHRUN, "--nproc-per-node=2", "-m", "rlvr", "train", *overrides, "checkpoint.keep=1"],
        env={**PLAIN, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (path / "metrics.jsonl").exists():
        assert job.poll() is None
        time.sleep(0.05)
    ranks = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    asked = [rank for rank in map(int, ranks) if environment_of(rank).get("RANK") in ("0", "1")]
    first = int((path / "lock").read_text().split()[0])
    for process in asked:
        if number == signal.SIGTERM or process != first:
            os.kill(process, number)
    assert f"stopped by {number.name}" in job.communicate(timeout=200)[1]
    assert job.returncode == 0
    done = len((path / "metrics.jsonl").read_text().splitlines())
    assert checkpoints(path)[-1][0] == done < 400


def environment_of(process: int) -> dict[str, str]:
    entries = Path(f"/proc/{process}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
