from pathlib import Path

import numpy as np
import pytest
import yaml
from table_runs import collect, finished, page_of

from rlvr.config import EXPERIMENTS
from rlvr.errors import UserError
from rlvr.evaluation.intervals import welch_interval
from rlvr.tables.claims import Difference, Finding, declared_of, findings
from rlvr.tables.claims_file import read_claims
from rlvr.tables.claims_page import markdown, write_claims
from rlvr.tables.collect import differences, measure
from rlvr.tables.declared import Declaration
from rlvr.tables.names import papers
from rlvr.tables.write import write_table
from rlvr.theory import SimulationGrid


def finding(*intervals: tuple[float, float], repeated: bool = True) -> Finding:
    numbers = [
        Difference("a − b", "points", (a + b) / 2, a, b, seeds=("1 2", "1 2"), repeated=repeated)
        for a, b in intervals
    ]
    return Finding("it grows", "Table 1", ("paper/table9",), tuple(numbers))


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([(0.1, 2.0)], "shown"),
        ([(0.0, 2.0)], "not shown"),
        ([(-0.1, 2.0)], "not shown"),
        ([(-2.0, -0.1)], "opposite"),
        ([(-2.0, 0.0)], "not shown"),
        ([(0.1, 2.0), (0.1, 1.0)], "shown"),
        ([(0.1, 2.0), (-0.1, 1.0)], "not shown"),
        ([(0.1, 2.0), (-1.0, -0.1)], "opposite"),
        ([(np.nan, np.nan), (0.1, 1.0)], "not run"),
    ],
)
def test_a_claim_is_shown_only_if_no_interval_holds_zero(intervals, verdict):
    assert finding(*intervals).verdict == verdict


def test_a_factor_that_is_not_reached_is_less_than_claimed_unless_there_is_no_effect_at_all():
    """Claimed to be above 2 times: the difference from 2 is measured, and -1 is no effect."""

    def saving(low: float, high: float) -> Finding:
        number = Difference(
            "a / b − 2", "times", (low + high) / 2, low, high, seeds=("1 2", "1 2"), no_effect=-1.0
        )
        return Finding("it is faster", "Table 1", (), (number,))

    assert saving(0.1, 1.0).verdict == "shown"
    assert saving(-0.5, -0.4).verdict == "less than claimed"  # 1.5 to 1.6 times
    assert saving(-1.35, -0.94).verdict == "less than claimed"  # 0.65 to 1.06 times
    assert saving(-1.35, -1.1).verdict == "opposite"  # 0.65 to 0.9 times


def test_one_seed_shows_nothing():
    assert finding((0.1, 2.0), repeated=False).verdict == "not shown"
    assert finding((-2.0, -0.1), repeated=False).verdict == "not shown"


def test_differences_of_any_two_arms_are_paired_and_agree_with_the_table(spec, run_dirs):
    """In-domain pass@1: base 3/16, grpo 3/8 over two seeds, f-grpo 1/2 (see conftest)."""
    runs = finished(run_dirs)
    pairs = differences(spec, measure(spec, runs, iterations=50))
    assert len(pairs) == 3 * 2 * 2  # pairs of arms, groups, metrics
    of = pairs[(pairs["group"] == "in_domain") & (pairs["metric"] == "pass@1")].set_index(["arm", "against"])
    assert of["difference"].to_dict() == pytest.approx(
        {("base", "grpo"): -3 / 16, ("base", "f-grpo"): -5 / 16, ("grpo", "f-grpo"): -1 / 8}
    )
    assert of.loc[("base", "grpo"), ["seeds", "seeds_against"]].tolist() == ["0", "0 1"]
    assert ((pairs["freedom"] >= 1) | pairs["freedom"].isna()).all()
    table = collect(spec, runs, iterations=50)
    row = table.query("arm == 'f-grpo' and benchmark == 'average' and metric == 'pass@1'").iloc[0]
    assert of.loc[("grpo", "f-grpo"), ["low", "high"]].tolist() == pytest.approx(
        [-row.difference_high, -row.difference_low]
    )


@pytest.fixture
def paper(tmp_path, layout):
    """A paper with one table and a function that writes its claims."""
    folder = tmp_path / "experiments" / "paper"
    folder.mkdir(parents=True)
    layout["arms"][0]["overrides"] = ["training.steps=0"]
    (folder / "table9.yaml").write_text(yaml.safe_dump(layout))

    def declare(**claim) -> Path:
        claim = {"claim": "It grows", "source": "Table 9", "table": "paper/table9"} | claim
        (folder / "claims.yaml").write_text(yaml.safe_dump({"paper": "A paper", "claims": [claim]}))
        return folder / "claims.yaml"

    return declare


