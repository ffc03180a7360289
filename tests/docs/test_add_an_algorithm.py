"""docs/how-to/add-an-algorithm.md, followed by the letter in a folder of its own."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from markdown_commands import ROOT

from rlvr.config import plugins, registry

PAGE = ROOT / "docs" / "how-to" / "add-an-algorithm.md"
FILE = re.compile(r'^```\w+ title="(?P<path>[^"]+)"\n(?P<text>(?!--8<--).*?)^```$', re.M | re.S)
SMALL = [
    *("tracking=local", "data.size=32", "benchmark=gcd", "benchmark.tasks.gcd.size=2"),
    *("training.prompts_per_step=8", "training.mini_batch_prompts=4", "training.checkpoint_every=2"),
    *("evaluation.after_training=false", "evaluation.validation_samples=1"),
]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Every file that the page shows itself, where its title says."""
    for file in FILE.finditer(PAGE.read_text(encoding="utf-8")):
        path = tmp_path / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["text"])
    return tmp_path


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python, with the packages of a folder beside rlvr."""
    path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_page_has_a_function_a_yaml_file_and_a_test(package: Path):
    files = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    assert files == {
        *("my_rloo/__init__.py", "my_rloo/conf/algorithm/my_rloo.yaml", "test_my_rloo.py"),
        "pyproject.toml",  # which a package outside has in any case
    }


@pytest.mark.slow
def test_what_the_page_adds_passes_its_test_and_trains_two_steps(package: Path, tmp_path: Path):
    # what `pip install -e .` leaves: the package on the path (it is), and its entry points
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    metadata = package / "my_rloo-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    points = project["entry-points"][plugins.GROUP].items()
    lines = [f"[{plugins.GROUP}]", *(f"{name} = {target}" for name, target in points)]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")

    tested = python(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_rloo.py")
    assert tested.returncode == 0, tested.stdout
    (command,) = re.findall(r"^rlvr (train algorithm=my_rloo .+)$", PAGE.read_text(encoding="utf-8"), re.M)
    own_command = command.replace("algorithm=my_rloo", "algorithm=rloo")
    for arm, overrides in (("page", command.split()), ("own", own_command.split())):
        done = python(package, "-m", "rlvr", *overrides, *SMALL, f"runs={tmp_path / 'runs'}", f"arm={arm}")
        assert done.returncode == 0, done.stderr

    page, own = (tmp_path / "runs" / "adhoc" / arm / "seed-1" for arm in ("page", "own"))
    metrics = [json.loads(line) for line in (page / "metrics.jsonl").read_text().splitlines()]
    expected = [json.loads(line) for line in (own / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in metrics] == [1, 2]
    assert all(line["update/gradient_norm"] > 0 for line in metrics)
    for step, wanted in zip(metrics, expected, strict=True):  # rlvr's own RLOO is the same estimator
        assert step["update/gradient_norm"] == pytest.approx(wanted["update/gradient_norm"], rel=1e-4)


def test_the_other_examples_of_the_page_are_python():
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 2
    for block in blocks:
        compile(block, PAGE.name, "exec")


def test_the_table_of_kinds_is_the_registrys():
    text = PAGE.read_text(encoding="utf-8")
    for kind, home in registry.KINDS.items():
        (row,) = re.findall(rf"^\| `{kind}` \|.*$", text, re.M)
        assert f"`{home.table}`, `{home.module}`" in row
        missing = [name for name in home.offers if f"`{name}`" not in row]
        assert all(name in registry.ROLLOUTS and f"`{name}`" in text for name in missing)
        assert not missing or "rollouts" in row
