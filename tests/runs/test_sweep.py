"""Sweeps: what a grid is, what a sweeper plug-in is told of its runs, and what a launcher lacks."""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from joblib import Parallel, delayed
from omegaconf import DictConfig, OmegaConf

from rlvr.cli.main import main
from rlvr.config import compose, load_config
from rlvr.errors import UserError
from rlvr.runs.deadline import Stopped
from rlvr.runs.interrupts import terminated_like_interrupted
from rlvr.runs.launchers import end_workers_of_elsewhere
from rlvr.runs.start import Start
from rlvr.runs.sweep import expand, launch, launching, objective, run_job

TINY = [
    *["scale=smoke", "tracking=local", "benchmark=countdown_3", "benchmark.tasks.countdown_3.size=4"],
    *["data.size=32", "training.steps=2", "training.prompts_per_step=4", "training.mini_batch_prompts=4"],
    *["training.checkpoint_every=1", "evaluation.validation_samples=4", "evaluation.after_training=false"],
]


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("seed=1,2", ["1", "2"]),
        ("seed=choice(1,2)", ["1", "2"]),
        ("seed=range(1,4)", ["1", "2", "3"]),
        ("seed=range(1,6,2)", ["1", "3", "5"]),
        ("training.learning_rate=range(0.5,1.5,0.5)", ["0.5", "1.0"]),
        ("algorithm=glob(d*)", ["dapo", "dr_grpo", "ds_grpo"]),
        ("algorithm=glob(*ispo,exclude=[d*,g*])", ["cispo"]),
        ("evaluation.k=[1],[1,2]", ["[1]", "[1,2]"]),
    ],
)
def test_every_value_of_a_sweep_is_a_run(override: str, values: list[str]):
    key = override.partition("=")[0]
    jobs = expand([override, "arm=x"])
    assert sorted(job[0].lstrip("+") for job in jobs) == sorted(f"{key}={value}" for value in values)
    assert {job[1] for job in jobs} == {"++arm=x"}


def test_a_sweep_is_a_product_and_of_one_key_the_later_counts():
    jobs = expand(["seed=1,2,3", "algorithm=grpo,dapo", "seed=4,5"])
    assert jobs == [
        ["++seed=4", "algorithm=grpo"],
        ["++seed=4", "algorithm=dapo"],
        ["++seed=5", "algorithm=grpo"],
        ["++seed=5", "algorithm=dapo"],
    ]


def test_an_interval_is_no_grid():
    with pytest.raises(
        UserError, match=r"training.learning_rate=interval\(0,1\): accepted are values.*optuna"
    ):
        expand(["training.learning_rate=interval(0,1)"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seed=range(5,1)"], "seed is given no value in this sweep"),
        (["model=glob(nothing*)"], "model is given no value in this sweep"),
        (["seed=range(0,1000000000)"], "more than 10,000 runs"),
        (["seed=range(0,200)", "data.seed=range(0,200)"], "more than 10,000 runs"),
    ],
)
def test_a_sweep_of_no_runs_or_far_too_many_is_a_sentence(overrides: list[str], said: str):
    with pytest.raises(UserError, match=said):
        expand(overrides)


def test_a_sweeper_that_is_not_installed(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        main(["train", "-m", "hydra/sweeper=nevergrad", "seed=1,2"])
    assert "needs its plug-in: `pip install hydra-nevergrad-sweeper`" in capsys.readouterr().err


def test_a_sweep_whose_folder_cannot_be_made_is_a_sentence():
    place = "hydra.sweep.dir=/proc/nowhere"
    with (
        pytest.raises(UserError, match=r"another place with hydra\.sweep\.dir="),
        launching([place], "config", Start()),
    ):
        pass


def test_a_launcher_without_its_cluster_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no srun here
    with pytest.raises(UserError, match="cluster=slurm: there is no srun here"):
        launch([[*TINY, f"runs={tmp_path}", "cluster=slurm"]])


def test_a_launcher_without_its_package_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"`pip install 'rlvr\[ray\]'`"):
        launch([[*TINY, f"runs={tmp_path}", "hydra/launcher=ray"]])


