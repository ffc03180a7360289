import pandas as pd
import pytest
from table_runs import finished, page_of

from rlvr.errors import UserError
from rlvr.tables.delta_nll import collect_rare, rare_panel
from rlvr.tables.write import write_table


def give_answers(run, nll: list[float], problems: str = "aab") -> None:
    """Three answers to two problems, all with an initial NLL of 1."""
    table = pd.DataFrame({"problem_id": list(problems), "nll": nll, "initial_nll": [1.0] * 3})
    table.to_parquet(run / "evaluation" / "rare-answers.parquet")


@pytest.fixture
def measured(run_dirs):
    """base, GRPO with two seeds and F-GRPO (see conftest); every answer weighs the same."""
    for run, nll in zip(
        run_dirs, ([1.0, 1.0, 1.0], [1.3, 1.5, 1.7], [1.5, 1.7, 1.9], [1.2, 1.4, 1.6]), strict=True
    ):
        give_answers(run, nll)
    return run_dirs


def test_values_are_means_over_answers_and_seeds(spec, measured):
    frame, pairs = collect_rare(spec, finished(measured))
    assert frame["value"].tolist() == pytest.approx([0.0, 0.6, 0.4])
    assert frame[["seeds", "answers", "problems"]].to_numpy().tolist() == [[1, 3, 2], [2, 3, 2], [1, 3, 2]]
    assert (frame["low"] <= frame["value"]).all() and (frame["value"] <= frame["high"]).all()
    found = pairs.set_index(["arm", "against"])["difference"].to_dict()
    expected = {("base", "grpo"): -0.6, ("base", "f-grpo"): -0.4, ("grpo", "f-grpo"): 0.2}
    assert found == pytest.approx(expected)


def test_a_difference_is_paired_by_problem(spec, measured):
    """F-GRPO is .1 below the first seed of GRPO and .3 below the second on every answer."""
    _, pairs = collect_rare(spec, finished(measured))
    row = pairs.set_index(["arm", "against"]).loc[("grpo", "f-grpo")]
    assert (row.low, row.high) == pytest.approx((0.1, 0.3))  # of the seeds, none of problems


def test_the_panel_and_the_files_of_a_table(spec, measured, tmp_path):
    written = write_table(page_of(spec, measured), tmp_path / "results")
    page = written[0].read_text()
    assert "**ΔNLL of 3 rare correct answers to 2 problems, nats a token**" in page
    panel = rare_panel(spec, *collect_rare(spec, finished(measured)))
    assert panel.rows[0] == ["Base", "1", "+0.000 ± 0.000", "–"]
    assert panel.rows[2][:2] == ["F-GRPO", "1"] and panel.rows[2][3] == "−0.200 ± 0.100"
    differences = next(path for path in written if path.name.endswith("-differences.csv"))
    assert pd.read_csv(differences).query("metric == 'delta_nll_rare'")["group"].tolist() == ["rare"] * 3
    assert any(path.name == "paper-table9-laptop-rare.csv" for path in written)


def test_an_arm_without_answers_did_not_run_and_a_table_without_has_no_panel(spec, measured, tmp_path):
    (measured[2] / "evaluation" / "rare-answers.parquet").unlink()
    frame, pairs = collect_rare(spec, finished(measured))
    assert frame["arm"].tolist() == ["base", "f-grpo"]
    assert rare_panel(spec, frame, pairs).rows[1] == ["GRPO", "0", "not run", "–"]
    for run in (measured[0], measured[3]):
        (run / "evaluation" / "rare-answers.parquet").unlink()
    assert "ΔNLL" not in write_table(page_of(spec, measured), tmp_path / "results")[0].read_text()


def test_answers_of_another_set_are_refused(spec, measured):
    give_answers(measured[3], [1.0, 1.0, 1.0], problems="abc")
    with pytest.raises(UserError, match="'f-grpo' was asked for other rare answers than 'base'"):
        collect_rare(spec, finished(measured))
