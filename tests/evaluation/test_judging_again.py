"""Samples whose texts are those that are asked for, and whose judge is another: judged again, not sampled."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rlvr.config import load_config
from rlvr.data import Problem
from rlvr.evaluation import samples_key, sampling
from rlvr.functions.source import digest_of
from rlvr.policy.policy import Policy
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine

Settings = dict[str, Any]

PROBLEMS = countdown_problems(size=3, count=[3, 4, 5], held_out=True, seed=3)
MINE = """
def judge(problem, text): return len(text) {relation} 20
def by_text(text, verdict): return len(text) + (verdict == "correct")
def by_tokens(token_ids): return len(token_ids)
"""


class Counted:
    """An engine that counts the shards it samples."""

    def __init__(self, policy: Policy):
        self.engine, self.shards = TransformersEngine(policy), 0

    def generate(self, *arguments: Any, **named: Any):
        self.shards += 1
        return self.engine.generate(*arguments, **named)


@pytest.fixture
def engine(frozen_policy: Policy) -> Counted:
    return Counted(frozen_policy)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With mine.py, and where it is found."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE.format(relation="<"))
    return tmp_path


def sample(
    engine: Any, folder: Path, problems: Sequence[Problem] = PROBLEMS, seed: int = 1, reward: Any = None
) -> Path:
    """The file of three problems' samples, a shard each; without an engine nothing can be sampled."""
    return sampling.sample_benchmarks(
        engine,
        {"own": problems},
        samples=4,
        sampling=Sampling(max_tokens=16),
        seed=seed,
        folder=folder,
        samples_per_shard=4,
        made_with={"reward": asdict(reward)} if reward else {},
        reward=reward,
    )["own"]


def said(capsys: pytest.CaptureFixture) -> str:
    return " ".join(capsys.readouterr().err.split())


def judged_by(verifier: str) -> Settings:
    return {"problems": [replace(problem, verifier=verifier) for problem in PROBLEMS]}


def judged_by_file(relation: str) -> Settings:
    content = MINE.format(relation=relation)
    Path("mine.py").write_text(content)
    return judged_by(f"mine.py:judge@{digest_of(content.encode())}")


def graded_by(function: str) -> Settings:
    return {"reward": load_config([f"reward=mine.py:{function}"]).reward}


