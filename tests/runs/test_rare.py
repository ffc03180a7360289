import json
import shutil
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch

from rlvr.config import load_config
from rlvr.data import Verdict
from rlvr.errors import UserError
from rlvr.evaluation import samples_key
from rlvr.evaluation.rare import mean_nll, rarest
from rlvr.evaluation.sampling import write_parquet
from rlvr.files.atomic import locked
from rlvr.policy.adapter import BASE
from rlvr.policy.policy import EMBEDDED
from rlvr.problems import load_problems
from rlvr.runs import rare
from rlvr.runs.evaluate import is_finished
from rlvr.runs.rare import draw, rare_file
from rlvr.runs.run import run
from rlvr.runs.start import Start
from rlvr.training.checkpoint import checkpoint_path

TINY = [
    "scale=smoke",
    "tracking=local",
    "experiment=rare",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=4",
    "training.steps=1",
    "training.checkpoint_every=1",
    "training.prompts_per_step=4",
    "training.mini_batch_prompts=4",
    "training.learning_rate=1e-2",
    "evaluation.samples=2",
    "evaluation.k=[1]",
]
RARE = ["evaluation.rare.prompts=6", "evaluation.rare.samples=40", "evaluation.rare.share=0.1"]


def test_the_rarest_are_those_of_highest_nll():
    nll = np.array([0.2, 0.9, 0.1, 0.9, 0.5, 0.3])
    assert rarest(nll, 0.5).tolist() == [1, 3, 4]
    assert rarest(nll, 0.001).tolist() == [1]
    assert rarest(np.arange(126_300.0), 0.01).shape == (1263,)  # the paper's set


@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_the_nll_is_the_mean_over_tokens_of_the_plain_forward(frozen_policy, budget):
    problems = load_problems(load_config().data, held_out=False)[:2]
    completions = [[5, 6, 7], [5, 6, 9, 11], [8]]
    of = [problems[0], problems[0], problems[1]]
    expected = []
    for problem, completion in zip(of, completions, strict=True):
        prompt = frozen_policy.encode(problem)
        layoutless = torch.tensor([prompt + completion])
        model = frozen_policy.model
        implementation = model.config._attn_implementation
        model.set_attn_implementation("eager")
        with torch.no_grad():
            logp = model(layoutless).logits[0].log_softmax(-1)
        model.set_attn_implementation(implementation)
        rows = range(len(prompt) - 1, len(prompt) + len(completion) - 1)
        expected.append(-np.mean([logp[row, token] for row, token in zip(rows, completion, strict=True)]))
    assert mean_nll(frozen_policy, of, completions, budget=budget) == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> tuple[Path, list[str], dict]:
    """A run evaluated without the rare answers, then asked for them; and its files in between."""
    overrides = [*TINY, f"runs={tmp_path_factory.mktemp('runs')}"]
    path = run(load_config(overrides))
    samples = path / "evaluation" / "countdown_3.parquet"
    before = {
        "samples": samples.stat().st_mtime_ns,
        "seconds": json.loads((path / "summary.json").read_text()),
    }
    assert is_finished(load_config(overrides), path)
    assert not is_finished(load_config([*overrides, *RARE]), path)
    run(load_config([*overrides, *RARE]), Start(evaluate=True))
    return path, overrides, before


def test_a_finished_run_gets_the_missing_piece_only(evaluated):
    path, overrides, before = evaluated
    config = load_config([*overrides, *RARE])
    assert is_finished(config, path)
    assert (path / "evaluation" / "countdown_3.parquet").stat().st_mtime_ns == before["samples"]
    summary = json.loads((path / "summary.json").read_text())
    assert summary["seconds"] == before["seconds"]["seconds"]
    answers = pd.read_parquet(path / "evaluation" / "rare-answers.parquet")
    increase = answers["nll"] - answers["initial_nll"]
    assert summary["rare"]["answers"] == len(answers) >= 1
    assert summary["rare"]["delta_nll"] == pytest.approx(increase.mean())
    assert increase.abs().max() > 1e-3  # the learning rate is large
    assert not is_finished(load_config([*overrides, *RARE, "evaluation.rare.seed=1"]), path)


