"""rlvr from a built wheel, in an environment without a clone."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALLER = [
    *["tracking=local", "training.steps=1", "training.prompts_per_step=4", "training.mini_batch_prompts=4"],
    *["evaluation.samples=32", "evaluation.validation_samples=1", "hydra.launcher.n_jobs=1"],
    *(f"benchmark.tasks.countdown_{name}.size=1" for name in ("3", "4", "5", "add", "large")),
    *["benchmark.tasks.chain_sum.size=1", "benchmark.tasks.gcd.size=1"],
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and for all else what is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("what builds a wheel, hatchling, is not here and can't be fetched")
    assert built.returncode == 0, built.stderr
    venv.create(folder / "env", with_pip=False)
    own = folder / "env" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", str(own), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    others = folder / "env" / "lib" / version / "site-packages" / "zz_here.pth"
    others.write_text(sysconfig.get_paths()["purelib"])
    return own


@pytest.mark.slow
def test_a_table_from_a_wheel(python: Path, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [python, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("-c", "import rlvr, rlvr.config; print(rlvr.__file__, rlvr.config.CONF)").split()
    assert all(str(python.parents[1]) in path for path in where)
    said = run("-m", "rlvr", "reproduce", "table=fgrpo/table1", "scale=smoke", *SMALLER)
    assert "\nF-GRPO " in said and "\n  − GRPO " in said
    page = (tmp_path / "results" / "tables" / "fgrpo-table1-smoke.md").read_text()
    assert "| F-GRPO " in page
    assert "96.6" in page  # a number of the paper, which is in the wheel too
    assert (tmp_path / "results/reports/fgrpo-table1-smoke.html").is_file()
