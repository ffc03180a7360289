"""The panels of a family of members: measures, learning rates, and claims about the best of these."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from reported_runs import write_run
from table_runs import page_of

from rlvr.errors import UserError
from rlvr.files import step_lines
from rlvr.files.run_files import RunFiles
from rlvr.tables.claims import findings
from rlvr.tables.frontier import _path, equal_tokens_panels
from rlvr.tables.rates import rates_frame
from rlvr.tables.spec import Arm, Measures, TableSpec, check_spec
from rlvr.tables.write import write_table

RIGHT, WRONG = "correct", "wrong"
E = """
paper: a family
correction: holm
left_out: [all else]
claims:
  - claim: The member is better
    source: nowhere
    table: sweep/smoke
    metric: pass@1
    group: in_domain
    differences:
      - {arm: {member: power, by: pass@2}, minus: {member: grpo, by: pass@2}}
"""


def spec() -> TableSpec:
    return TableSpec(
        name="sweep/smoke",
        title="A family",
        metrics=["pass@1", "pass@4"],
        columns={"in_domain": ["countdown_3"]},
        arms=[
            Arm("base", overrides=["training.steps=0"]),
            Arm("grpo", member="grpo"),
            Arm("power", member="power", strength=1, baseline="grpo"),
            Arm("power-slower", member="power", strength=1, rate="slower"),
            Arm("power-2", member="power", strength=2, baseline="grpo"),
        ],
        measures=Measures("base", [0.25, 0.75], ["countdown_3"]),
        frontier=True,
        figures=[],
    )


def samples(a: int, b: int) -> dict[str, list[tuple[str, str]]]:
    """Two problems of four samples, a and b of which are right, in two forms at most."""
    texts = ["1+2", "2+1", "1*3", "3*1"]
    return {
        name: [(RIGHT if i < right else WRONG, text) for i, text in enumerate(texts)]
        for name, right in (("p", a), ("q", b))
    }


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    counts = {"base": (1, 0), "grpo": (4, 0), "power": (3, 1), "power-slower": (0, 4), "power-2": (0, 0)}
    folders = []
    for seed in (1, 2):
        for arm, (a, b) in counts.items():
            steps = 0 if arm == "base" else 4
            if arm == "base" and seed == 2:
                continue
            folder = write_run(tmp_path / "runs", arm, samples(a, b), seed=seed, steps=steps)
            (folder / "validation.jsonl").unlink()
            (folder / "metrics.jsonl").unlink(missing_ok=True)
            for step in range(1, steps + 1):
                line = {"policy/entropy": 0.5, "tokens/sampled": 1e5, "update/steps": 2.0}
                step_lines.append(folder / "metrics.jsonl", step, line | {"reward/mean": 0.0})
            pass_2 = {"power": 0.6, "power-slower": 0.7}.get(arm, 0.5)
            step_lines.append(
                folder / "validation.jsonl", steps, {"in_domain/pass@1": 0.4, "in_domain/pass@2": pass_2}
            )
            folders.append(folder)
    return folders


def test_measures_by_hand(runs: list[Path], tmp_path: Path):
    """power has 3/4 and 1/4: all at 1/4, half at 3/4; q won, none lost; 1+2 and 2+1 are one form of two."""
    page = page_of(spec(), runs)
    frame = page.numbers["-measures"].set_index(["arm", "measure"])["value"]
    power = [frame["power", name] for name in ("cover@0.25", "cover@0.75", "lost", "won")]
    assert power == [1, 0.5, 0, 0.5]
    assert [frame["power-2", name] for name in ("lost", "won")] == [0.5, 0]
    assert [frame[arm, "distinct right answers"] for arm in ("base", "power", "grpo")] == [0.5, 1.5, 1]
    problems = page.numbers["-problems"].set_index(["arm", "problem_id"])
    assert problems.loc[("power", "p"), ["seeds", "n", "c"]].tolist() == ["1 2", "4 4", "3 3"]
    (panel,) = [panel for panel in page.panels if "success rates" in panel.title]
    assert panel.rows[2][-3:] == ["0.500", "400,000", "8"]


def test_an_arm_of_more_tokens_is_compared_where_its_baseline_had_sampled_as_many(runs: list[Path]):
    """grpo samples 4 x 100,000; power 4 x 200,000, which is within that at step 2: 0.55 - 0.5 there."""
    assert not [panel for panel in page_of(spec(), runs).panels if "At equal tokens" in panel.title]
    for folder in runs:
        if folder.parent.name == "power":
            (folder / "metrics.jsonl").unlink()
            (folder / "validation.jsonl").unlink()
            for step in range(1, 5):
                line = {"policy/entropy": 0.5, "tokens/sampled": 2e5, "update/steps": 2.0, "reward/mean": 0.0}
                step_lines.append(folder / "metrics.jsonl", step, line)
                line = {"in_domain/pass@1": 0.3 + 0.1 * step, "in_domain/pass@2": 0.45 + 0.05 * step}
                step_lines.append(folder / "validation.jsonl", step, line)
    (panel,) = [panel for panel in page_of(spec(), runs).panels if "At equal tokens" in panel.title]
    assert panel.rows == [["power", "2", "2.00", "2", "4", "+10.0", "+5.0"]]
    some = [
        run for run in runs if (run.parent.name, run.name) not in {("grpo", "seed-1"), ("power", "seed-2")}
    ]
    assert not [panel for panel in page_of(spec(), some).panels if "At equal tokens" in panel.title]


def test_the_way_is_the_mean_of_steps_that_all_seeds_have(runs: list[Path]):
    """Seed 1 of grpo was validated at step 2 too; at step 4 both have 40 and 50 %."""
    (folder,) = [run for run in runs if (run.parent.name, run.name) == ("grpo", "seed-1")]
    step_lines.append(folder / "validation.jsonl", 2, {"in_domain/pass@1": 0.1, "in_domain/pass@2": 0.2})
    _, way = page_of(spec(), runs).figures["frontier"].draw().axes
    assert way.get_lines()[0].get_xydata().tolist() == [[40, 50]]


def declare(folder: Path, *more: Arm) -> Path:
    """The file of `E`, beside one of a table with the arms of `spec` and some more."""
    declared = folder / "experiments" / "sweep" / "claims.yaml"
    declared.parent.mkdir(parents=True, exist_ok=True)
    declared.write_text(E)
    keys = ("name", "member", "strength", "rate")
    arms = [{key: value for key in keys if (value := getattr(arm, key))} for arm in (*spec().arms, *more)]
    layout = {"title": "A", "metrics": ["pass@1", "pass@4"], "columns": {"in_domain": ["countdown_3"]}}
    (declared.parent / "smoke.yaml").write_text(yaml.safe_dump(layout | {"arms": arms}))
    return declared


def test_the_best_rate_is_taken_by_each_metric_and_claims_are_about_it(runs: list[Path], tmp_path: Path):
    page = page_of(spec(), runs)
    rates = page.numbers["-rates"]
    best = rates[rates["best"]].set_index(["member", "k"])["arm"]
    assert best["power", 1] == "power"  # the first of equals
    assert best["power", 2] == "power-slower"
    files = write_table(page, tmp_path / "results")
    assert tmp_path / "results/figures/sweep-smoke-smoke-frontier.png" in files

    declared = declare(tmp_path)
    declared.write_text(E.replace("member: grpo", "member: grop"))
    with pytest.raises(UserError, match=r"member of table sweep/smoke 'grop'.*did you mean grpo"):
        findings(declared, "smoke", tmp_path / "results")
    declared.write_text(E)
    ((difference,),) = [finding.differences for finding in findings(declared, "smoke", tmp_path / "results")]
    numbers = pd.read_csv(tmp_path / "results/tables/sweep-smoke-smoke-differences.csv")
    (row,) = numbers[
        (numbers["arm"] == "grpo") & (numbers["against"] == "power-slower") & (numbers["metric"] == "pass@1")
    ].itertuples()
    assert difference.value == pytest.approx(-100 * row.difference)
    assert difference.text == "pass@1, in_domain: power-slower − grpo"


def test_no_rate_is_the_best_while_another_one_has_not_run(runs: list[Path], tmp_path: Path):
    """Of power the rate that is missing may be the better one, so a claim about its best is not tried."""
    declared, results = declare(tmp_path), tmp_path / "results"
    page = page_of(spec(), [run for run in runs if run.parent.name != "power-slower"])
    rates = page.numbers["-rates"]
    assert rates[rates["best"]]["member"].unique().tolist() == ["grpo"]
    (panel,) = [panel for panel in page.panels if "the best rate of each member" in panel.title]
    assert [["[" in text for text in row[1:]] for row in panel.rows] == [[True, True], [False, False]]
    write_table(page, results)
    (finding,) = findings(declared, "smoke", results)
    assert finding.verdict == "not run"
    assert finding.differences[0].text == "pass@1, in_domain: power at its best rate by pass@2 − grpo"

    write_table(page_of(spec(), runs), results)
    assert findings(declared, "smoke", results)[0].verdict != "not run"
    declare(tmp_path, Arm("power-faster", member="power", strength=1, rate="faster"))
    assert findings(declared, "smoke", results)[0].verdict == "not run"


def validated(arm: str, seed: int, line: dict[str, float], tokens: float = 1e5) -> RunFiles:
    """As much of a run as the panels of validation look at: four steps, and what was measured after them."""
    metrics = [{"step": step, "tokens/sampled": tokens} for step in range(1, 5)]
    config = SimpleNamespace(training=SimpleNamespace(learning_rate=len(arm)))
    lines = [{"step": 4} | {f"in_domain/{name}": value for name, value in line.items()}]
    return cast(
        RunFiles,
        SimpleNamespace(
            arm=arm, seed=seed, config=config, metrics=metrics, validation=lines, entry=lambda _: 4
        ),
    )


def test_a_rate_with_a_seed_that_could_not_be_judged_at_k_has_no_mean_there():
    """power's first seed has no pass@2 at its checkpoint: that rate has none, in no panel."""
    whole = {"pass@1": 0.2, "pass@2": 0.4}
    runs = [
        validated("grpo", 1, whole),
        validated("grpo", 2, whole),
        validated("power", 1, {"pass@1": 0.3}, tokens=2e5),
        validated("power", 2, whole, tokens=2e5),
        validated("power-slower", 1, whole),
    ]
    rates = rates_frame(spec(), runs)
    assert rates[["arm", "k", "best"]].to_numpy().tolist() == [
        ["grpo", 1, True], ["grpo", 2, True], ["power", 1, True],
        ["power-slower", 1, False], ["power-slower", 2, True],
    ]  # fmt: skip
    (panel,) = equal_tokens_panels(spec(), runs)
    assert panel.header[-2:] == ["pass@1", "pass@1"] and panel.rows[0][-2:] == ["+5.0", "+5.0"]
    _path(axes := Figure().subplots(), runs[2:4], {})
    assert axes.get_lines()[0].get_xydata().tolist() == []  # no step that both have pass@2 of


