"""Rewards and verifiers in files: what they may return, and every way in which they fail."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import tiny
from training_groups import LOST, RIGHT, WRONG, make_groups

from rlvr.algorithms import focal_weight
from rlvr.config import arm_name, config_from_yaml, identity, load_config, to_yaml
from rlvr.data import Verdict
from rlvr.errors import UserError
from rlvr.files.run_directory import RunDirectory
from rlvr.training.batch import batch_metrics, make_batch
from rlvr.verification import verify
from rlvr.verification.grading import grade

REWARDS = """
import numpy, time
ONE = numpy.float32(0.5)

def length(problem, token_ids, verdict, *, scale: float = 1.0, offset=None):
    print("to stderr, and no part of the protocol")
    return (offset or 0) + scale * len(token_ids)

def parts(verdict, token_ids):
    return {"right": verdict == "correct", "tokens": len(token_ids)}

def numpy_number(): return ONE
def parts_for_right(verdict): return {"right": 1.0} if verdict == "correct" else None
def nothing_for_wrong(verdict): return 1 if verdict == "correct" else None
def slow_for_right(verdict):
    while verdict == "correct": pass
    return 0.25
def fails_for_wrong(verdict): return {"correct": 1.0}[verdict]
def dies(): __import__("os")._exit(3)
def huge(): return 10**400
def forks(token_ids):
    __import__("os").fork()
    return len(token_ids)
def scribbles():
    for descriptor in range(3, 300):
        try: __import__("os").write(descriptor, bytes((0, 0, 0, 1, 123)))
        except OSError: pass
def hangs():
    while True: pass
def infinite(): return -float("inf")
def text(text): return "1.0"
def nothing(): return {}
def other_names(verdict): return {str(verdict): 1.0}
class Reward: pass
async def later(): return 1.0
def everything(*all): return 1.0
def of_verl(data_source, solution_str): return 1.0
def judge(problem, text):
    if text == "raise": raise ValueError(text)
    return {"yes": True, "no": False, "none": "no_answer"}[text]
def bad_judge(problem, text): return 0.5
def raises(problem, text): raise ValueError(text)
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(REWARDS)
    return tmp_path / "mine.py"


def graded(reward: str, *overrides: str, verdicts=((RIGHT, WRONG, LOST), (WRONG, WRONG))):
    config = load_config([f"reward=mine.py:{reward}", *overrides])
    groups = make_groups(verdicts)
    grade(groups, config.reward)
    return config, groups


def test_the_reward_is_the_functions_and_the_focal_weight_the_verdicts():
    overrides = ["reward.parameters.scale=-0.5", "advantage_scaling=focal", "advantage_scaling.gamma=1"]
    config, groups = graded("length", *overrides)
    lengths = [len(completion.token_ids) for group in groups for completion in group.completions]
    batch = make_batch(groups, config)
    expected = [-0.5 * length for length in lengths]
    assert batch.reward_R.tolist()[:2] + batch.reward_R.tolist()[3:] == expected[:2] + expected[3:]
    assert math.isnan(batch.reward_R[2])  # what could not be judged has no reward
    assert batch.counted_R.tolist() == [True, True, False, True, True]
    weights = [focal_weight(torch.tensor(rate), 1.0).item() for rate in (0.5, 0.5, 0.5, 0.0, 0.0)]
    assert batch.focal_R.tolist() == weights
    assert batch_metrics(batch)["reward/success_rate"] == 0.25


def test_several_numbers_have_weights_and_are_logged():
    config, groups = graded("parts", "reward.weights.tokens=-0.1")
    lengths = [len(completion.token_ids) for completion in groups[0].completions]
    assert groups[0].rewards[:2] == pytest.approx([1 - 0.1 * lengths[0], -0.1 * lengths[1]])
    metrics = batch_metrics(make_batch(groups, config))
    assert metrics["reward/part/right"] == 0.25
    assert graded("numpy_number")[1][0].rewards[:2] == [0.5, 0.5]


def test_a_step_without_any_reward_is_no_fault_of_its_weights():
    """All completions lost, or none given a reward: not even the names of the parts are known then."""
    for verdicts in ([(LOST, LOST)], [(WRONG, WRONG)]):
        config, groups = graded("parts_for_right", "reward.weights.right=2", verdicts=verdicts)
        assert all(map(math.isnan, groups[0].rewards))
        assert groups[0].reward_parts == {}
    rewarded = graded("parts_for_right", "reward.weights.right=2", verdicts=[(RIGHT, WRONG)])[1]
    for rounds in (groups + rewarded, rewarded + groups):  # of dynamic sampling, each graded by itself
        assert batch_metrics(make_batch(rounds, config))["reward/part/right"] == 1.0


