"""Where a run reads and writes: where it is said, and nowhere else."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file
from tiny_runs import tiny

import rlvr
from rlvr.cli.arguments import read
from rlvr.cli.main import VERBS, main
from rlvr.config import Config, config_from_yaml, load_config, run_directory
from rlvr.curriculum.lim import Selection, write_selection
from rlvr.errors import UserError
from rlvr.files.run_directory import (
    RunDirectory,
    damaged_files,
    fingerprint_of,
    read_provenance,
    read_summary,
)
from rlvr.policy.policy import EMBEDDED
from rlvr.problems import ids_of, load_problems
from rlvr.runs.evaluation_config import config_of_run, overrides_of_evaluation
from rlvr.runs.run import run
from rlvr.runs.start import Start


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny(tmp_path_factory.mktemp("runs")))


def evaluation_of(run: Path, *overrides: str, n: int | None = None) -> Config:
    """The config of `rlvr evaluate run=<run> [n=<n>] <overrides>`."""
    return config_of_run(run, overrides_of_evaluation(overrides, n=n))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", ["copy", "adhoc/tiny/seed-1"])
def test_an_evaluation_of_a_copied_run_writes_into_the_copy(finished: Path, tmp_path: Path, name: str):
    copy = tmp_path / name
    shutil.copytree(finished, copy)
    before = contents(finished.parents[2])
    assert run(evaluation_of(copy, n=2)) == copy
    assert contents(finished.parents[2]) == before
    assert len(pd.read_parquet(copy / "evaluation" / "countdown_3.parquet")) == 4 * 2

    second = tmp_path / "second"  # a copy of the copy is its own run too
    shutil.copytree(copy, second)
    before = contents(copy)
    assert run(evaluation_of(second, n=3)) == second
    assert contents(copy) == before


def test_a_run_is_found_by_another_way_to_its_folder(finished: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(finished.parent)
    assert run_directory(evaluation_of(Path("seed-1"))).resolve() == finished.resolve()
    assert config_from_yaml(finished / "config.yaml").folder is None


def test_a_strangers_run_writes_nothing_where_its_config_says(finished: Path, tmp_path: Path):
    copy, elsewhere = tmp_path / "copy", tmp_path / "elsewhere"
    shutil.copytree(finished, copy)
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace(f"runs: {finished.parents[2]}", f"runs: {elsewhere}"))
    run(evaluation_of(copy, "evaluation.rare.prompts=4", "evaluation.rare.samples=40", n=2))
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    "override",
    [
        "arm=../../../escaped",
        "arm=/abs",
        "arm=..",
        "arm=''",
        "arm='a\tb'",
        "experiment=/abs",
        "experiment=a/../../b",
        "experiment=a//b",
        "experiment=..",
        "arm=" + "a" * 201,
        "+benchmark.tasks={../../bench: {name: countdown, source: countdown, size: 4}}",
    ],
)
def test_names_stay_in_their_folder(tmp_path: Path, override: str):
    with pytest.raises(
        UserError,
        match=r"^(arm|experiment|benchmark).*(can't be the name of a folder or file|accepted is a name)",
    ):
        tiny(tmp_path, override)


def test_names_of_benchmarks_are_checked_in_a_strangers_run_too(finished: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("    countdown_3:", "    ../../escaped:"))
    with pytest.raises(UserError, match=r"benchmark: '../../escaped' can't be"):
        evaluation_of(copy)


def test_a_summary_names_no_files_outside(tmp_path: Path):
    files = {"evaluation/../../x.parquet": {"blake2b": "", "rows": 0}}
    (tmp_path / "summary.json").write_text(json.dumps({"files": files}))
    with pytest.raises(UserError, match=r"names evaluation/../../x.parquet, which is outside"):
        damaged_files(tmp_path)


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load_config(["runs=~/runs", "data=jsonl", "data.path=~/data.jsonl", "profile.file=~/p.json"])
    assert (config.runs, config.data.path, config.profile.file) == (
        f"{tmp_path}/runs",
        f"{tmp_path}/data.jsonl",
        f"{tmp_path}/p.json",
    )
    typed = ["runs=~/x", "data=gsm8k", "+data.root=~/y", "benchmark.tasks.countdown_3.path=~/z", "--cfg"]
    main(["train", *typed])
    printed = capsys.readouterr().out
    assert all(f": {tmp_path}/{name}\n" in printed for name in "xyz")
    assert read(VERBS["report"], ["~/run", "file=~/page.html"]).file == tmp_path / "page.html"
    with pytest.raises(UserError, match=f"{tmp_path}/run is not a run directory"):
        rlvr.evaluate("~/run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    with pytest.raises(UserError, match=r"config.yaml is no whole config"):
        rlvr.evaluate("~/run")


@pytest.mark.parametrize(
    "key",
    [
        *("seed=2", "arm=other", "experiment=other", "training.steps=9"),
        *("runs=elsewhere", "folder=elsewhere", "scale=laptop", "training.learning_rate=1.0"),
        *("data.verifier=words", "advantage_scaling=focal"),
    ],
)
def test_an_evaluation_is_of_the_run_that_was_given(finished: Path, key: str):
    """It used to train another one, or the same one further; of a scale only the name came over. What was
    trained otherwise was told to take another arm=, which an evaluation refuses, or to remove the run."""
    with pytest.raises(
        UserError, match=rf"^{key} with run=: that is .*, accepted are keys of its evaluation"
    ):
        evaluation_of(finished, key)


def test_k_that_is_given_beside_n_stands(finished: Path):
    """It was passed over for the powers of two."""
    config = evaluation_of(finished, "evaluation.k=[1,3]", n=8)
    assert (config.evaluation.samples, config.evaluation.k) == (8, [1, 3])


def test_overrides_of_an_evaluation_are_hydras(finished: Path):
    """A value that stood before its group was lost; `+`, `~` and `${}` were refused, `{}` replaced all."""
    config = evaluation_of(
        finished,
        "benchmark.tasks.gcd.size=5",
        "benchmark=gcd",
        "+evaluation.select_on=test",
        "~evaluation.validation_samples",
        "evaluation.sampling={temperature: 0.5}",
        "evaluation.seed=${seed}",
    )
    assert {name: task.size for name, task in config.benchmark.tasks.items()} == {"gcd": 5}
    evaluation = config.evaluation
    assert (evaluation.select_on, evaluation.validation_samples, evaluation.seed) == ("test", 16, 1)
    assert vars(evaluation.sampling) == {"max_tokens": 16, "temperature": 0.5, "top_p": 1.0, "top_k": 0}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("cluster=slurm", "cluster= with run=: accepted are keys of its evaluation"),
        ("+benchmark=gcd", "Multiple values for benchmark"),
        ("evaluation.seed=1,2", "evaluation.seed=1,2: several values are a sweep"),
        ("evaluation.sed=1", "unknown key in evaluation 'sed'.*did you mean seed"),
    ],
)
def test_what_no_evaluation_has_gets_a_sentence(finished: Path, override: str, sentence: str):
    with pytest.raises(UserError, match=f"^{sentence}"):
        evaluation_of(finished, override)


def test_the_files_of_another_seed_are_not_those_of_this_one(finished: Path, tmp_path: Path):
    shutil.copytree(finished, copy := tmp_path / "seed-2")
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("\nseed: 1\n", "\nseed: 2\n"))
    with pytest.raises(UserError, match=r"seed-2 holds a run with seed=1, not 2"):
        run(evaluation_of(copy, n=2))


def test_an_option_that_a_run_is_evaluated_with_has_to_be_there(finished: Path):
    with pytest.raises(UserError, match=r"unknown benchmark 'countdwon'.*did you mean countdown"):
        evaluation_of(finished, "benchmark=countdwon")
    with pytest.raises(UserError, match="several values are a sweep"):
        evaluation_of(finished, "benchmark=countdown,mazes")


@pytest.mark.parametrize("change", ["an answer", "a problem less"])
def test_a_run_does_not_go_on_with_another_file_behind_the_same_path(tmp_path: Path, change: str):
    rows = [{"problem": f"make {2 * i} from {i} {i} with +", "answer": str(2 * i)} for i in range(1, 9)]
    data = tmp_path / "data.jsonl"

    def write(rows: list[dict]) -> None:
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))

    write(rows)
    overrides = ["data=jsonl", f"data.path={data}", "data.parameters.verifier=integer", "training.steps=1"]
    config = tiny(tmp_path / "runs", *overrides, "evaluation.after_training=false")
    path = run(config)
    (path / "summary.json").unlink()
    before = read_provenance(path)
    write([*rows[:-1], {**rows[-1], "answer": "17"}] if change == "an answer" else rows[:-1])
    then = "|".join(before[kind][config.data.name] for kind in ("data", "contents"))
    with pytest.raises(UserError, match=rf"fingerprint is \w+, and was ({then})"):
        run(config)
    write(rows)
    run(config)
    write([*rows[:-1], {**rows[-1], "answer": "17"}] if change == "an answer" else rows[:-1])
    with pytest.raises(UserError, match=r"fingerprint is \w+, and was"):
        run(config)  # though it is trained: it was said to be done before
    data.unlink()
    run(config)


def test_a_run_does_not_go_on_from_another_model_behind_the_same_path(tmp_path: Path):
    """KL's reference would be the other one, and a run that is done would pass for one of it."""
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED, folder)
    weights = folder / "model.safetensors"
    before = load_file(weights)
    config = tiny(tmp_path / "runs", f"model.path={folder}", "evaluation.after_training=false")
    path = run(replace(config, training=replace(config.training, steps=1)))
    (folder / "results.json").write_text("{}")  # of somebody else's, and nothing of the model
    save_file({name: tensor * 1.01 for name, tensor in before.items()}, weights, {"format": "pt"})
    with pytest.raises(UserError, match=rf"{folder} is not what .* was trained with so far"):
        run(config)
    save_file(before, weights, {"format": "pt"})
    run(config)
    assert read_summary(path)["trained_steps"] == 2
    ends = folder / "generation_config.json"  # where completions end, for whatever loads the folder again
    kept = ends.read_text()
    ends.write_text(kept.replace('"eos_token_id": 2', '"eos_token_id": [2, 5]'))
    with pytest.raises(UserError, match=rf"{folder} is not what .* was trained with so far"):
        run(config)
    ends.write_text(kept)
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(UserError, match=rf"{folder} is not what .* was trained with so far"):
        run(config)
    shutil.rmtree(folder)
    run(config)


