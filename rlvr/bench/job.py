"""The work that is timed: which policy, how many rollouts, how long."""

from dataclasses import asdict, dataclass
from pathlib import Path

from rlvr.config import Config, load_config

NO_CHANGE = 1e-9  # learning rate: every step does all its work and leaves the weights as they were

# of TRL's GRPOConfig: GRPO without KL, the fused optimizer, all activations kept, nothing written
TRL_SETTINGS = {
    **{"beta": 0.0, "temperature": 1.0, "optim": "adamw_torch_fused", "gradient_checkpointing": False},
    **{"shuffle_dataset": False, "report_to": "none", "save_strategy": "no", "logging_strategy": "no"},
    "disable_tqdm": True,
}


@dataclass(frozen=True, slots=True)
class Job:
    """One GRPO step of one policy: `prompts` x `group_size` completions of up to `max_tokens` tokens.

    Attributes:
        model: "embedded" or a local transformers folder.
        precision: of forward and backward, and of sampling; weights and optimizer are float32.
        threads: CPU threads, the same for every side.
        micro_batch: tokens that go through rlvr's model together.
        trl_micro_batch: rollouts that go through TRL's model together: the fastest of a few that were tried
            (results/bench/notes.md).
    """

    name: str
    model: str
    prompts: int
    group_size: int
    max_tokens: int
    precision: str = "float32"
    threads: int = 2
    micro_batch: int = 32768
    trl_micro_batch: int = 64

    def config(self) -> Config:
        """What rlvr runs: GRPO, one optimizer step a batch."""
        return load_config(
            [
                "tracking=local",
                f"model.path={self.model}",
                f"group_size.n={self.group_size}",
                f"training.prompts_per_step={self.prompts}",
                f"training.mini_batch_prompts={self.prompts}",
                f"training.learning_rate={NO_CHANGE}",
                f"training.precision={self.precision}",
                f"training.threads={self.threads}",
                f"training.max_tokens_per_micro_batch={self.micro_batch}",
                f"training.sampling.max_tokens={self.max_tokens}",
            ]
        )

    def as_dict(self) -> dict:
        return asdict(self)


def is_correct(rollout: int, group_size: int) -> bool:
    """The bench's verdict on the rollout at a place of the batch: right and wrong take turns in a group.

    Every group has a signal, so no side can leave a rollout out, and all sides train on all tokens.
    """
    return rollout % group_size % 2 == 0


def jobs(smollm2: Path | None, precisions: list[str], threads: int) -> list[Job]:
    """The embedded policy, and SmolLM2-135M where its folder is given."""
    found = [Job("embedded", "embedded", 64, 8, 16, threads=threads, trl_micro_batch=512)]
    if smollm2 is not None:
        found += [
            Job(
                "SmolLM2-135M",
                str(smollm2),
                8,
                8,
                64,
                precision,
                threads,
                micro_batch=512,
                trl_micro_batch=16,
            )
            for precision in precisions
        ]
    return found