def test_none_and_failures_are_left_out_and_counted(caplog: pytest.LogCaptureFixture):
    for reward, kept in (
        ("nothing_for_wrong", [1.0, math.nan]),
        ("slow_for_right", [math.nan, 0.25]),
        ("fails_for_wrong", [1.0, math.nan]),
    ):
        config, groups = graded(reward, "reward.deadline_seconds=1", verdicts=[(RIGHT, WRONG)])
        torch.testing.assert_close(torch.tensor(groups[0].rewards), torch.tensor(kept), equal_nan=True)
        assert batch_metrics(make_batch(groups, config))["reward/left_out"] == 0.5
    assert "slow_for_right failed on 1 of 2 completions" in caplog.text
    assert "it took longer than its deadline of 1 s" in caplog.text
    assert "it raised KeyError: <Verdict.WRONG: 'wrong'>" in caplog.text


def test_a_function_that_forks_answers_each_call_once():
    groups = graded("forks")[1]
    kept = [(c, r) for group in groups for c, r in zip(group.completions, group.rewards, strict=True)]
    assert [reward for _, reward in kept if not math.isnan(reward)] == [
        len(completion.token_ids) for completion, reward in kept if not math.isnan(reward)
    ]


def test_a_function_that_never_ends_is_not_waited_for_at_every_completion():
    with pytest.raises(
        UserError, match=r"hangs failed on all calls so far: it took longer than its deadline"
    ):
        settings = ["reward.deadline_seconds=0.01", "reward.workers=1"]
        graded("hangs", *settings, verdicts=[(WRONG,) * 9])


@pytest.mark.parametrize(
    ("reward", "sentence"),
    [
        ("huge", r"mine.py:huge returned 1000.* for problem p0: accepted is a finite number"),
        ("scribbles", r"mine.py:scribbles failed on all of 4 calls: its process died"),
        ("infinite", r"mine.py:infinite returned -inf for problem p0: accepted is a finite number, a dict"),
        ("text", r"mine.py:text returned '1.0' for problem p0"),
        ("nothing", r"mine.py:nothing returned \{\} for problem p0"),
        ("other_names", r"returned \{'wrong': 1.0\}, and a dict of correct elsewhere: accepted are the same"),
        ("dies", r"mine.py:dies failed on all of 4 calls: its process died"),
        ("lenght", r"unknown function of mine.py 'lenght': .*did you mean length\?"),
        ("Reward", r"mine.py:Reward is a class: accepted is a plain function of problem, text, token_ids"),
        ("later", r"mine.py:later is async: accepted is"),
        (
            "everything",
            r"mine.py:everything takes \*all: accepted are problem, text, token_ids, verdict, by name",
        ),
        (
            "of_verl",
            r"takes 'data_source': accepted are problem, .*; how verl's is given is in docs",
        ),
        ("length reward.parameters.scael=1", r"unknown parameter of .* 'scael': .*did you mean scale\?"),
        ("length reward.weights.length=1", r"reward.weights is given, and mine.py:length returns no dict"),
        ("parts reward.weights.rihgt=1", r"unknown name in reward.weights 'rihgt': .*did you mean right\?"),
    ],
)
def test_what_is_wrong_is_one_sentence(reward: str, sentence: str):
    with pytest.raises(UserError, match=sentence) as error:
        graded(*reward.split())
    assert "\n" not in str(error.value)


def test_files_that_are_none(file: Path):
    for content, sentence in (
        ("def f(verdict) 1", r"mine.py is no Python, line 1: expected ':'"),
        (
            "import no_such_module\ndef f(verdict): return 1",
            "can't be loaded: ModuleNotFoundError: No module",
        ),
        ("x = 1", "mine.py defines no function"),
        ("def f(reward): pass", "mine.py:f takes 'reward': accepted are problem, text, token_ids, verdict"),
        ("def f(*, k): pass", r"mine.py:f needs a value for 'k': reward.parameters.k=..."),
    ):
        file.write_text(content)
        with pytest.raises(UserError, match=sentence):
            graded("f")
    file.write_text("try:\n import absent\nexcept ImportError:\n def f(verdict): return 1.0\n")
    assert graded("f")[1][0].rewards[0] == 1.0
    with pytest.raises(UserError, match=r"there is no file nope.py in .*, where it was looked for"):
        load_config(["reward=nope.py:f"])
    with pytest.raises(UserError, match=r"mine.py is a file: name a function of it, as mine.py:f"):
        load_config(["reward=mine.py"])


def test_a_judge_has_no_keys(file: Path):
    """Its sentence named verifier.parameters, which there is not."""
    for content, sentence in (
        ("def f(*, k): pass", "mine.py:f needs a value for 'k': give it a default, a verifier has no keys$"),
        ("def f(k): pass", "mine.py:f takes 'k': accepted are problem, text$"),
    ):
        file.write_text(content)
        with pytest.raises(UserError, match=sentence):
            load_config(["verifier=mine.py:f"])


