"""What a start of a run does that is no setting of the run: its config.yaml does not say it."""

from dataclasses import dataclass, field

from rlvr.files.command import typed


@dataclass(frozen=True, slots=True)
class Start:
    """Handed on beside a config, through launchers too.

    Attributes:
        evaluate: evaluate the trained run, whatever `evaluation.after_training` says.
        deadline: Unix time at which the run stops, with a checkpoint.
        processes: that the run has, one a GPU where there are GPUs; above 1 they are started by torchrun.
        runs_per_gpu: the run takes GPUs of this machine that fewer than so many others have; 0: all it sees
            where it has one process, or those that no other run has.
        command: what the run was started by, which a launcher's process does not know by itself.
    """

    evaluate: bool = False
    deadline: float | None = None
    processes: int = 1
    runs_per_gpu: int = 0
    command: str = field(default_factory=typed)
