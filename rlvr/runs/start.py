"""What a start of a run does that is no setting of the run: its config.yaml does not say it."""

from dataclasses import dataclass, field
from typing import Literal

from rlvr.config import Config
from rlvr.files.command import typed


@dataclass(frozen=True, slots=True)
class Start:
    """Handed on beside a config, through launchers too.

    Attributes:
        evaluate: evaluate the trained run, whatever `evaluation.after_training` says.
        makes: the run, or what runs share and one start makes for all: its profile (`rlvr.runs.profile`), its
            set of rare answers (`rlvr.runs.rare`).
        deadline: Unix time at which the run stops, with a checkpoint.
        processes: that the run has, one a GPU where there are GPUs; above 1 they are started by torchrun.
        runs_per_gpu: the run takes GPUs of this machine that fewer than so many others have; 0: all it sees
            where it has one process, or those that no other run has.
        command: what the run was started by, which a launcher's process does not know by itself.
    """

    evaluate: bool = False
    makes: Literal["run", "profile", "rare"] = "run"
    deadline: float | None = None
    processes: int = 1
    runs_per_gpu: int = 0
    command: str = field(default_factory=typed)

    def shown(self, config: Config) -> Config:
        """The config of the folder that says how far the start is: a profile has one of its own."""
        if self.makes != "profile":
            return config
        from rlvr.runs.profile import profile_config

        return profile_config(config)