def test_a_run_does_not_go_on_with_another_selection(tmp_path: Path):
    """Its second step used to be of other problems, behind the same path."""
    file = tmp_path / "chosen.json"
    overrides = ["data.size=40", "curriculum=lim", f"curriculum.selection={file}"]
    config = tiny(tmp_path / "runs", *overrides, "evaluation.after_training=false")
    ids = ids_of(load_problems(config.data, held_out=False))

    def choose(selected: Sequence[str]) -> None:
        write_selection(Selection("lim", fingerprint_of(ids), "x", {}, 0.0, list(selected), {}), file)

    choose(ids[:8])
    path = run(replace(config, training=replace(config.training, steps=1)))
    choose(ids[8:16])
    with pytest.raises(UserError, match=r"the selection is not what .* was trained with so far"):
        run(config)
    choose(ids[:8])
    run(config)
    lines = [json.loads(line) for line in (path / "accuracy.jsonl").read_text().splitlines()]
    assert {problem for line in lines for problem in line["accuracy"]} == set(ids[:8])
    choose(ids[8:16])
    with pytest.raises(UserError, match=r"the selection is not what .* was trained with so far"):
        run(config)  # trained to its end: before, taken as done
    file.unlink()
    run(config)


def test_a_refused_config_leaves_the_folder_to_the_right_one(tmp_path: Path):
    """A notebook keeps the error, and kept the lock of the folder with it."""
    config = tiny(tmp_path, "arm=mine")
    RunDirectory(config).close()
    with pytest.raises(UserError, match=r"holds a run with training\.learning_rate") as kept:
        RunDirectory(replace(config, training=replace(config.training, learning_rate=1.0)))
    RunDirectory(config).close()
    assert kept.value


def test_data_may_have_moved_before_a_run_goes_on(tmp_path: Path):
    """The root of the training data might, and that of the benchmarks, which is the same key, might not."""
    config = tiny(tmp_path / "runs", "evaluation.after_training=false")
    run(replace(config, training=replace(config.training, steps=1)))
    for part in (config.data, *config.benchmark.tasks.values()):
        part.root = str(tmp_path)
    path = run(config)
    assert len((path / "metrics.jsonl").read_text().splitlines()) == 2


def test_an_evaluation_that_has_to_train_first_says_so(tmp_path: Path, capsys: pytest.CaptureFixture):
    config = tiny(tmp_path, "training.steps=1", "arm=mine")
    path = run(config, Start(evaluate=True))
    said = f"{path} has not been trained to step 1: that comes first"
    assert said in capsys.readouterr().err
    run(config, Start(evaluate=True))
    assert said not in capsys.readouterr().err
