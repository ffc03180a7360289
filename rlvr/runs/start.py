"""What a start of a run does that is no setting of the run: its config.yaml does not say it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """Handed on beside a config, through launchers too.

    Attributes:
        evaluate: evaluate the trained run, whatever `evaluation.after_training` says.
        deadline: Unix time at which the run stops, with a checkpoint.
    """

    evaluate: bool = False
    deadline: float | None = None
