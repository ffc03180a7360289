"""Claims about what an arm saves, and about the toy tree, from files whose numbers are known."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from rlvr.tables.claims import Finding, findings
from rlvr.tables.claims_page import markdown

COLUMNS = ["arm", "baseline", "unit", "target", "seeds", "reached", "saving", "low", "high"]
ROWS = [
    ["f-grpo", "grpo", "flops", "0.5", "1 2", 2, 3.0, 2.2, 4.0],
    ["f-grpo", "grpo", "flops", "1", "1 2", 1, None, None, None],
    ["f-grpo", "grpo", "flops", "own best", "1", 1, 4.0, None, None],
]


@pytest.fixture
def found(tmp_path: Path, layout: dict):
    """What becomes of a claim about the table of `spec`, with the savings of `ROWS`."""
    folder = tmp_path / "experiments" / "paper"
    folder.mkdir(parents=True)
    (folder / "table9.yaml").write_text(yaml.safe_dump(layout))
    (tmp_path / "tables").mkdir()
    file = tmp_path / "tables" / "paper-table9-laptop-savings.csv"
    pd.DataFrame(ROWS, columns=COLUMNS).to_csv(file, index=False)

    def find(difference: dict, **claim) -> Finding:
        claim |= {"claim": "It is cheap", "source": "Abstract", "differences": [difference]}
        (folder / "claims.yaml").write_text(yaml.safe_dump({"paper": "A paper", "claims": [claim]}))
        (finding,) = findings(folder / "claims.yaml", "laptop", tmp_path)
        return finding

    return find


def saving(target: float | str, factor: float) -> dict:
    return {"unit": "flops", "target": target, "factor": factor, "arm": "f-grpo", "minus": "grpo"}


def test_a_saving_is_held_against_the_factor_claimed(found):
    finding = found(saving(0.5, 2), table="paper/table9")
    (measured,) = finding.differences
    assert (measured.value, measured.low, measured.high) == pytest.approx((1.0, 0.2, 2.0))
    assert finding.verdict == "shown"
    assert found(saving(0.5, 2.5), table="paper/table9").verdict == "not shown"
    assert found(saving(0.5, 5), table="paper/table9").verdict == "less than claimed"  # 2.2 to 4 times
    page = markdown("A paper", "paper", "laptop", [finding])
    assert (
        "| FLOPs to 50% of the gain: GRPO / F-GRPO − 2 | +1.000 times | +0.200 to +2.000 | 2 and 2 |" in page
    )
    assert "tables/paper-table9-laptop-savings.csv" in page


def test_what_a_seed_did_not_reach_or_one_seed_saved_shows_nothing(found):
    unreached, single = (
        found(saving(target, 1), table="paper/table9").differences[0] for target in (1, "own best")
    )
    assert "(reached in 1 of 2 seeds)" in unreached.text
    assert single.value == 3.0 and not single.repeated
    page = markdown("A paper", "paper", "laptop", [found(saving(1, 1), table="paper/table9")])
    assert "(reached in 1 of 2 seeds) | not reached | none | 2 and 2 |" in page
    for target in (1, "own best"):
        assert found(saving(target, 1), table="paper/table9").verdict == "not shown"
    assert found(saving(0.8, 1), table="paper/table9").verdict == "not run"


def test_the_toy_tree_is_compared_over_seeds(found, tmp_path: Path):
    (tmp_path / "theory").mkdir()
    setting = {"learning_rate": 1e-4, "n": 1, "r_neg": -0.5}
    frequencies = {"grpo": (0.1, 0.2), "lambda": (0.7, 0.8)}
    rows = [
        setting | {"method": method, "seed": seed, "target_frequency": value}
        for method, values in frequencies.items()
        for seed, value in enumerate(values)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "theory" / "toy_tree.csv", index=False)
    finding = found(setting, table="toy_tree")
    assert finding.differences[0].value == pytest.approx(60.0)
    # variances of the means 25 each, so 2 degrees of freedom, t = 4.302653 and half a width of t sqrt(50)
    assert finding.differences[0].low == pytest.approx(60 - 4.302653 * 50**0.5, abs=1e-4)
    assert finding.verdict == "shown"
    assert found(setting | {"n": 2}, table="toy_tree").verdict == "not run"