def test_the_set_is_drawn_once_and_is_of_correct_answers(evaluated):
    path, overrides, _ = evaluated
    config = load_config([*overrides, *RARE])
    file = rare_file(config, path)
    written = file.stat().st_mtime_ns
    assert draw(config, path) == file and file.stat().st_mtime_ns == written
    assert [other.name for other in file.parent.glob("rare-*")] == [file.name]
    kept = pd.read_parquet(file)
    asked = {problem.id for problem in load_problems(config.data, held_out=False)}
    assert set(kept["problem_id"]) <= asked and kept["problem_id"].nunique() <= 6
    assert (kept["nll"] > 0).all() and (kept["token_ids"].map(len) > 0).all()


def test_the_initial_policy_has_no_increase(evaluated, tmp_path):
    _, overrides, _ = evaluated
    path = run(load_config([*overrides, *RARE, "arm=base", "training.steps=0"]))
    answers = pd.read_parquet(path / "evaluation" / "rare-answers.parquet")
    assert (answers["nll"] == answers["initial_nll"]).all()


def test_other_weights_data_or_sampling_have_another_set(evaluated, tmp_path):
    path, overrides, _ = evaluated
    config = load_config([*overrides, *RARE])
    other = tmp_path / "run"
    manifest = json.loads((checkpoint_path(path, 0) / "manifest.json").read_text())
    manifest["blake2b"]["model.safetensors"] = "0" * 32
    checkpoint_path(other, 0).mkdir(parents=True)
    (checkpoint_path(other, 0) / "manifest.json").write_text(json.dumps(manifest))
    changed = [["model.prompts.default.instruction=Think"], ["model.stop_strings=[x]"]]
    changed += [["training.precision=bfloat16"]]
    changed += [["evaluation.samples_per_shard=40"], ["rollout=vllm"]]
    changed += [["data.seed=7"], ["training.sampling.temperature=0.9"], ["evaluation.rare.samples=41"]]
    files = {rare_file(load_config([*overrides, *RARE, *change]), path) for change in changed}
    files |= {rare_file(config, path), rare_file(config, other)}
    assert len(files) == 10


def test_a_data_file_with_another_answer_has_another_set(evaluated, tmp_path):
    path, overrides, _ = evaluated
    file = tmp_path / "sums.jsonl"
    config = load_config([*overrides, *RARE, "data=jsonl", f"data.path={file}"])
    files = []
    for answer in ("4", "4", "5"):
        file.write_text(json.dumps({"problem": "2 + 2", "answer": answer}) + "\n")
        files.append(rare_file(config, path))
    assert files[0] == files[1] != files[2]


def test_a_mixtures_set_is_that_of_its_questions(evaluated, tmp_path, monkeypatch):
    """Neither the folder of a part's files nor a judge of a file is asked anything."""
    path, overrides, _ = evaluated
    monkeypatch.chdir(tmp_path)
    parts = ["data=[countdown,mental_arithmetic]", "data.parts.countdown.size=16"]
    parts += ["data.parts.mental_arithmetic.size=8", "data.parts.countdown.verifier=mine.py:judge"]
    folders = set()
    for judge, more in (("True", []), ("False", []), ("False", ["data.parts.countdown.root=elsewhere"])):
        (tmp_path / "mine.py").write_text(f"def judge(problem, text): return {judge}")
        folders.add(rare_file(load_config([*overrides, *RARE, *parts, *more]), path).parent)
    assert len(folders) == 1
    other = ["data.parts.countdown.seed=7"]
    assert rare_file(load_config([*overrides, *RARE, *parts, *other]), path).parent not in folders


def test_the_set_of_an_adapter_is_also_that_of_its_bases_tokenizer(evaluated, tmp_path):
    """A checkpoint has the digest of the base's weights, and none of its other files."""
    _, overrides, _ = evaluated
    base, run_folder = tmp_path / "base", tmp_path / "run"
    shutil.copytree(EMBEDDED, base)
    checkpoint_path(run_folder, 0).mkdir(parents=True)
    manifest = {"step": 0, "blake2b": {BASE: "0", "adapter_model.safetensors": "1", "trainer.pt": "2"}}
    (checkpoint_path(run_folder, 0) / "manifest.json").write_text(json.dumps(manifest))
    config = load_config([*overrides, *RARE, "adapter=lora", f"model.path={base}"])
    before = rare_file(config, run_folder)
    assert rare_file(config, run_folder) == before
    with (base / "chat_template.jinja").open("a") as template:
        template.write(" ")
    assert rare_file(config, run_folder).parent != before.parent