@pytest.mark.slow
def test_a_job_that_was_lost_is_one_failure_among_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As one that is cancelled or killed for memory, of which submitit has no result."""
    pytest.importorskip("submitit")
    done = tmp_path / "done"

    def job(composed: DictConfig, *, start: Start) -> None:
        if composed.seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(2)
        done.touch()

    monkeypatch.setattr("rlvr.runs.sweep.run_job", job)
    jobs = [[*TINY, f"runs={tmp_path}", f"seed={n}", "hydra/launcher=submitit_local"] for n in (1, 2)]
    with pytest.raises(UserError, match=r"1 of 2 runs failed, the others are kept: \S+/seed-1: .* was lost"):
        launch(jobs)
    assert done.exists()


def test_what_all_runs_of_a_sweep_lack_is_said_once(tmp_path: Path):
    jobs = [[*TINY, f"runs={tmp_path}", f"model.path={tmp_path}/none", f"seed={n}"] for n in (1, 2, 3)]
    with pytest.raises(UserError) as raised:
        launch(jobs)
    said = str(raised.value)
    assert said.startswith("3 of 3 runs failed, the others are kept: ") and said.endswith(" (3 runs)")
    assert said.count(f"{tmp_path}/none") == 1


def test_a_sweep_is_from_the_folder_and_environment_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """joblib keeps its processes; before, a second sweep of a notebook wrote its runs where the first had."""
    where = Parallel(n_jobs=2)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("WANDB_NAME", name)
        end_workers_of_elsewhere()
        assert where([delayed(os.getcwd)()] * 2) == [str(tmp_path / name)] * 2
        assert where([delayed(os.getenv)("WANDB_NAME")] * 2) == [name] * 2


def test_a_run_that_is_asked_to_stop_leaves_the_others_of_its_sweep(monkeypatch: pytest.MonkeyPatch):
    """joblib kills all others where one ends the process; schedulers start it again."""

    def stopped(*_) -> None:
        raise Stopped

    monkeypatch.setattr("rlvr.runs.processes.start_run", stopped)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    for launcher, error in (("JoblibLauncher", UserError), ("SlurmLauncher", Stopped)):
        made = OmegaConf.create({"runtime": {"cwd": "."}, "launcher": {"_target_": f"some.{launcher}"}})
        monkeypatch.setattr(HydraConfig, "get", lambda made=made: made)
        with pytest.raises(error) as raised:
            run_job(compose(TINY), start=Start())
        assert error is Stopped or "asked to stop by a signal" in str(raised.value)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_what_a_scheduler_sends_ends_a_sweep_as_ctrl_c_does(number: signal.Signals):
    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        signal.raise_signal(number)


class BetterOfTwo(Sweeper):
    """Tries two learning rates, then the better one with another seed; keeps what its runs returned."""

    told: ClassVar[list[tuple[list[str], list[float]]]]

    def __init__(self, direction: str, params: dict[str, str]):
        self.direction, self.params = direction, params

    def setup(self, *, hydra_context, task_function, config) -> None:
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        rate = next(text for text in arguments if "learning_rate" in text)
        others = [text for text in arguments if text != rate]
        others += [f"{key}={value}" for key, value in self.params.items()]
        key, _, values = rate.partition("=")
        first = self._launch([[f"{key}={value}", *others] for value in values.split(",")])
        best = values.split(",")[first.index((max if self.direction == "maximize" else min)(first))]
        self._launch([[f"{key}={best}", *others, "++seed=2"]])
        OmegaConf.save(
            {"name": "better_of_two"}, Path(self.config.hydra.sweep.dir) / "optimization_results.yaml"
        )

    def _launch(self, jobs: Sequence[Sequence[str]]) -> list[float]:
        returned = [job.return_value for job in self.launcher.launch(jobs, initial_job_idx=0)]
        self.told.append(([job[0] for job in jobs], returned))
        return returned


BetterOfTwo.__module__ = "hydra_plugins.better_of_two"  # Hydra takes plug-ins from this package alone


@dataclass
class BetterOfTwoConfig:
    _target_: str = "hydra_plugins.better_of_two.BetterOfTwo"
    direction: str = "minimize"
    params: dict[str, str] = field(default_factory=dict)


def test_a_sweeper_learns_the_validation_of_its_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    home = ModuleType(BetterOfTwo.__module__)
    home.BetterOfTwo = BetterOfTwo
    monkeypatch.setitem(sys.modules, BetterOfTwo.__module__, home)
    Plugins.instance().register(BetterOfTwo)
    ConfigStore.instance().store(group="hydra/sweeper", name="better_of_two", node=BetterOfTwoConfig)
    BetterOfTwo.told = told = []
    sweeper = ["hydra/sweeper=better_of_two", "hydra/launcher=basic"]
    params = "+hydra.sweeper.params={training.weight_decay: '0.0'}"  # a key that no file mentions
    main(["train", "-m", *sweeper, params, *TINY, "training.learning_rate=1e-9,1e-2", f"runs={tmp_path}"])

    def validated(rate: float, seed: int) -> float:
        """The best checkpoint's pass@1, from the run's own file."""
        for file in tmp_path.rglob("config.yaml"):
            config = OmegaConf.load(file)
            if (config.training.learning_rate, config.seed) == (rate, seed):
                assert config.training.weight_decay == 0.0
                lines = [json.loads(line) for line in (file.parent / "validation.jsonl").open()]
                return max(line["in_domain/pass@1"] for line in lines if line["step"] > 0)
        raise AssertionError(f"no run with {rate}")

    by_hand = [validated(1e-9, 1), validated(1e-2, 1)]
    assert max(by_hand) > 0
    better = by_hand.index(max(by_hand))
    assert told == [
        (["++training.learning_rate=1e-9", "++training.learning_rate=1e-2"], by_hand),
        ([f"++training.learning_rate={['1e-9', '1e-2'][better]}"], [validated([1e-9, 1e-2][better], 2)]),
    ]
    said = capsys.readouterr()
    assert f"pass@1 {by_hand[0]:.4f} with training.learning_rate=1e-9: {tmp_path}" in said.err.replace(
        ", training.weight_decay=0.0", ""
    )
    assert said.out == f"{tmp_path}/optimization_results.yaml\nname: better_of_two\n"


def test_what_is_not_finished_has_no_objective(tmp_path: Path):
    with pytest.raises(UserError, match="is not finished, and a search compares whole runs only"):
        objective(load_config(TINY), tmp_path)
    base = load_config([*TINY, "training.steps=0"])
    evaluation = {
        "a": {"domain": "in_domain", "problems": 1, "samples": 1, "pass@k": {"1": 0.25}},
        "b": {"domain": "in_domain", "problems": 1, "samples": 1, "pass@k": {"1": 0.75}},
        "c": {"domain": "out_of_domain", "problems": 1, "samples": 1, "pass@k": {"1": 1.0}},
    }
    (tmp_path / "summary.json").write_text(json.dumps({"trained_steps": 0, "evaluation": evaluation}))
    assert objective(base, tmp_path) == 0.5
    by_2 = load_config(
        [*TINY, "training.steps=0", "evaluation.validation_samples=2", "evaluation.select_by=2"]
    )
    with pytest.raises(UserError, match=r"has no in-domain pass@2: a search needs 2 in evaluation\.k"):
        objective(by_2, tmp_path)
