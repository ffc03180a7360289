"""Data-parallel sampling: every rank samples and verifies its share of the groups."""

import statistics
import time
from collections.abc import Iterable, Sequence

from torch import Tensor

from rlvr.data import Group, Problem, Verdict
from rlvr.policy.packing import spread
from rlvr.rollout.engine import RolloutEngine, Sampling
from rlvr.training.distributed.ranks import OnEveryRank, gather_on_rank_zero, on_every_rank, rank, world_size
from rlvr.verification import verify

PART = 64  # rollouts: a training group is whole


def join(group: Group, more: Group) -> Group:
    """A group and more verified completions of the same prompt; without verdicts where they are to be judged
    anew, since some are of one right answer to a reference that the others could not be judged by."""
    verdicts = group.verdicts + more.verdicts
    if {Verdict.CORRECT, Verdict.REFERENCE_UNPARSABLE} <= set(verdicts):
        verdicts = []
    return Group(group.problem, group.prompt_ids, group.completions + more.completions, verdicts)


class DataParallelEngine(OnEveryRank):
    """A `RolloutEngine` over the engines of all ranks, whose groups come verified.

    A request is dealt in parts of at most `PART` rollouts, as many to each rank: with the hundreds of an
    evaluation, every rank has some of every problem, long answers or short. Each is sampled as it would be by
    one engine alone, so what comes back does not depend on the number of ranks, rounding aside.

    Args:
        engine: this rank's.
        ranks_per_engine: consecutive ranks that are one engine together (tensor parallelism); a divisor of
            their number, which the engine has seen to.

    Attributes:
        seconds: that each rank took for its share of the last `generate`, on rank 0.
    """

    def __init__(self, engine: RolloutEngine, ranks_per_engine: int):
        super().__init__()
        self.engine = engine
        self.ranks_per_engine = ranks_per_engine
        self.seconds: list[float] = []

    @property
    def policy_version(self) -> int:
        return self.engine.policy_version

    @on_every_rank("sampling")
    def generate(
        self, requests: Sequence[tuple[Problem, int]], sampling: Sampling, *, seed: int
    ) -> list[Group]:
        """See `RolloutEngine.generate`; on ranks other than 0 nothing comes back."""
        started = time.perf_counter()
        parts = [
            (i, range(size)[first : first + PART])
            for i, (_, size) in enumerate(requests)
            for first in range(0, size, PART)
        ]
        engines = world_size() // self.ranks_per_engine
        assigned = spread([len(rollouts) for _, rollouts in parts], engines)[rank() // self.ranks_per_engine]
        own = [parts[number] for number in assigned]
        groups = self.engine.generate(requests, sampling, seed=seed, only=own) if own else []
        is_first = rank() % self.ranks_per_engine == 0
        if is_first:
            verify(groups)
        mine = dict(zip(assigned, groups, strict=True)) if is_first else {}
        everyones = gather_on_rank_zero((mine, time.perf_counter() - started))
        self.seconds = [seconds for _, seconds in everyones]
        if not everyones:
            return []
        sampled = {
            number: group for groups_of_rank, _ in everyones for number, group in groups_of_rank.items()
        }
        joined: dict[int, Group] = {}
        for number, (i, _) in enumerate(parts):
            joined[i] = join(joined[i], sampled[number]) if i in joined else sampled[number]
        groups = list(joined.values())
        verify(groups)
        return groups

    @on_every_rank("weight_sync")
    def update_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """See `RolloutEngine.update_weights`; the tensors are those of `ShardedPolicy.weights`."""
        self.engine.update_weights(named_tensors, version)

    @on_every_rank("update")
    def rest(self) -> None:
        self.engine.rest()

    @on_every_rank("ending")
    def close(self) -> None:
        self.engine.close()

    def timing(self) -> dict[str, float]:
        """The slowest rank of the last `generate`, and its time over the median rank's; {} before the first,
        as where a run goes on at its last step, whose rollouts are in the checkpoint.
        """
        if not self.seconds:
            return {}
        slowest = max(self.seconds)
        return {
            "ranks/slowest": float(self.seconds.index(slowest)),
            "ranks/slowest_over_median": slowest / statistics.median(self.seconds),
        }
