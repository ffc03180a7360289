"""Selections from a run directory whose accuracies are known."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlvr.cli.main import main
from rlvr.config import load_config, to_yaml
from rlvr.curriculum import build_curriculum, learning_impact
from rlvr.curriculum.lim import load_selection, write_selection
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.files.run_directory import RunDirectory
from rlvr.problems import contents, load_problems
from rlvr.runs.run import load_data
from rlvr.runs.select import made_otherwise, select, selection_file

TINY = ["data.size=6", "training.prompts_per_step=2", "training.mini_batch_prompts=2", "tracking=local"]
# of four answers in each of two epochs: the average curve is 1/4, 3/4
RIGHT = [[1, 3], [0, 4], [4, 4], [0, 0], [0, 4], [1, 3]]


def problems() -> list[Problem]:
    return load_problems(load_config(TINY).data, held_out=False)


def make_run(path: Path, right: list[list[int]], *overrides: str) -> Path:
    """A finished run: three steps of two problems an epoch."""
    path.mkdir()
    (path / "config.yaml").write_text(to_yaml(load_config([*TINY, "seed=5", *overrides])))
    (path / "summary.json").write_text(json.dumps({"flops": {"generated": 10.0, "trained": 30.0}}))
    ids = [problem.id for problem in problems()]
    lines = []
    for epoch in range(len(right[0])):
        for batch in range(3):
            accuracy = {ids[row]: [right[row][epoch], 4] for row in (2 * batch, 2 * batch + 1)}
            step = 3 * epoch + batch + 1
            lines.append(json.dumps({"step": step, "epoch": step / 3, "accuracy": accuracy}) + "\n")
    (path / "accuracy.jsonl").write_text("".join(lines))
    return path


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", RIGHT)


def places(selection) -> list[int]:
    ids = [problem.id for problem in problems()]
    return [ids.index(problem) for problem in selection.selected]


def test_lim_by_hand(finished: Path):
    """1 for the average curve, 0 for always and never solved, 1 - (1/16 + 1/16) / (10/16) for 0, 4."""
    selection = select(finished, "lim")
    assert list(selection.scores.values()) == pytest.approx([1, 0.8, 0, 0, 0.8, 1])
    assert places(selection) == [0, 1, 4, 5]
    assert selection.flops == 40.0
    assert places(select(finished, "lim", threshold=0.9)) == [0, 5]
    assert places(select(finished, "lim", threshold=1.0)) == [0, 5], "a score equal to the threshold is kept"


def test_a_share_is_kept_by_rank_and_not_by_threshold(finished: Path):
    """Scores 1, .8, 0, 0, .8, 1: half of six are the two of 1 and the first of .8."""
    selection = select(finished, "lim", share=0.5)
    assert places(selection) == [0, 1, 5]
    assert selection.settings == {"share": 0.5}
    assert places(select(finished, "lim", share=0.01)) == [0], "never none"
    assert len(select(finished, "random_subset", share=0.5).selected) == 3
    assert places(select(finished, "lim", share=1.0)) == [0, 1, 2, 3, 4, 5]


def test_linear_keeps_what_rises(finished: Path):
    assert places(select(finished, "linear")) == [0, 1, 4, 5]
    assert list(select(finished, "linear").scores.values()) == pytest.approx([1, 1, 0, 0, 1, 1])


def test_a_random_subset_is_as_large_as_lims_choice_and_seeded(finished: Path):
    first, again = select(finished, "random_subset"), select(finished, "random_subset")
    assert first == again
    assert len(first.selected) == 4
    assert first.settings == {"size": 4, "seed": 5, "threshold": 0.6}
    assert (first.flops, first.scores) == (0.0, {})
    assert not selection_file(finished, "lim").exists()
    drawn = {tuple(select(finished, "random_subset", size=2, seed=seed).selected) for seed in range(8)}
    assert len(drawn) > 1
    assert all(len(subset) == 2 for subset in drawn)


def test_what_a_selection_was_made_with_is_held_against_other_settings(finished: Path):
    lim, random = (select(finished, method) for method in ("lim", "random_subset"))
    for chosen in (lim, random):  # both by LIM's own threshold
        assert made_otherwise(chosen) == made_otherwise(chosen, threshold=0.6) == {}
        assert made_otherwise(chosen, threshold=0.7) == {"threshold": (0.6, 0.7)}
        assert made_otherwise(chosen, share=0.2) == {"threshold": (0.6, None), "share": (None, 0.2)}
    assert made_otherwise(select(finished, "linear")) == {}
    assert made_otherwise(random, size=2) == {"size": (4, 2)}
    earlier = replace(random, settings={"size": 4, "seed": 5})
    assert made_otherwise(earlier, share=0.2) == {}


def test_only_the_first_epochs(tmp_path: Path):
    path = make_run(tmp_path / "run", [[*row, 2] for row in RIGHT])
    with_all, first = select(path, "lim").scores, select(path, "lim", epochs=2).scores
    assert list(first.values()) == pytest.approx([1, 0.8, 0, 0, 0.8, 1])
    expected = learning_impact(np.array([[*row, 2] for row in RIGHT]) / 4)
    assert list(with_all.values()) == pytest.approx(expected.tolist())


@pytest.mark.parametrize("method", ["lim", "linear", "random_subset"])
def test_a_curriculum_trains_on_the_selection_and_nothing_else(finished: Path, method: str):
    selected = set(select(finished, method).selected)
    config = load_config(
        [*TINY, f"curriculum={method}", f"curriculum.selection={selection_file(finished, method)}"]
    )
    curriculum = build_curriculum(config, problems(), selection=load_selection(config, problems()))
    drawn = [problem.id for _ in range(2) for problem, _ in curriculum.next_batch()]
    assert sorted(drawn) == sorted(selected)
    assert curriculum.epoch == 1.0


def test_a_selection_by_another_method_or_of_other_data_is_refused(finished: Path):
    select(finished, "lim")
    file = f"curriculum.selection={selection_file(finished, 'lim')}"
    with pytest.raises(UserError, match="made with method=lim: accepted is curriculum=lim, not linear"):
        load_selection(load_config([*TINY, "curriculum=linear", file]), problems())
    with pytest.raises(UserError, match="another data set"):
        load_selection(load_config([*TINY, "curriculum=lim", file]), problems()[:5])
    with pytest.raises(UserError, match=r"needs curriculum.selection=<file>, given is None"):
        load_selection(load_config([*TINY, "curriculum=lim"]), problems())


def test_a_damaged_selection_is_a_sentence(finished: Path, tmp_path: Path):
    whole = select(finished, "lim")
    file = tmp_path / "lim.json"
    config = load_config([*TINY, "curriculum=lim", f"curriculum.selection={file}"])
    text = selection_file(finished, "lim").read_text()
    for content in ("", "[]", "{}", text.replace("selected", "chosen"), text.replace('"lim"', "7")):
        file.write_text(content)
        with pytest.raises(UserError, match=r"lim\.json is damaged"):
            load_selection(config, problems())
    for selected in ([], [*whole.selected, "unheard of"]):
        write_selection(replace(whole, selected=selected), file)
        with pytest.raises(UserError, match="selects no problem, or one that is not in data=countdown"):
            load_selection(config, problems())


def test_a_selection_smaller_than_a_batch_is_refused(finished: Path):
    select(finished, "random_subset", size=1)
    file = selection_file(finished, "random_subset")
    config = load_config([*TINY, "curriculum=random_subset", f"curriculum.selection={file}"])
    with pytest.raises(UserError, match=r"prompts_per_step=2 is more than the 1 problems"):
        build_curriculum(config, problems(), selection=load_selection(config, problems()))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "lmi"}, "unknown method 'lmi'.*did you mean lim"),
        ({"size": "3"}, "size=3 with method=lim: accepted are threshold, share, epochs"),
        (
            {"method": "linear", "seed": "1"},
            "seed=1 with method=linear: accepted are threshold",
        ),
        ({"method": "random_subset", "size": "3", "epochs": "2"}, "epochs=2 and size=3: accepted is one of"),
        ({"threshold": "1.5"}, "threshold=1.5 keeps none of 6 problems: the highest score is 1.00"),
        ({"epochs": "3"}, "has 2 complete epochs.*epochs=3 as many"),
        ({"method": "random_subset", "size": "7"}, "size=7: accepted are 1 to 6"),
        ({"share": "0"}, "share=0: accepted is a number above 0 and at most 1, as in share=0.5"),
        ({"share": ".5", "threshold": ".6"}, "threshold=0.6 and share=0.5: accepted is one of the two"),
        ({"threshold": "high"}, "threshold=high: accepted is a number, as in threshold=0.5"),
        ({"treshold": "1"}, "did you mean threshold"),
        ({"run": "nowhere"}, "nowhere is not a run directory"),
    ],
)
def test_bad_settings_are_one_sentence(
    finished: Path, settings: dict[str, str], sentence: str, capsys: pytest.CaptureFixture
):
    given = {"method": "lim", "run": str(finished)} | settings
    with pytest.raises(SystemExit):
        main(["select", *(f"{key}={value}" for key, value in given.items())])
    assert re.search(sentence, capsys.readouterr().err)


def test_a_run_that_did_not_see_all_problems_twice_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="has 1 complete epochs: a selection needs 2"):
        select(make_run(tmp_path / "short", [row[:1] for row in RIGHT]), "lim")
    with pytest.raises(UserError, match="trained with curriculum=sgpo"):
        select(make_run(tmp_path / "sgpo", RIGHT, "curriculum=sgpo"), "lim")


def test_a_run_does_not_go_on_with_another_selection(finished: Path, tmp_path: Path):
    chosen = select(finished, "lim", file=tmp_path / "chosen.json")
    settings = ["curriculum=lim", f"curriculum.selection={tmp_path}/chosen.json", "benchmark=countdown_3"]
    config = load_config([*TINY, *settings, f"runs={tmp_path}"])
    directory = RunDirectory(config)
    load_data(config, directory)
    (directory.path / "checkpoints" / "step-000001").mkdir()
    load_data(config, directory)
    write_selection(replace(chosen, selected=chosen.selected[:2]), tmp_path / "chosen.json")
    with pytest.raises(UserError, match=r"^the selection is not what .* was trained with so far"):
        load_data(config, directory)


def test_data_that_is_not_what_the_run_was_trained_on_is_refused(finished: Path):
    (finished / "provenance.json").write_text(json.dumps({"data": {"countdown": "0123"}}))
    for method in ("lim", "random_subset"):
        with pytest.raises(UserError, match=r"^countdown is not what .* and was 0123"):
            select(finished, method, size=2 if method == "random_subset" else None)


def test_a_data_file_with_another_answer_is_refused(tmp_path: Path):
    data = tmp_path / "sums.jsonl"
    rows = [{"problem": f"{n} + 1", "answer": str(n + 1)} for n in range(6)]
    data.write_text("".join(map("{}\n".format, map(json.dumps, rows))))
    settings = ["data=jsonl", f"data.path={data}"]
    run = make_run(tmp_path / "run", RIGHT, *settings)
    before = contents({"jsonl": load_problems(load_config([*TINY, *settings]).data, held_out=False)})
    (run / "provenance.json").write_text(json.dumps({"contents": before}))
    assert len(select(run, "random_subset", size=2).selected) == 2
    data.write_text(data.read_text().replace('"answer": "1"', '"answer": "0"'))
    with pytest.raises(UserError, match=r"jsonl is not what .* was trained with so far"):
        select(run, "random_subset", size=2)


def test_what_the_command_line_says(finished: Path, capsys: pytest.CaptureFixture):
    main(["select", "method=lim", f"run={finished}"])
    said = capsys.readouterr().out
    assert "lim: 4 problems kept (threshold 0.6)" in said
    assert ">= 0.6: 4" in said
    assert str(selection_file(finished, "lim")) in said