def test_rates_that_are_equal_but_for_a_rounding_are_equal():
    """0.1 + 0.2 + 0.3 is more than 0.3 + 0.2 + 0.1 in binary; the first of equals is the best."""
    order = {"power": (0.3, 0.2, 0.1), "power-slower": (0.1, 0.2, 0.3)}
    runs = [
        validated(arm, seed, {"pass@1": value})
        for arm, values in order.items()
        for seed, value in enumerate(values)
    ]
    rates = rates_frame(spec(), runs)
    assert rates[rates["best"]]["arm"].tolist() == ["power"]


def test_rates_are_compared_on_the_seeds_that_all_have():
    """On seed 1 the slower rate has 0.4 to 0.3; over all there is power has 0.6 to 0.4."""
    runs = [
        validated("power", 1, {"pass@1": 0.3}),
        validated("power", 2, {"pass@1": 0.9}),
        validated("power-slower", 1, {"pass@1": 0.4}),
    ]
    rates = rates_frame(spec(), runs)
    assert rates[["arm", "seeds", "value", "best"]].to_numpy().tolist() == [
        ["power", 1, 0.3, False], ["power-slower", 1, 0.4, True],
    ]  # fmt: skip
    assert rates_frame(spec(), runs[1:]).empty


@pytest.mark.parametrize(
    ("measures", "sentence"),
    [
        (Measures("bass", [0.5]), "measures.base 'bass'"),
        (Measures("base", [2]), "measures.taus holds 2"),
        (Measures("base", [0.5], ["gcd"]), "measures.distinct 'gcd'"),
    ],
)
def test_what_could_not_be_measured_is_refused(measures: Measures, sentence: str):
    table = spec()
    table.measures = measures
    with pytest.raises(UserError, match=sentence):
        check_spec(table)