def other_sources(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of the verifier, which then finds something else."""
    verify = sampling.verify

    def otherwise(groups):
        verify(groups)
        for group in groups:
            group.verdicts = [f"not {verdict}" for verdict in group.verdicts]

    monkeypatch.setattr(sampling, "verify", otherwise)
    monkeypatch.setattr(samples_key, "verifier_version", lambda name: "another")
    return {}


def other_references(_: pytest.MonkeyPatch) -> Settings:
    """Of which the ids of a data set's problems are made too."""
    known = {"numbers": [1, 1, 1], "target": 3}
    return {"problems": [replace(p, id=f"{p.id}, corrected", metadata=p.metadata | known) for p in PROBLEMS]}


JUDGES: dict[str, tuple[Callable[[], Settings], Callable[[pytest.MonkeyPatch], Settings]]] = {
    "verifiers.expression=": (dict, other_sources),
    "verifiers.mine.py:judge@": (lambda: judged_by_file("<"), lambda _: judged_by_file(">")),
    "problems=": (dict, other_references),
    "reward.name=None, not python": (dict, lambda _: graded_by("by_text")),
}


@pytest.mark.parametrize("difference", JUDGES)
def test_what_another_judge_judged_is_judged_again(
    engine: Counted,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    difference: str,
):
    before, now = JUDGES[difference]
    asked_before = before()
    old = sample(engine, folder / "runs", **asked_before).read_bytes()
    assert said(capsys) == ""

    with monkeypatch.context() as patch:
        asked_now = now(patch)
        file = sample(None, folder / "runs", **asked_now)
        words = said(capsys)
        assert "/runs: what is there was made with " in words and difference in words
        assert words.endswith(": judging again own; the old samples go to folders of their own there")
        assert file.read_bytes() == sample(engine, folder / "fresh", **asked_now).read_bytes() != old
        assert [aside.read_bytes() for aside in (folder / "runs").glob("*/own.parquet")] == [old]

    assert sample(None, folder / "runs", **asked_before).read_bytes() == old  # the old judge finds them


def another_question() -> Settings:
    return {"problems": [replace(PROBLEMS[0], prompt=PROBLEMS[1].prompt), *PROBLEMS[1:]]}


OTHERS: dict[str, Callable[[], Settings]] = {
    "a verifier of another name, by which prompts are chosen": lambda: judged_by("integer"),
    "another question": another_question,
    "another seed": lambda: {"seed": 2},
    "a reward that asks for tokens, which are in no file": lambda: graded_by("by_tokens"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_differs_in_more_than_the_judge_is_sampled_anew(
    engine: Counted, folder: Path, capsys: pytest.CaptureFixture, what: str
):
    sample(engine, folder / "runs")
    file = sample(engine, folder / "runs", **OTHERS[what]())
    assert engine.shards == 6
    assert "measuring anew own" in said(capsys)
    assert file.read_bytes() == sample(engine, folder / "fresh", **OTHERS[what]()).read_bytes()


def test_damaged_samples_are_not_judged_again(
    engine: Counted, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    file = sample(engine, folder / "runs")
    table = pq.read_table(file)
    pq.write_table(table.slice(0, 8), file)
    other_sources(monkeypatch)
    sample(engine, folder / "runs")
    assert engine.shards == 6
    assert "measuring anew own" in said(capsys)


def test_a_file_of_an_older_version_is_judged_again_for_the_same_problems(
    engine: Counted, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """It does not say what was asked apart from the references."""
    file = sample(engine, folder / "runs")
    table = pq.read_table(file)
    notes = {name: note for name, note in table.schema.metadata.items() if name != sampling.QUESTIONS}
    pq.write_table(table.replace_schema_metadata(notes), file)
    older = file.read_bytes()

    with monkeypatch.context() as patch:
        other_sources(patch)
        judged = sample(None, folder / "runs").read_bytes()
        assert judged == sample(engine, folder / "fresh").read_bytes()
    assert sample(None, folder / "runs").read_bytes() == older
    (folder / "alone").mkdir()
    (folder / "alone" / "own.parquet").write_bytes(older)
    engine.shards = 0
    sample(engine, folder / "alone", **other_references(monkeypatch))
    assert engine.shards == 3


def test_samples_that_were_set_aside_are_judged_again(
    engine: Counted, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    sample(engine, folder / "runs")
    sample(engine, folder / "runs", seed=2)
    (aside,) = (folder / "runs").glob("*/own.parquet")
    said(capsys)
    other_sources(monkeypatch)
    judged = sample(None, folder / "runs").read_bytes()
    words = said(capsys)
    assert f"{aside.parent}: what is there was made with verifiers.expression=" in words
    assert words.endswith(": judging again own; the old samples stay")
    assert judged == sample(engine, folder / "fresh").read_bytes()


def test_shards_of_a_broken_off_evaluation_are_judged_again(
    engine: Counted, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    whole = sample(engine, folder / "whole")
    key, questions = sampling.key_of(whole), sampling.note_of(whole, sampling.QUESTIONS)
    shards = folder / "runs" / samples_key.key_name(key) / "own.shards"
    shards.mkdir(parents=True)
    second = pq.read_table(whole).slice(4, 4)
    sampling.write_rows(second, shards / "000001.parquet", key, questions)
    (shards / "000002.parquet").write_bytes(b"PAR1 cut short")

    other_sources(monkeypatch)
    engine.shards = 0
    file = sample(engine, folder / "runs")
    assert engine.shards == 2
    assert "its samples are judged again, and it stays" in said(capsys)
    assert pq.read_table(shards / "000001.parquet").equals(second)
    assert file.read_bytes() == sample(engine, folder / "fresh").read_bytes()