def test_the_files_digest_is_part_of_what_the_run_is(file: Path, tmp_path: Path):
    """A stored config is read without the file; a changed file is another run, refused by name."""
    config = tiny(tmp_path, "reward=mine.py:parts")
    (tmp_path / "stored.yaml").write_text(to_yaml(config))
    RunDirectory(config).close()
    file.write_text(REWARDS + "# another\n")
    with pytest.raises(UserError, match=r"mine.py has changed: its digest is"):
        grade(make_groups([[RIGHT]]), config.reward)
    changed = tiny(tmp_path, "reward=mine.py:parts")
    with pytest.raises(
        UserError, match=r"holds a run with reward.function=mine.py:parts@\w+, not mine.py:part"
    ):
        RunDirectory(changed)
    file.unlink()
    assert config_from_yaml(tmp_path / "stored.yaml").reward.function == config.reward.function
    assert "reward" not in identity(load_config())  # runs without one keep their names
    assert arm_name(load_config()).startswith("grpo-")


def test_one_reward_or_several_of_a_sweep_or_of_yaml_are_the_same_keys(tmp_path: Path):
    from rlvr.runs.sweep import expand

    jobs = expand(["reward=mine.py:parts,mine.py:length", "seed=1"])
    assert [load_config(job).reward.function.split("@")[0] for job in jobs] == [
        "mine.py:parts",
        "mine.py:length",
    ]
    stored = tmp_path / "config.yaml"
    text = to_yaml(load_config())
    assert "reward:\n  name: correctness\n" in text
    stored.write_text(text.replace("reward:\n  name: correctness\n", ""))
    assert config_from_yaml(stored).reward.name == "correctness"  # of an older version
    stored.write_text(text.replace("reward:\n  name: correctness\n", "reward: mine.py:parts\n"))
    assert config_from_yaml(stored).reward.function.startswith("mine.py:parts@")


def test_a_verifier_in_a_file_judges():
    groups = make_groups([[RIGHT] * 5])
    texts = ["yes", "no", "none", "raise", "yes"]
    config = load_config(["verifier=mine.py:judge", "benchmark=jsonl", "benchmark.tasks.jsonl.path=x.jsonl"])
    assert config.data.verifier == config.benchmark.tasks["jsonl"].verifier
    groups[0].problem = replace(groups[0].problem, verifier=config.data.verifier)
    for completion, text in zip(groups[0].completions, texts, strict=True):
        completion.text = text
    groups[0].completions[4].finish_reason = "length"
    groups[0].verdicts = []
    verify(groups)
    assert groups[0].verdicts == ["correct", "wrong", "no_answer", "error", Verdict.TRUNCATED]
    groups[0].problem, groups[0].verdicts = replace(groups[0].problem, verifier="mine.py:bad_judge"), []
    with pytest.raises(
        UserError, match=r"mine.py:bad_judge returned 0.5 for problem p0: accepted is True, Fal"
    ):
        verify(groups)


def test_a_verifier_that_fails_on_one_problem_alone_does_not_end_the_run():
    """The last shard of an evaluation may hold no other; before, the same command died there again."""
    groups = make_groups([[RIGHT] * 2])
    groups[0].problem = replace(groups[0].problem, verifier="mine.py:raises")
    groups[0].verdicts = []
    verify(groups)
    assert groups[0].verdicts == [Verdict.ERROR] * 2
    groups[0].problem, groups[0].verdicts = replace(groups[0].problem, id="another"), []
    with pytest.raises(UserError, match=r"mine.py:raises failed on all of \d calls: it raised ValueError"):
        verify(groups)


@pytest.mark.parametrize("key", ["verifier", "data.verifier", "data.parameters.verifier"])
def test_an_edited_judge_is_another_wherever_it_is_named(key: str, file: Path):
    """Before, one in data.parameters had no digest: what the old one had judged was taken up."""
    words = ["data=jsonl", "data.path=x.jsonl", "benchmark=jsonl", "benchmark.tasks.jsonl.path=x.jsonl"]
    words.append(f"{key}=mine.py:judge")
    before = load_config(words)
    file.write_text(REWARDS + "# edited\n")
    after = load_config(words)
    assert arm_name(before) != arm_name(after)
    for config in (before, after):
        of_data, of_benchmark = config.data, config.benchmark.tasks["jsonl"]
        judges = [one.verifier or one.parameters["verifier"] for one in (of_data, of_benchmark)]
        assert judges[0].startswith("mine.py:judge@") and judges[1] == judges[0]