def test_a_policy_that_is_never_right_has_no_rare_answers(evaluated, tmp_path):
    """Before, the summary had a NaN, and no page could be made of a table with such a run."""
    path, overrides, _ = evaluated
    file = tmp_path / "sums.jsonl"
    file.write_text(json.dumps({"problem": "2 + 2", "answer": "123456789"}) + "\n")
    config = load_config([*overrides, *RARE, "data=jsonl", f"data.path={file}", "verifier=integer"])
    with pytest.raises(UserError, match="no answer in 40 samples is right; ask for more"):
        draw(config, path)
    assert not rare_file(config, path).exists()


def test_a_killed_draw_goes_on(evaluated, tmp_path, monkeypatch):
    """But not with shards of another size, whose samples are others."""
    path, overrides, _ = evaluated
    config = load_config([*overrides, *RARE, "evaluation.samples_per_shard=80", f"runs={tmp_path}"])
    whole = load_config([*overrides, *RARE, "evaluation.samples_per_shard=80", f"runs={tmp_path / 'whole'}"])

    def killed(shard, table):
        write_parquet(shard, table)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(rare, "write_parquet", killed)
        draw(config, path)
    (first,) = tmp_path.rglob("samples-*")
    written = first.stat().st_mtime_ns
    assert draw(config, path).read_bytes() == draw(whole, path).read_bytes()
    assert first.stat().st_mtime_ns == written and len(list(first.parent.glob("samples-*"))) == 3
    assert rare_file(load_config([*overrides, *RARE, f"runs={tmp_path}"]), path).parent != first.parent


def test_another_version_of_the_verifier_judges_the_samples_again(evaluated, monkeypatch):
    """The set of the first was taken, and a finished run kept its number."""
    path, overrides, _ = evaluated
    config = load_config([*overrides, *RARE])
    before = draw(config, path)
    monkeypatch.setattr(rare, "open_engine", None)
    monkeypatch.setattr(samples_key, "verifier_version", lambda name: "another")
    assert not is_finished(config, path)
    again = draw(config, path)
    assert again.parent == before.parent and again != before
    assert again.read_bytes() == before.read_bytes()

    def all_right(groups):
        for group in groups:
            group.verdicts = [Verdict.CORRECT] * len(group.completions)

    monkeypatch.setattr(samples_key, "verifier_version", lambda name: "a third")
    monkeypatch.setattr(rare, "verify", all_right)
    assert len(pd.read_parquet(draw(config, path))) == 24  # a tenth of 6 x 40
    more = draw(load_config([*overrides, *RARE, "evaluation.rare.share=1"]), path)
    assert len(pd.read_parquet(more)) == 240


def test_an_edited_judge_judges_the_samples_again(evaluated, tmp_path, monkeypatch):
    path, overrides, _ = evaluated
    monkeypatch.chdir(tmp_path)
    found = []
    for rest in (0, 1):
        Path("mine.py").write_text(f"def judge(problem, text): return len(text) % 2 == {rest}")
        config = load_config([*overrides, *RARE, "evaluation.rare.share=1", "verifier=mine.py:judge"])
        found.append(draw(config, path))
        monkeypatch.setattr(rare, "open_engine", None)
    assert found[0].parent == found[1].parent
    texts = [text for shard in found[0].parent.glob("samples-*") for text in pd.read_parquet(shard)["text"]]
    assert len(pd.read_parquet(found[0])) == sum(len(text) % 2 == 0 for text in texts)
    assert len(pd.read_parquet(found[1])) == sum(len(text) % 2 == 1 for text in texts)


def test_runs_of_a_sweep_wait_for_the_one_that_draws(evaluated, tmp_path):
    """The second to come used to fail."""
    path, overrides, _ = evaluated
    config = load_config([*overrides, *RARE, f"runs={tmp_path}"])
    file, found = rare_file(config, path), []
    file.parent.mkdir(parents=True)
    with locked(file.parent / "lock"):
        waiting = Thread(target=lambda: found.append(draw(config, path)))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        file.touch()
    waiting.join()
    assert found == [file] and file.stat().st_size == 0
