"""The shoot-out: its plan says what its tables have, and its path works from training to the claims."""

import re
from pathlib import Path

import pandas as pd
import pytest

from rlvr.config import EXPERIMENTS
from rlvr.runs.reproduce import reproduce_table
from rlvr.runs.schedule import schedule_runs
from rlvr.tables.claims_file import BestRate, read_claims
from rlvr.tables.rates import members, own_strength
from rlvr.tables.read_spec import read_spec
from rlvr.tables.spec import Arm

FOLDER = EXPERIMENTS / "shootout"
ON_COUNTDOWN_ALONE = {"kl-cov", "rare-answer"}


def planned() -> dict[str, tuple[list[float], float | None]]:
    """By member the strengths that PLAN.md names, and the one in bold."""
    found = {}
    for name, knob in re.findall(
        r"^\| ([a-z-]+) \| [^|]+ \| ([^|]+) \|$", (FOLDER / "PLAN.md").read_text(), re.M
    ):
        values = re.findall(r"(\*\*)?(\d+(?:\.\d+)?)(?:\*\*)?(?=,|\s*$)", knob.partition(":")[2] or knob)
        own = [float(value) for bold, value in values if bold]
        if name == "member":
            continue
        found[name] = [float(value) for _, value in values], own[0] if own else None
    return found


def test_the_plan_names_every_member_with_its_strengths():
    plan = planned()
    countdown = ["laptop", "laptop_others", "laptop_strengths", "laptop_others_strengths"]
    for tables in (countdown, ["laptop_mazes"]):
        found: dict[str, dict[str, Arm]] = {}
        for name in tables:
            for member, arms in members(read_spec(FOLDER / f"{name}.yaml", "laptop")).items():
                for arm in arms:  # an arm that is in two tables is the same in both
                    assert found.setdefault(member, {}).setdefault(arm.name, arm) == arm
        assert set(found) == set(plan) - (ON_COUNTDOWN_ALONE if tables == ["laptop_mazes"] else set())
        for member, by_name in found.items():
            arms = list(by_name.values())
            strengths, own = plan[member]
            plain = sorted(arm.strength for arm in arms if not arm.rate) if strengths else [None]
            assert plain == (strengths or [None])
            if member != "psr":
                assert {arm.strength for arm in own_strength(arms)} == {own}
                assert len(own_strength(arms)) == 3  # learning rates


def test_claims_are_about_members_of_their_tables():
    for claim in read_claims(FOLDER / "claims.yaml").claims:
        for difference in claim.differences:
            found = members(read_spec(EXPERIMENTS / f"{difference.table}.yaml", "laptop"))
            for arm in (difference.arm, difference.minus):
                assert isinstance(arm, BestRate)
                assert len(own_strength(found[arm.member])) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "scale"),
    [
        ("laptop", "laptop"),
        ("laptop_others", "laptop"),
        ("laptop_strengths", "laptop"),
        ("laptop_others_strengths", "laptop"),
        ("laptop_mazes", "laptop"),
        ("small", "small"),
        ("gpu", "gpu"),
    ],
)
def test_every_arm_composes(table: str, scale: str):
    spec = read_spec(FOLDER / f"{table}.yaml", scale)
    scheduled = schedule_runs(spec, [1], [f"scale={scale}"])
    configs = {
        str(run.config.algorithm) + str(run.config.advantage_scaling) + str(run.config.training)
        for run in scheduled
    }
    assert len(configs) == len(spec.arms)  # no two arms are the same run


@pytest.mark.slow
def test_the_path_from_training_to_the_page(tmp_path: Path):
    files = reproduce_table(
        "shootout/laptop",
        scale="smoke",
        seeds=[1],
        results=tmp_path,
        overrides=["tracking=local", "training.steps=2"],
    )
    page = files[0].read_text()
    for text in (
        "Cover@0.5",
        "distinct right answers",
        "the best rate of each member in brackets",
        "-frontier.png",
    ):
        assert text in page
    # one claim about pass@1 is of mazes, and all others ask for a larger k; of one seed nothing is shown
    claims = (tmp_path / "shootout-smoke.md").read_text()
    assert "**The run is pending**: 1 of 21" in claims
    assert "| 3 | MaxRL gains pass@1 over GRPO, on countdown | not shown |" in claims
    problems = pd.read_csv(tmp_path / "tables" / "shootout-laptop-smoke-problems.csv")
    assert len(problems) == 7 * 5 * 48  # arms and problems
    assert (problems["n"] == 32).all()
    assert problems["c"].between(0, 32).all()
