"""What a table's arms need before they can train: profiles, and selections from an earlier arm."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

import rlvr.runs.reproduce
from rlvr.config import EXPERIMENTS, hydra_text, load_config
from rlvr.curriculum.profile import profile_file
from rlvr.errors import UserError
from rlvr.runs.estimate import print_estimate
from rlvr.runs.reproduce import repeat_of, reproduce_table, run_missing, say_what_arms_set
from rlvr.runs.schedule import ScheduledRun, runs_of, schedule_runs
from rlvr.runs.select import selection_file
from rlvr.runs.start import Start
from rlvr.tables.read_spec import read_spec
from rlvr.tables.spec import TableSpec


def spec_of(table: str, *arms: str) -> TableSpec:
    spec = read_spec(EXPERIMENTS / f"{table}.yaml", "smoke")
    return replace(spec, arms=[arm for arm in spec.arms if arm.name in arms])


def base(folder: Path, table: str) -> list[str]:
    return [f"experiment={table}/smoke", "scale=smoke", f"runs={folder}", "tracking=local"]


def test_an_arm_trains_on_what_the_run_with_its_seed_chose(tmp_path: Path):
    scheduled = schedule_runs(spec_of("limr/laptop", "full", "lim"), [1, 2], base(tmp_path, "limr/laptop"))
    full_1, lim_1, full_2, lim_2 = scheduled
    assert (lim_1.source, lim_2.source) == (full_1, full_2)
    assert lim_2.config.curriculum.selection == str(selection_file(full_2.directory, "lim"))
    assert full_1.source is None
    assert full_1.config.data.size == 64, "the table's own overrides hold for every arm"


def test_a_tables_folder_may_have_any_name(tmp_path: Path):
    runs = tmp_path / "a, b (c)=é" / "runs"
    given = ["experiment=x", "scale=smoke", f"runs={hydra_text(str(runs))}"]
    full, lim = schedule_runs(spec_of("limr/laptop", "full", "lim"), [1], given)
    assert (full.config.runs, lim.config.runs) == (str(runs), str(runs))
    assert lim.config.curriculum.selection == str(selection_file(full.directory, "lim"))


def test_overrides_of_the_command_line_come_after_the_tables(tmp_path: Path):
    (run,) = schedule_runs(
        spec_of("limr/laptop", "full"), [1], [*base(tmp_path, "limr/laptop"), "data.size=80"]
    )
    assert run.config.data.size == 80


def test_the_config_of_each_seed_is_its_own(tmp_path: Path):
    """What was said by ${seed} was the first seed's in all, so that the others were never found finished."""
    given = [*base(tmp_path, "limr/laptop"), "evaluation.seed=${seed}"]
    scheduled = schedule_runs(spec_of("limr/laptop", "full"), [1, 2], given)
    assert [run.config.evaluation.seed for run in scheduled] == [1, 2]


def test_a_source_must_be_an_earlier_arm(tmp_path: Path):
    with pytest.raises(UserError, match="unknown arm to select from, before this one 'full'"):
        schedule_runs(spec_of("limr/laptop", "lim"), [1], base(tmp_path, "limr/laptop"))


def test_arms_that_select_by_other_settings_have_files_of_their_own(tmp_path: Path):
    spec = spec_of("combined/laptop", "grpo", "grpo-lim", "f-grpo-lim")
    small = replace(spec.arms[2], select=replace(spec.arms[2].select, share=0.05))
    arms = [*spec.arms[:2], small, replace(spec.arms[1], name="again")]
    _, first, other, again = schedule_runs(replace(spec, arms=arms), [1], base(tmp_path, "combined/laptop"))
    assert first.config.curriculum.selection == again.config.curriculum.selection
    assert Path(other.config.curriculum.selection).name == "selection-lim-share=0.05.json"


