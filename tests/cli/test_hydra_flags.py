"""Hydra's flags on rlvr's verbs, as a user of other Hydra programs would try them."""

from pathlib import Path

import pytest
import yaml

from rlvr.cli.main import main
from rlvr.config import load_config
from rlvr.config.search_path import CONFIG_DIRS
from rlvr.runs.sweep import expand


@pytest.fixture(autouse=True)
def no_folders_left():
    yield
    CONFIG_DIRS.clear()


def printed(capsys: pytest.CaptureFixture, *words: str) -> str:
    main(words)
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture, *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of configs as a user may have: an option of a group, and a primary config with a sweep."""
    (tmp_path / "algorithm").mkdir()
    (tmp_path / "algorithm" / "dippo.yaml").write_text("defaults: [grpo]\nclip_high: 0.5\n")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "wide.yaml").write_text("# @package _global_\ntraining: {learning_rate: 0.25}\n")
    (tmp_path / "mine.yaml").write_text(
        "defaults: [config, _self_]\nseed: 7\n"
        "hydra:\n  sweeper:\n    params: {seed: '8,9', training.weight_decay: 'choice(0.5,0.25)'}\n"
    )
    return tmp_path


def test_cfg_job_is_the_config_that_runs(capsys: pytest.CaptureFixture):
    text = printed(capsys, "train", "--cfg", "job", "algorithm=cispo", "seed=7")
    assert yaml.safe_load(text)["seed"] == 7
    assert yaml.safe_load(text)["algorithm"]["is_weight_max"] == 6.0
    assert yaml.safe_load(text)["training"]["weight_decay"] == 0.01  # which no file mentions
    for flags in (["--cfg"], ["-c", "job"], ["--cfg=job"]):
        assert printed(capsys, "train", *flags, "algorithm=cispo", "seed=7") == text


def test_interpolations_stay_unless_resolved(capsys: pytest.CaptureFixture):
    asked = ["train", "--cfg", "job", "-p", "training.sampling", "scale=paper", "model=qwen2.5-7b"]
    assert printed(capsys, *asked).splitlines()[:2] == [
        "# @package training.sampling",
        "max_tokens: ${model.max_completion_tokens}",
    ]
    assert "max_tokens: 8192" in printed(capsys, *asked, "--resolve")
    assert printed(capsys, *asked[:4], "seed", "seed=3") == "3\n"
    own = printed(capsys, "train", "--cfg", "experiment='run-${seed}'", "seed=4", "-p", "experiment")
    assert own == "run-${seed}\n"


def test_cfg_hydra_and_all(capsys: pytest.CaptureFixture):
    asked = ["train", "hydra.launcher.n_jobs=4"]
    hydra = yaml.safe_load(printed(capsys, *asked, "--cfg", "hydra"))
    everything = yaml.safe_load(printed(capsys, *asked, "--cfg", "all"))
    assert hydra.keys() == {"hydra"}
    assert hydra["hydra"]["launcher"]["n_jobs"] == 4
    assert everything["hydra"]["launcher"] == hydra["hydra"]["launcher"]
    assert everything["seed"] == 1
    assert printed(capsys, "train", "--cfg", "hydra", "-p", "hydra.run.dir") == "${runs}\n"
    assert printed(capsys, "train", "--cfg", "hydra", "-p", "hydra.run.dir", "--resolve") == "results/runs\n"


def test_cfg_hydra_has_what_the_launcher_asks_the_cluster_for(capsys: pytest.CaptureFixture):
    asked = ["train", "cluster=slurm", "--cfg", "hydra", "-p", "hydra.launcher"]
    one, eight = (yaml.safe_load(printed(capsys, *asked, *more)) for more in ([], ["gpus_per_run=8"]))
    names = ("nodes", "gpus_per_node", "cpus_per_task", "mem_gb")
    assert [one[name] for name in names] == [1, 1, 8, 64]
    assert [eight[name] for name in names] == [1, 8, 64, 512]


def test_cfg_checks_what_it_prints(capsys: pytest.CaptureFixture):
    assert "did you mean steps?" in refused(capsys, "train", "--cfg", "training.stepss=1")
    assert "unknown part of the config 'trainin'" in refused(capsys, "train", "--cfg", "job", "-p", "trainin")
    assert "--resolve goes with --cfg" in refused(capsys, "train", "--resolve")
    assert "--cfg and --multirun: accepted is one" in refused(capsys, "train", "--cfg", "-m", "seed=1,2")
    assert "requires --multirun" in refused(capsys, "train", "--cfg", "seed=1,2")


def test_evaluate_and_profile_have_them_too(capsys: pytest.CaptureFixture):
    asked = ["--cfg", "job", "-p", "evaluation.k", "model=embedded", "n=4"]
    assert printed(capsys, "evaluate", *asked) == "# @package evaluation.k\n- 1\n- 2\n- 4\n"
    assert printed(capsys, "profile", "--cfg", "-p", "profile.n", "n=3") == "3\n"


@pytest.mark.parametrize(
    ("what", "lines"),
    [
        ("searchpath", ["| main     | file://", "| hydra    | pkg://hydra.conf"]),
        ("defaults", ["| algorithm/dapo", "| scale/laptop"]),
        ("defaults-tree", ["    algorithm: dapo", "  config:"]),
        ("plugins", ["\tLauncher:", "\t\tJoblibLauncher", "\t\tBasicSweeper"]),
        ("config", ["Config search path", "Defaults List", "seed: 5"]),
        (None, ["Hydra 1.3", "Installed Hydra Plugins", "seed: 5"]),
    ],
)
def test_info(what: str | None, lines: list[str], capsys: pytest.CaptureFixture):
    text = printed(capsys, "train", "algorithm=dapo", "seed=5", "--info", *([what] if what else []))
    for line in lines:
        assert any(row.startswith(line) for row in text.splitlines()), (line, text)


def test_hydra_help_and_version(capsys: pytest.CaptureFixture):
    text = printed(capsys, "train", "--hydra-help")
    assert "hydra/launcher: basic, joblib, local, ray" in text
    assert "--config-dir, -cd <folder>" in text
    assert printed(capsys, "train", "--version").splitlines()[1].startswith("Hydra 1.3")


def test_a_folder_of_ones_own(folder: Path, capsys: pytest.CaptureFixture):
    there = ["--config-dir", str(folder)]
    clip = ["--cfg", "job", "-p", "algorithm.clip_high"]
    assert printed(capsys, "train", *there, *clip, "algorithm=dippo") == "0.5\n"
    rate = ["--cfg", "job", "-p", "training.learning_rate"]
    assert printed(capsys, "train", "-cd", str(folder), *rate, "+study=wide") == "0.25\n"
    assert "did you mean dippo?" in refused(capsys, "train", *there, "algorithm=dipo", "--cfg")
    assert "dippo" in printed(capsys, "train", *there, "--info", "searchpath") + str(folder / "dippo")
    assert "dippo" not in refused(capsys, "train", "algorithm=dippo", "--cfg").partition("accepted")[2]


def test_globs_see_ones_own_folder(folder: Path):
    CONFIG_DIRS[:] = [folder]
    assert expand(["algorithm=glob(di*)"]) == [["algorithm=dippo"]]
    assert load_config(["algorithm=dippo"]).algorithm.clip_high == 0.5


def test_another_primary_config(folder: Path, capsys: pytest.CaptureFixture):
    there = ["-cd", str(folder)]
    for name in ("mine", "mine.yaml"):
        assert printed(capsys, "train", *there, "-cn", name, "--cfg", "-p", "seed") == "7\n"
    assert printed(capsys, "train", *there, "-cn", "mine", "--cfg", "-p", "data.name") == "countdown\n"
    assert "did you mean mine?" in refused(capsys, "train", *there, "--config-name", "mines", "--cfg")
    assert "--config-name needs a value" in refused(capsys, "train", "--config-name")
    assert "there is no such folder" in refused(capsys, "train", "--config-dir", "nowhere")


def test_the_sweep_of_a_primary_config(folder: Path, monkeypatch: pytest.MonkeyPatch):
    launched = []
    monkeypatch.setattr(
        "rlvr.runs.sweep.launch", lambda jobs, config_name, **_: launched.append((jobs, config_name))
    )
    main(["train", "-m", "-cd", str(folder), "-cn", "mine", "seed=1"])
    jobs = [
        ["++seed=1", f"++training.weight_decay={value}", f"arm='weight_decay={value}'"]
        for value in ("0.5", "0.25")
    ]
    assert launched == [(jobs, "mine")]


@pytest.mark.parametrize("flag", ["--shell-completion", "-sc", "--config-path", "--experimental-rerun"])
def test_what_rlvr_does_in_another_way_says_how(flag: str, capsys: pytest.CaptureFixture):
    sentence = refused(capsys, "train", flag, "x")
    assert any(other in sentence for other in ("rlvr completion bash", "--config-dir", "the same command"))
