"""rlvr's verifiers as verl's reward manager.

A reward manager and not a reward function, because a function sees only the text: whether a completion
was cut at the maximum length, which makes its verdict, is in its tokens.
"""

from typing import Any

from verl import DataProto
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from rlvr.backends.verl.advantages import UNSCORABLE, read_config
from rlvr.backends.verl.data import problem_of
from rlvr.data import Completion, Group
from rlvr.training.batch import correctness
from rlvr.verification import verify


class RewardManager(RewardManagerBase):
    """Judges one completion at a time; verl runs several at once, and several managers.

    The reward is raw correctness: 1, 0, or `UNSCORABLE`. What shapes it (a length penalty) is added by
    the advantage estimator. Beside it verl gets `acc`, `unscorable` (1 or 0 each), `benchmark` and `problem`.
    """

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any):
        super().__init__(config, tokenizer, compute_score)
        self.settings = read_config(config.algorithm.rlvr.config)
        self.end_ids = set(config.algorithm.rlvr.end_ids)

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The reward of the last output of a rollout."""
        item = data[-1]
        completion = self._completion(item.batch["responses"], item.batch["attention_mask"])
        problem = problem_of(item.non_tensor_batch["extra_info"])
        group = Group(problem, [], [completion])
        await self.loop.run_in_executor(None, verify, [group])
        trained = correctness([group], truncated=self.settings.algorithm.truncated).item()
        correct = correctness([group]).item()  # of a validation: a cut answer is wrong there
        unscorable = correct != correct
        return {
            "reward_score": UNSCORABLE if trained != trained else trained,
            "reward_extra_info": {
                "acc": 0.0 if unscorable else correct,
                "unscorable": float(unscorable),
                "benchmark": str(item.non_tensor_batch["data_source"]),
                "problem": problem.id,
            },
        }

    def _completion(self, responses: Any, attention_mask: Any) -> Completion:
        length = int(attention_mask[-len(responses) :].sum())
        ids = responses[:length].tolist()
        cut = length >= self.settings.training.sampling.max_tokens and ids[-1] not in self.end_ids
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return Completion(ids, [], text, "length" if cut else "stop", policy_version=0)