def test_sources_train_first_and_what_is_there_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is really run: launches, profiles and selections are noted, and leave their files."""
    spec = spec_of("combined/laptop", "grpo", "grpo-sgpo", "f-grpo-sgpo", "grpo-lim", "f-grpo-lim")
    scheduled = schedule_runs(spec, [1], base(tmp_path, "combined/laptop"))
    events: list[tuple] = []

    def make(file: Path, *event) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        events.append(event)

    def launch(jobs: list[list[str]], start: Start) -> None:
        if start.makes == "profile":
            return make(profile_file(load_config(jobs[0])), "profile")
        events.append(("launch", *sorted(map(arm, jobs))))
        trained.update(map(arm, jobs))

    trained: set[str] = set()
    monkeypatch.setattr(ScheduledRun, "trained", property(lambda run: run.arm.name in trained))
    monkeypatch.setattr(rlvr.runs.reproduce, "launch", launch)
    monkeypatch.setattr(rlvr.runs.reproduce, "is_profiled", lambda config: profile_file(config).exists())
    monkeypatch.setattr(
        rlvr.runs.reproduce,
        "select",
        lambda run, method, **_: make(selection_file(run, method), "select", method),
    )

    def arm(job: list[str]) -> str:
        return next(text.removeprefix("arm=") for text in job if text.startswith("arm="))

    run_missing(spec, scheduled, Start())
    assert events == [
        ("profile",),
        ("launch", "f-grpo-sgpo", "grpo", "grpo-sgpo"),
        ("select", "lim"),
        ("select", "lim"),  # again: the file that is there may be of other settings
        ("launch", "f-grpo-lim", "grpo-lim"),
        ("launch", "f-grpo-lim", "f-grpo-sgpo", "grpo", "grpo-lim", "grpo-sgpo"),
    ]


def named(runs: list[ScheduledRun]) -> list[str]:
    return [run.arm.name for run in runs]


def test_some_arms_are_run_with_the_run_that_chooses_their_problems(tmp_path: Path):
    """And without the arm that they are compared with."""
    spec = spec_of("combined/laptop", "base", "grpo", "f-grpo", "grpo-lim", "f-grpo-lim")
    scheduled = schedule_runs(spec, [1, 2], base(tmp_path, "combined/laptop"))
    assert runs_of(spec, scheduled) == scheduled
    assert named(runs_of(spec, scheduled, ["f-grpo"])) == ["f-grpo", "f-grpo"]
    chosen = runs_of(spec, scheduled, ["f-grpo-*"])
    assert [(run.arm.name, run.seed) for run in chosen] == [
        *(("grpo", 1), ("f-grpo-lim", 1), ("grpo", 2), ("f-grpo-lim", 2)),
    ]
    assert named(runs_of(spec, scheduled, ["*-lim", "base"])) == [
        *("base", "grpo", "grpo-lim", "f-grpo-lim"),
        *("grpo", "grpo-lim", "f-grpo-lim"),  # the base policy is not trained, and has one seed
    ]


def test_some_arms_are_run_with_the_baselines_that_bound_their_checkpoints(tmp_path: Path):
    spec = spec_of("fgrpo/table1", "grpo", "f-grpo", "cispo", "f-cispo")
    scheduled = schedule_runs(spec, [1], base(tmp_path, "fgrpo/table1"))
    assert named(runs_of(spec, scheduled, ["f-cispo"])) == ["f-cispo"]
    bounded = replace(spec, checkpoint="baseline")
    assert named(runs_of(bounded, scheduled, ["f-cispo"])) == ["cispo", "f-cispo"]


def test_an_arm_that_is_not_there_or_has_no_value_is_a_sentence(tmp_path: Path):
    spec = spec_of("fgrpo/table3", "grpo", "ds-grpo")
    scheduled = schedule_runs(spec, [1], base(tmp_path, "fgrpo/table3"))
    said = "unknown arm of table fgrpo/table3 'gpro': accepted are ds-grpo, grpo; did you mean grpo?"
    with pytest.raises(UserError, match=re.escape(said)):
        runs_of(spec, scheduled, ["grpo", "gpro"])
    with pytest.raises(UserError, match=r"ds-grpo is not run: its paper gives no algorithm.differential"):
        runs_of(spec, scheduled, ["ds-*"])


def test_arms_are_not_given_where_nothing_is_run(tmp_path: Path):
    with pytest.raises(UserError, match="arms= says what is run, and --render runs nothing"):
        reproduce_table("limr/laptop", results=tmp_path, arms=["lim"], render_only=True)
    assert not list(tmp_path.iterdir())


def test_the_plan_of_some_arms_is_of_their_runs(capsys: pytest.CaptureFixture):
    print_estimate(["scale=smoke"], table="combined/laptop", seeds=[1], arms=["f-grpo-lim"])
    printed = capsys.readouterr().out
    assert printed.startswith("combined/laptop at scale smoke: 2 runs\n")
    assert printed.endswith("rlvr reproduce table=combined/laptop scale=smoke seeds=1 arms=f-grpo-lim\n")


@pytest.mark.parametrize(
    ("given", "accepted"),
    [("arm=grpo", "every arm"), ("seed=3", "seeds=1,2,3"), ("+experiment=x", "own name")],
)
def test_a_key_that_every_run_of_a_table_is_given_is_not_taken_silently(given: str, accepted: str, tmp_path):
    with pytest.raises(UserError, match=accepted):
        reproduce_table("limr/laptop", results=tmp_path, overrides=[given])
    with pytest.raises(UserError, match=accepted):
        print_estimate([given], table="limr/laptop")


def test_a_key_that_arms_set_themselves_is_said_not_to_reach_them(capsys: pytest.CaptureFixture):
    """The arms at other rates; before, the key was dropped for them without a word."""
    spec = spec_of("shootout/laptop", "grpo", "grpo-slower", "power-1-slower")
    say_what_arms_set(spec, ["training.learning_rate=1e-3", "training.steps=5"])
    assert capsys.readouterr().err == (
        "training.learning_rate=1e-3 is not for grpo-slower, power-1-slower: "
        "of training.learning_rate they have a value of their own\n"
    )


def test_the_command_beside_a_table_has_what_was_given():
    assert repeat_of("fgrpo/table1", "smoke", [1, 2], None, []) == ""  # `make` makes it again
    given = ["training.learning_rate=1e-3", "runs.of=a b"]
    assert repeat_of("fgrpo/table1", "smoke", [1, 2], None, given) == (
        "rlvr reproduce table=fgrpo/table1 scale=smoke seeds=1,2 training.learning_rate=1e-3 'runs.of=a b'"
    )
