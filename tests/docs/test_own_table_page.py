"""The page on a table of one's own: its commands, one after the other, and its files."""

import re
from pathlib import Path

import pytest
import yaml
from markdown_commands import ROOT, all_commands
from tiny_runs import TINY

from rlvr.cli.main import main
from rlvr.errors import UserError
from rlvr.tables.names import read_table

PAGE = ROOT / "docs/how-to/your-own-table.md"
NEEDS = "the runs of this page"
SMALLER = [word for word in TINY if not word.startswith(("arm=", "scale="))]
SMALLER += ["benchmark.tasks.countdown_3.size=2", "training.steps=1", "evaluation.validation_samples=1"]


def commands() -> list[list[str]]:
    found = [command for command in all_commands() if command.page == PAGE and command.needs == NEEDS]
    assert len(found) == 4
    return [list(command.words[1:]) for command in found]


@pytest.mark.slow
def test_from_a_sweep_to_a_table_with_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """Two arms of the page's sweep, with one seed, at the smallest sizes."""
    monkeypatch.chdir(tmp_path)
    sweep, table, with_file, reproduce = commands()
    fewer = {"advantage_scaling.gamma": "0,1", "group_size.n": "4", "seed": "1"}
    words = [
        f"{key}={fewer.get(key, value)}" for key, _, value in (word.partition("=") for word in sweep[2:])
    ]
    main(["train", "-m", *SMALLER, *words, "hydra/launcher=basic"])
    assert sorted(path.name for path in Path("results/runs/gammas").iterdir()) == ["gamma=0", "gamma=1"]
    assert "next: rlvr table results/runs/gammas" in capsys.readouterr().out
    main([word for word in table if word != "series=n"])
    said = capsys.readouterr().out
    assert re.search(r"^  − gamma=0 +[+−]\d", said, re.MULTILINE)
    assert (tmp_path / "results/runs/gammas/figures/gammas-smoke-sweep.svg").is_file()
    main([word for word in with_file if word != "series=n"])
    file = tmp_path / "experiments/mine.yaml"
    content = yaml.safe_load(file.read_text())
    assert [arm["name"] for arm in content["arms"]] == ["gamma=0", "gamma=1"]
    content["arms"][1]["label"] = "Focal"
    file.write_text(yaml.safe_dump(content))
    capsys.readouterr()
    main(reproduce)
    assert re.search(r"^Focal +1 ", capsys.readouterr().out, re.MULTILINE)
    assert (tmp_path / "results/tables/mine-smoke.md").is_file()
    with pytest.raises(SystemExit):
        main(with_file)
    assert "experiments/mine.yaml is there already" in capsys.readouterr().err


def test_the_files_of_the_page_are_read(tmp_path: Path):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        (tmp_path / f"t{number}.yaml").write_text(block)
    taken, own = (read_table(f"t{number}", "laptop", tmp_path) for number in (0, 1))
    assert (taken.folder("laptop"), own.folder("laptop")) == ("gammas", "t1/laptop")
    assert taken.pairs == [("gamma=0,n=8", "gamma=1,n=8")]
    assert own.metrics == ["pass@1", "pass@256"]  # of rlvr's common.yaml


@pytest.mark.slow
def test_a_folder_of_configs_holds_tables_and_their_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """The page's scale, a table of one arm, and its two ways to say where they are."""
    monkeypatch.chdir(tmp_path)
    (scale,) = re.findall(r'```yaml title="(.*?)"\n(.*?)```', PAGE.read_text(), re.DOTALL)
    table = (
        "title: Mine\nmetrics: [pass@1]\ncolumns: {in_domain: [countdown_3]}\nscales: {short: {seeds: [3]}}\n"
    )
    arm = "arms: [{name: base, overrides: [training.steps=0]}]\n"
    for name, text in (scale, ("my-conf/experiments/mine.yaml", table + arm)):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text(text)
    one, other = ([*c.words[1:]] for c in all_commands() if c.page == PAGE and "folder" in str(c.needs))
    main([*one, *SMALLER])
    assert re.search(r"^base +1 ", capsys.readouterr().out, re.MULTILINE)
    (config,) = Path("results/runs/mine/short/base").glob("*/config.yaml")
    assert config.parent.name == "seed-3"
    main([*other, *SMALLER, "--render"])
    assert re.search(r"^base +1 ", capsys.readouterr().out, re.MULTILINE)
    with pytest.raises(SystemExit):
        main(["reproduce", "table=mine", "scale=short"])
    assert "unknown scale 'short'" in capsys.readouterr().err


def test_where_tables_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"unknown table 'mine': .*is experiments/mine.yaml here, or in the"):
        read_table("mine", "laptop")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/mine.yaml").write_text("extends: fgrpo/table1\ntitle: Mine\n")
    assert (read_table("mine", "laptop").title, read_table("mine", "laptop").name) == ("Mine", "mine")
    assert read_table("experiments/mine.yaml", "laptop").title == "Mine"
    with pytest.raises(UserError, match=r"did you mean mine\?; it was looked for in experiments and among"):
        read_table("mien", "laptop")
    with pytest.raises(UserError, match="experiments=nowhere: there is no such folder"):
        read_table("mine", "laptop", Path("nowhere"))
