"""Large models have their weights in several files: what reads a checkpoint reads all of them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tiny_runs
import torch

from rlvr.config import Config
from rlvr.files.run_directory import read_summary
from rlvr.policy import policy
from rlvr.policy.location import digests_of_files
from rlvr.policy.policy import load_policy
from rlvr.policy.weights import check_stored, weights_digest
from rlvr.runs.deadline import OutOfTime
from rlvr.runs.export import export_run
from rlvr.runs.push import push_run
from rlvr.runs.rare import rare_file
from rlvr.runs.run import run
from rlvr.runs.weights import digests_of
from rlvr.training.checkpoint import checkpoint_path, damage_of, latest_checkpoint, read_manifest

SETTINGS = (
    *("experiment=rare", "training.learning_rate=1e-2", "evaluation.rare.prompts=6"),
    *("evaluation.rare.samples=40", "evaluation.rare.share=0.1"),
)


def tiny(folder: Path, *overrides: str) -> Config:
    return tiny_runs.tiny(folder, *SETTINGS, *overrides)


def weights_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny(tmp_path_factory.mktemp("one")))


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after its first step, and went on."""
    folder = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "FILE_SIZE", "300KB")
        with patch.context() as stop:
            checks = iter([False])
            stop.setattr("rlvr.runs.run.check_time", lambda: None if not next(checks, True) else stopped())
            run(tiny(folder))
        return run(tiny(folder))


def stopped() -> None:
    raise OutOfTime


def test_a_run_is_the_same_with_its_weights_in_several_files(one_file: Path, many_files: Path):
    """Stopped and gone on with, evaluated, and its rare answers drawn and measured."""
    for name in ("metrics.jsonl", "validation.jsonl"):
        assert (many_files / name).read_bytes() == (one_file / name).read_bytes()
    for file in (one_file / "evaluation").glob("*.parquet"):  # whose metadata has the digests
        assert pq.read_table(many_files / "evaluation" / file.name).equals(pq.read_table(file))
    rare = [read_summary(path)["rare"] for path in (many_files, one_file)]
    assert len({measured.pop("set") for measured in rare}) == 2  # the policies' files are others
    assert rare[0] == rare[1]
    for step in range(3):
        single, several = (checkpoint_path(path, step) for path in (one_file, many_files))
        assert len(weights_in(single)) == 1 and len(weights_in(several)) > 5
        digests = [weights_digest(load_policy(folder).model) for folder in (single, several)]
        assert digests[0] == digests[1]
    assert latest_checkpoint(many_files, last_step=2).step == 2


def test_the_digests_are_of_all_files(many_files: Path):
    folder, config = checkpoint_path(many_files, 2), tiny(many_files.parents[2])
    names = {file.name for file in weights_in(folder)}
    assert names < digests_of(config, folder).keys() and names < digests_of_files(folder).keys()
    check_stored(str(folder))
    last = weights_in(folder)[-1]
    content = last.read_bytes()
    for harm, said in (
        (lambda: last.write_bytes(content[:-1] + b"x"), f"{last.name} does not have the digest"),
        (last.unlink, f"{last.name} is missing"),
    ):
        harm()
        assert damage_of(folder).startswith(said)
        last.write_bytes(content)
    assert damage_of(folder) is None


def test_a_set_of_rare_answers_is_that_of_all_files(many_files: Path, monkeypatch: pytest.MonkeyPatch):
    config = tiny(many_files.parents[2])
    found = rare_file(config, many_files)
    for file in weights_in(checkpoint_path(many_files, 0)):
        changed = read_manifest(checkpoint_path(many_files, 0))
        changed["blake2b"][file.name] = "0" * 32
        with monkeypatch.context() as patch:
            patch.setattr("rlvr.runs.weights.read_manifest", lambda _, changed=changed: changed)
            assert rare_file(config, many_files) != found
    assert rare_file(config, many_files) == found and found.exists()


def test_an_export_of_several_files_has_the_weights(many_files: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(policy, "FILE_SIZE", "300KB")
    trained = weights_digest(load_policy(checkpoint_path(many_files, 2)).model)
    exported = export_run(many_files, tmp_path / "exported", step=2)
    push_run(many_files, tmp_path / "pushed", step=2)
    for folder in (exported, tmp_path / "pushed"):
        assert len(weights_in(folder)) > 5
        assert weights_digest(load_policy(folder).model) == trained


def test_ranks_write_the_same_files_as_one_process(tmp_path: Path):
    """They give transformers their parameters by name; the sets of rare answers are named by these files."""
    model = load_policy("embedded").model
    model.save_pretrained(tmp_path / "one", max_shard_size="300KB")
    state = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    model.save_pretrained(tmp_path / "ranks", state_dict=state, max_shard_size="300KB")
    one, ranks = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("one", "ranks")
    )
    assert one == ranks and len(json.loads(one["model.safetensors.index.json"])["weight_map"]) == len(state)
    assert all(torch.equal(weight, state[name]) for name, weight in model.named_parameters())
