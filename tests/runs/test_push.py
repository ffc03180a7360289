"""A pushed model: weights that load, a card with the run's numbers, and the papers of the run."""

import re
from pathlib import Path

import pytest
import yaml
from local_hub import TOKEN, local_hub
from tiny_runs import tiny
from transformers import AutoModelForCausalLM

from rlvr.cli.main import main
from rlvr.config import config_from_yaml, identity
from rlvr.files.hub import reachable
from rlvr.files.run_directory import read_summary
from rlvr.runs.run import run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny(tmp_path_factory.mktemp("runs"), "training.steps=1"))


def test_a_model_with_its_card(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    main(["push", str(finished), str(tmp_path / "mine")])
    assert capsys.readouterr().out == f"{tmp_path / 'mine'}\n"
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "mine").num_parameters() > 1e5
    _, front, card = (tmp_path / "mine" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["tags"] == ["rlvr", "reinforcement-learning", "grpo"]
    assert "# tiny, seed 1" in card
    (row,) = re.findall(r"^\| countdown_3 \| 4 \| (.*) \|$", card, re.MULTILINE)
    measured = read_summary(finished)["evaluation"]["countdown_3"]["pass@k"].values()
    assert [cell.split(" ±")[0] for cell in row.split(" | ")] == [f"{100 * value:.1f}" for value in measured]
    stored = config_from_yaml(tmp_path / "mine" / "rlvr-config.yaml")
    assert identity(stored) == identity(config_from_yaml(finished / "config.yaml"))
    assert (tmp_path / "mine" / "rlvr-provenance.json").read_bytes() == (
        finished / "provenance.json"
    ).read_bytes()


def test_another_checkpoint_has_no_numbers_of_the_evaluated_one(finished: Path, tmp_path: Path):
    main(["push", str(finished), str(tmp_path / "first"), "step=0"])
    assert "This checkpoint was not evaluated." in (tmp_path / "first" / "README.md").read_text()


def test_without_a_hub_nothing_is_written(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(SystemExit):
        main(["push", str(finished), str(tmp_path / "mine"), "hub=owner/name"])
    assert "hub=owner/name: the hub can't be reached; without hub= it is" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_a_hub_gets_all_of_it(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """huggingface_hub's own client, against a server that speaks its protocol: LFS for the weights."""
    reachable.cache_clear()
    with local_hub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # it has LFS alone
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        main(["push", str(finished), str(tmp_path / "mine"), "hub=owner/name"])
        assert capsys.readouterr().out == f"{hub.address}/owner/name/commit/1\n"
        monkeypatch.setenv("HF_TOKEN", "of somebody else")
        with pytest.raises(SystemExit):
            main(["push", str(finished), str(tmp_path / "again"), "hub=owner/name"])
    refused = capsys.readouterr().err
    assert "hub=owner/name was not uploaded (" in refused and "401" in refused
    assert f"log in with `hf auth login`; {tmp_path / 'again'} holds all of it" in refused
    (repository,) = hub.created
    assert (repository["organization"], repository["name"]) == ("owner", "name")
    assert repository["visibility"] == "private"
    written = {file.name: file.read_bytes() for file in (tmp_path / "mine").iterdir()}
    assert hub.files == written
    assert {"README.md", "model.safetensors", "rlvr-config.yaml", "tokenizer.json"} <= written.keys()
    reachable.cache_clear()
