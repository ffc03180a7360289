"""`hydra/launcher=ray`: a sweep as tasks of a Ray cluster, one run a task.

Hydra finds its plug-ins in the package `hydra_plugins`, which is why this is not in `rlvr`. Hydra's own
hydra-ray-launcher 1.2.2 can't be installed beside rlvr: it wants cloudpickle below 3, and the joblib of the
default launcher wants 3 or newer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


@dataclass
class RayLauncherConfig:
    """Arguments of `ray.init`, where Ray does not run in this process yet, and of `ray.remote`."""

    _target_: str = "hydra_plugins.rlvr_ray_launcher.RayLauncher"
    init: dict[str, Any] = field(default_factory=lambda: {"address": None, "include_dashboard": False})
    remote: dict[str, Any] = field(default_factory=lambda: {"num_cpus": 1, "max_retries": 3})


ConfigStore.instance().store(group="hydra/launcher", name="ray", node=RayLauncherConfig, provider="rlvr")


class RayLauncher(Launcher):
    """Starts every job at once; what runs when is Ray's decision."""

    def __init__(self, init: DictConfig, remote: DictConfig):
        self.init: Any = OmegaConf.to_container(init, resolve=True)
        self.remote: Any = OmegaConf.to_container(remote, resolve=True)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; one whose process or node is lost is started again up to `max_retries` times."""
        import ray

        setup_globals()
        if not ray.is_initialized():
            ray.init(**self.init)
        start = ray.remote(_run).options(**self.remote)
        started = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.num, config.hydra.job.id = number, f"job_id_for_{number}"
            started.append(start.remote(self.context, config, self.task, Singleton.get_state()))
        return [_result(ray, reference) for reference in started]


def _run(context: HydraContext, config: DictConfig, task: TaskFunction, singletons: Any) -> JobReturn:
    """What a task does, on whichever node."""
    setup_globals()
    Singleton.set_state(singletons)
    HydraConfig.instance().set_config(config)
    return run_job(
        hydra_context=context,
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _result(ray: Any, reference: Any) -> JobReturn:
    """A job's result; where its process was lost too often, a failure among the other jobs' results."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return JobReturn(status=JobStatus.FAILED, _return_value=error)