@pytest.mark.parametrize(
    ("low", "high", "printed"),
    [(-0.03, 4.9, "−0.0 to +4.9"), (0.0, 0.04, "+0.0 to +0.0"), (-4.9, -0.03, "−4.9 to −0.0")],
)
def test_a_bound_below_zero_says_so_where_it_rounds_to_zero(low: float, high: float, printed: str):
    assert f"| {printed} |" in markdown("A paper", "paper", "laptop", [finding((low, high))])


PAIR = {"metric": "pass@1", "group": "in_domain"}


def test_the_page_says_what_was_measured_and_where_it_is(tmp_path, spec, paper, write_run):
    cs = {"base": [1, 1], "grpo": [2, 3], "f-grpo": [4, 5]}
    runs = [
        write_run(tmp_path / "runs", arm, seed, {name: of_arm for name in ("easy", "hard", "other")})
        for arm, of_arm in cs.items()
        for seed in ([1] if arm == "base" else [1, 2])
    ]
    results = tmp_path / "results"
    write_table(page_of(spec, runs), results)
    one, other = {"arm": "f-grpo", "minus": "grpo"}, {"arm": "grpo", "minus": "base"}
    declared = paper(differences=[one, other], **PAIR)
    (found,) = findings(declared, "laptop", results)
    # problem by problem 2/8 more than GRPO; and 1/8 or 2/8 more than the base policy, which has one seed
    assert [d.value for d in found.differences] == pytest.approx([25, 18.75])
    assert [found.differences[0].low, found.differences[0].high] == pytest.approx([25, 25])
    assert found.verdict == "shown"

    (page,) = write_claims(["paper"], "laptop", results, declared.parents[1])
    assert page == results / "paper.md"
    text = page.read_text()
    assert "| 1 | It grows | shown |" in text
    assert "| pass@1, In-domain: F-GRPO − GRPO | +25.0 points | +25.0 to +25.0 | 2 and 2 |" in text
    assert "This page has 2 intervals" in text and "0.1 would exclude zero" in text
    assert "(tables/paper-table9-laptop.md)" in text
    assert "make reproduce-table TABLE=paper/table9 SCALE=laptop SEEDS=1,2`" in text

    swapped = paper(differences=[{"arm": "grpo", "minus": "f-grpo"}], **PAIR)
    assert findings(swapped, "laptop", results)[0].verdict == "opposite"


def test_a_claim_about_two_tables_has_the_files_and_the_seeds_of_each():
    def number(table: str, seeds: str, unit: str = "points") -> Difference:
        return Difference("a − b", unit, 1.0, 0.5, 1.5, seeds=(seeds, seeds), table=table)

    differences = (number("one/a", "1 2"), number("one/a", "1 2", "times"), number("one/b", "1 2 3"))
    page = markdown("A paper", "one", "laptop", [Finding("c", "s", ("one/a", "one/b"), differences)])
    a, b = "tables/one-a-laptop", "tables/one-b-laptop"
    assert (
        f"From [{a}-differences.csv]({a}-differences.csv) and [{a}-savings.csv]({a}-savings.csv), beside "
        f"[the table]({a}.md): `make reproduce-table TABLE=one/a SCALE=laptop SEEDS=1,2`. From "
        f"[{b}-differences.csv]({b}-differences.csv), beside [the table]({b}.md): `make reproduce-table "
        "TABLE=one/b SCALE=laptop SEEDS=1,2,3`."
    ) in page


def test_what_has_not_run_is_said_with_the_command(tmp_path, paper):
    declared = paper(differences=[{"arm": "f-grpo", "minus": "grpo"}], **PAIR)
    (page,) = write_claims(["paper"], "smoke", tmp_path, declared.parents[1])
    text = page.read_text()
    assert "**Not run.**" in text and "This page has 0 intervals" in text
    assert "To be made by `make reproduce-table TABLE=paper/table9 SCALE=smoke`" in text
    assert (tmp_path / "paper-smoke.md").exists()


def test_claims_asked_at_one_scale_have_no_page_of_another(tmp_path, paper):
    declared = paper(differences=[{"arm": "f-grpo", "minus": "grpo"}], **PAIR)
    declared.write_text(f"scales: [smoke]\n{declared.read_text()}")
    assert not write_claims([], "laptop", tmp_path, declared.parents[1])
    assert list(write_claims([], "smoke", tmp_path, declared.parents[1])) == [tmp_path / "paper-smoke.md"]
    with pytest.raises(UserError, match=r"unknown scale of the claims in .* 'laptop': accepted are smoke"):
        write_claims(["paper"], "laptop", tmp_path, declared.parents[1])


