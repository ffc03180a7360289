"""The rollouts of each step: sampled when asked for, or one step ahead while the step before is trained.

One step off-policy (`training.off_policy_steps=1`), the rollouts of step t are those of the weights after
step t - 2 instead of t - 1 (of steps 1 and 2 the initial ones), whether or not sampling and update overlap in
time. They overlap on a GPU, where the transformers engine then has weights of its own; on a CPU, and with
vLLM, the next step is sampled just before the update, from the same weights.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlvr.config import Config
from rlvr.curriculum import Curriculum
from rlvr.data import Completion, Group, Problem, Verdict

Stage = Callable[[str], AbstractContextManager]


class Sampled(NamedTuple):
    """What a step is trained on.

    Attributes:
        groups: verified; all of them, or those that dynamic sampling left.
        sampled: all that were sampled.
        epoch: of the curriculum, when these were asked.
        metrics: the curriculum's.
    """

    groups: list[Group]
    sampled: list[Group]
    epoch: float
    metrics: dict[str, float]


class StepSampler:
    """Gives each step its rollouts.

    Args:
        sample: what samples the groups of a step, with the stages of a clock: (groups, all sampled).
        overlap: whether sampling and update may go on at the same time; then the engine must not sample from
            tensors that the update changes.
    """

    def __init__(
        self,
        config: Config,
        curriculum: Curriculum,
        sample: Callable[[int, Stage], tuple[list[Group], list[Group]]],
        *,
        overlap: bool,
    ):
        self.config = config
        self.curriculum = curriculum
        self._sample = sample
        self.overlap = overlap
        self._ahead: Sampled | None = None  # of the next step

    def take(self, step: int, stage: Stage) -> Sampled:
        """The rollouts of a step."""
        ahead, self._ahead = self._ahead, None
        return ahead or self._of(step, stage)

    @contextmanager
    def sampling_ahead(self, step: int, stage: Stage) -> Iterator[None]:
        """In the block the policy may be updated; after it the rollouts of `step` are there, of the policy of
        before. Nothing is done on-policy, and after the last step."""
        training = self.config.training
        if training.off_policy_steps == 0 or step > training.steps:
            yield
        elif self.overlap:
            with _meanwhile(lambda: self._of(step, stage)) as result:
                yield
            self._ahead = result.result()
        else:
            self._ahead = self._of(step, stage)
            yield

    def _of(self, step: int, stage: Stage) -> Sampled:
        groups, sampled = self._sample(step, stage)
        return Sampled(groups, sampled, self.curriculum.epoch, self.curriculum.metrics())

    def state_dict(self) -> dict[str, Any] | None:
        """What was sampled ahead, in plain values and tensors: its weights are gone when a run goes on."""
        if self._ahead is None:
            return None
        places = {id(group): place for place, group in enumerate(self._ahead.sampled)}
        return {
            "groups": [places[id(group)] for group in self._ahead.groups],
            "sampled": [_values(group) for group in self._ahead.sampled],
            "epoch": self._ahead.epoch,
            "metrics": self._ahead.metrics,
        }

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        sampled = [_group(values) for values in state["sampled"]]
        groups = [sampled[place] for place in state["groups"]]
        self._ahead = Sampled(groups, sampled, state["epoch"], state["metrics"])


# of a completion, a number for each token: millions in a step, each an object of its own in a list
OF_TOKENS = {"token_ids": torch.int64, "logprobs": torch.float64}


def _fields(instance: Any) -> dict[str, Any]:
    """Of a dataclass, as they are: `asdict` would copy each number."""
    return {field.name: getattr(instance, field.name) for field in fields(instance)}


def _values(group: Group) -> dict[str, Any]:
    completions = [
        _fields(completion)
        | {name: torch.tensor(getattr(completion, name), dtype=dtype) for name, dtype in OF_TOKENS.items()}
        for completion in group.completions
    ]
    plain = {"problem": _fields(group.problem), "verdicts": [str(verdict) for verdict in group.verdicts]}
    return _fields(group) | plain | {"completions": completions}


def _group(values: dict[str, Any]) -> Group:
    return Group(
        **{
            **values,
            "problem": Problem(**values["problem"]),
            "completions": [
                Completion(**completion | {name: _numbers(completion[name]) for name in OF_TOKENS})
                for completion in values["completions"]
            ],
            "verdicts": [Verdict(verdict) for verdict in values["verdicts"]],
        }
    )


def _numbers(values: Tensor | list) -> list:
    """In checkpoints of older versions they are lists."""
    return values.tolist() if isinstance(values, Tensor) else values


@contextmanager
def _meanwhile(work: Callable[[], Any]) -> Iterator[Future]:
    """Do some work in another thread, on a CUDA stream of its own, while the block runs; its result, or the
    error it raised, is there after the block."""
    streams = _streams()

    def run() -> Any:
        with streams:
            return work()

    with ThreadPoolExecutor(max_workers=1) as thread:
        yield thread.submit(run)
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _streams() -> AbstractContextManager:
    """A stream that begins with what this thread has asked the GPU for so far; nothing on a CPU."""
    if not torch.cuda.is_available():
        return nullcontext()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    return torch.cuda.stream(stream)
