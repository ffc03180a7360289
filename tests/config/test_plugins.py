"""The example is a package outside of rlvr; here it is installed, used and broken."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rlvr.config import PACKAGE, plugins, registry
from rlvr.errors import UserError

EXAMPLE = PACKAGE.parent / "examples" / "advantage_scaling"
TINY = [
    "scale=smoke",
    "tracking=local",
    "data.size=32",
    "benchmark=gcd",
    "benchmark.tasks.gcd.size=2",
    "training.steps=1",
    "training.prompts_per_step=8",
    "training.mini_batch_prompts=8",
    "evaluation.after_training=false",
    "evaluation.validation_samples=1",
]


def install(site: Path, name: str, target: str) -> None:
    """What an installer leaves of an entry point: a folder of metadata on the path."""
    folder = site / f"{name}-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{name} = {target}\n")


def rlvr(*arguments: str, site: Path) -> subprocess.CompletedProcess[str]:
    """The command, in an interpreter that finds packages in `site` too."""
    path = os.pathsep.join([str(site), str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "rlvr", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages with the example in it."""
    folder = tmp_path / "site"
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    ((name, target),) = project["entry-points"][plugins.GROUP].items()
    install(folder, name, target)
    (folder / "rlvr_midpoint").symlink_to(EXAMPLE / "rlvr_midpoint")
    return folder


@pytest.mark.slow
def test_an_installed_scaling_is_an_option_like_any_other(site: Path, tmp_path: Path):
    scaling = ["advantage_scaling=midpoint", "advantage_scaling.middle=0.0", "advantage_scaling.width=1e-3"]
    done = rlvr("train", "-m", *TINY, *scaling, f"runs={tmp_path}", "arm=outside", site=site)
    (metrics,) = (tmp_path / "adhoc/outside/seed-1/metrics.jsonl").read_text().splitlines()

    assert done.returncode == 0, done.stderr
    # a bell this narrow around 0 leaves nothing of a group with any right answer, so of none with a signal
    assert json.loads(metrics)["focal/weight_mean_with_signal"] == 1.0
    assert json.loads(metrics)["update/gradient_norm"] == 0.0
    assert "width: 0.001" in (tmp_path / "adhoc/outside/seed-1/config.yaml").read_text()


def test_its_keys_are_held_against_the_function(site: Path):
    wrong_key = rlvr("train", "--cfg", "advantage_scaling=midpoint", "advantage_scaling.widht=1", site=site)
    wrong_option = rlvr("train", "--cfg", "advantage_scaling=midpiont", site=site)

    assert "unknown key in advantage_scaling 'widht': accepted are middle, name, width" in wrong_key.stderr
    assert "accepted are" in wrong_option.stderr
    assert "did you mean midpoint?" in wrong_option.stderr


def test_a_plug_in_that_cannot_be_loaded_is_said(site: Path):
    install(site, "broken", "no_such_package:plugin")
    done = rlvr("train", "--cfg", site=site)

    assert done.returncode == 2
    assert done.stderr.startswith("rlvr: plug-in 'broken' (no_such_package:plugin) can't be loaded")


MODULE = "from rlvr.config.plugins import Plugin\n"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "import no_such_package",
            "ModuleNotFoundError: No module named 'no_such_package'; install it again",
        ),
        ("raise RuntimeError('at\\nimport')", "RuntimeError: at import; install it again"),
        ("import sys; sys.exit('no')", "SystemExit: no; install it again"),
        ("def broken(", "SyntaxError: "),
        ("other = 1", "AttributeError: "),
        ("plugin = 1", "it is a int, accepted is an instance of rlvr.config.plugins.Plugin"),
        ("plugin = Plugin(scalings={})", "TypeError: .*unexpected keyword argument 'scalings'"),
        ("plugin = Plugin(conf='/no/such/folder')", "its config folder /no/such/folder is not there"),
        ("plugin = Plugin(losses=[print])", "its losses are a list, accepted is a dict"),
        (
            "plugin = Plugin(verifiers={'mine': 1})",
            "its verifiers hold 'mine': 1, accepted is a name and a function",
        ),
        (
            "plugin = Plugin(advantages={'mine': lambda reward, group_index: 0})",
            "'mine' of its advantages takes 'reward': accepted are rewards, .*did you mean rewards",
        ),
        (
            "def mine(correct, *, k): pass\nplugin = Plugin(advantages={'mine': mine})",
            "'mine' of its advantages: its parameter 'k' has no type: write k: float",
        ),
        (
            "def mine(correct, *, k: complex = 1j): pass\nplugin = Plugin(advantages={'mine': mine})",
            "'mine' of its advantages has a signature that can't be a config",
        ),
        (
            "def mine(correct, *, k: 'Nope' = 1): pass\nplugin = Plugin(credits={'mine': mine})",
            "'mine' of its credits has a signature that can't be a config: name 'Nope' is not defined",
        ),
        (
            "class Mine:\n  def __call__(self, correct): pass\n  def state_dict(self): pass\n"
            "plugin = Plugin(advantage_scalings={'mine': Mine})",
            "'mine' of its advantage_scalings has one of state_dict and load_state_dict",
        ),
        (
            "class Mine:\n  def __call__(self, tokens): pass\n  def observe(self, tokens): pass\n"
            "plugin = Plugin(losses={'mine': Mine})",
            "'mine' of its losses has observe, and only advantages, .*, curricula can remember",
        ),
    ],
)
def test_a_plug_in_that_fails_is_one_sentence_that_names_it(
    source: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
):
    name = f"failing_{abs(hash(source))}"  # a module is imported once in a process
    install(tmp_path, name, f"{name}:plugin")
    (tmp_path / f"{name}.py").write_text(MODULE + source)
    monkeypatch.syspath_prepend(tmp_path)
    plugins.installed.cache_clear()
    request.addfinalizer(plugins.installed.cache_clear)
    with pytest.raises(UserError) as error:
        plugins.installed()
    assert re.match(f"plug-in '{name}' \\({name}:plugin\\).*{sentence}", str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_a_plug_in_takes_no_name_that_is_taken(monkeypatch: pytest.MonkeyPatch):
    plugin = plugins.Plugin(verifiers={"integer": print})
    monkeypatch.setattr(plugins, "installed", lambda: {"mine": plugin})
    with pytest.raises(UserError, match="plug-in 'mine' adds 'integer' to verifiers, but that name is taken"):
        plugins.added("verifiers", {"integer": repr})


def test_a_parameter_needs_a_type():
    def scaling(correct, group_index, *, strength=1.0):
        return correct

    with pytest.raises(UserError, match="'strength' has no type: write strength: float"):
        registry.schema_of("mine", scaling)


@pytest.mark.slow
def test_the_example_installs_and_passes_its_own_test(tmp_path: Path):
    """As its README says, into a folder of its own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*pip, str(EXAMPLE)], check=True)
    printed = rlvr("train", "--cfg", "advantage_scaling=midpoint", site=tmp_path)
    path = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(EXAMPLE), str(EXAMPLE)],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )

    assert "middle: 0.5" in printed.stdout, printed.stderr
    assert tested.returncode == 0