def test_what_cannot_be_tried_at_a_scale_is_said_with_the_reason(tmp_path, paper):
    declared = paper(untestable={"laptop": "It takes a larger model."})
    (found,) = findings(declared, "laptop", tmp_path)
    assert found.verdict == "not testable at this scale"
    known = {found.claim: Declaration("1234567", "2026-01-01 00:00", "89abcde", "2026-01-02 00:00")}
    assert "no data of it was committed" in str(declared_of(found, known))  # whatever its tables hold
    assert "at this scale.** It takes a larger model." in markdown("A paper", "paper", "laptop", [found])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arm": "f-gpro"}, "unknown arm of table paper/table9.*did you mean f-grpo"),
        ({"group": "in_domian"}, "unknown group of table paper/table9.*did you mean in_domain"),
    ],
)
def test_claims_about_what_is_not_in_the_table_are_refused(tmp_path, paper, change, said):
    declared = paper(differences=[PAIR | {"arm": "f-grpo", "minus": "grpo"} | change])
    with pytest.raises(UserError, match=said):
        findings(declared, "laptop", tmp_path)


def test_a_metric_that_a_scale_does_not_have_is_not_testable_there(tmp_path, paper):
    declared = paper(differences=[PAIR | {"arm": "f-grpo", "minus": "grpo", "metric": "pass@4"}])
    (found,) = findings(declared, "smoke", tmp_path)
    assert found.verdict == "not testable at this scale"
    assert found.untestable == "Table paper/table9 has no pass@4 at scale smoke."


def test_a_claim_needs_a_difference(tmp_path, paper):
    with pytest.raises(UserError, match="at least one difference"):
        findings(paper(), "laptop", tmp_path)


def test_welch_by_hand():
    """Means 2 and 1; variances of the means 1/3 and 0; two degrees of freedom, t = 4.302653."""
    value, low, high = welch_interval(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0]))
    half = 4.302653 * (1 / 3) ** 0.5
    assert (value, low, high) == pytest.approx((1.0, 1 - half, 1 + half), abs=1e-6)


def test_the_simulation_is_read_at_the_step_asked_for(tmp_path, paper):
    (tmp_path / "theory").mkdir()
    runs = {
        (size, 0.0, seed): np.array([[0.5, 0.6 + 0.1 * seed], [1.0, kept], [9.0, 8.0]], dtype=np.float32)
        for size, kept in ((2, 0.9), (8, 0.1))
        for seed in (0, 1)
    }
    SimulationGrid("{}", np.array([0, 10]), runs).save(tmp_path / "theory" / "categorical.npz")
    two, eight = {"group_size": 2, "gamma": 0}, {"group_size": 8, "gamma": 0}
    growth = {"metric": "correct_mass", "arm": two, "minus": two | {"step": 0}}
    loss = {"metric": "retained_mass", "arm": two, "minus": eight | {"step": 0}}
    declared = paper(table="simulation", differences=[growth, loss])
    (found,) = findings(declared, "laptop", tmp_path)
    assert [d.value for d in found.differences] == pytest.approx([15.0, -10.0], abs=1e-4)
    assert found.differences[0].text == "correct mass, %: N=2 γ=0 − N=2 γ=0 at step 0"

    unrun = paper(table="simulation", differences=[growth | {"arm": two | {"group_size": 4}}])
    assert findings(unrun, "laptop", tmp_path)[0].verdict == "not run"
    for change, said in (
        ({"arm": two | {"step": 6}}, "N=2 γ=0 at step 6 of .* recorded steps, of which 10 is near"),
        ({"metric": "corect_mass"}, "unknown metric of the simulation.*did you mean correct_mass"),
    ):
        with pytest.raises(UserError, match=said):
            findings(paper(table="simulation", differences=[growth | change]), "laptop", tmp_path)


@pytest.mark.parametrize("name", papers(EXPERIMENTS))
def test_all_claims_are_about_what_their_tables_have(tmp_path, name):
    declared = EXPERIMENTS / name / "claims.yaml"
    reasons = [claim.get("untestable", {}) for claim in yaml.safe_load(declared.read_text())["claims"]]
    for scale in read_claims(declared).scales or ("laptop", "paper"):
        given = [reason.get(scale, "") for reason in reasons]
        assert [found.untestable for found in findings(declared, scale, tmp_path)] == given
