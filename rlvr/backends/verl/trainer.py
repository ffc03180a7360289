"""verl's synchronous trainer with λ-GRPO's token weights; verl's estimators see no tokens."""

import torch
import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from rlvr.backends.verl.advantages import fold_process_weights

TRAINER = "rlvr_process_lambda"


@register_trainer(TRAINER)
class ProcessLambdaTrainer(PPOTrainerSync):
    """Folds the weight of each token into its advantage, between estimator and update."""

    def __init__(self, config):
        config.trainer.v1.trainer_mode = "sync"  # the mode it is; its own name was only needed to find it
        super().__init__(config)

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        return fold_into(super()._compute_advantage(batch, metrics))


def fold_into(batch: KVBatchMeta) -> KVBatchMeta:
    """Weight the advantages that the transfer queue holds for a batch."""
    where = {"keys": batch.keys, "partition_id": batch.partition_id}
    data = tq.kv_batch_get(**where, select_fields=["uid", "responses", "rm_scores", "advantages"])
    folded = fold_process_weights(
        data["advantages"].unbind(), data["responses"].unbind(), data["rm_scores"].unbind(), list(data["uid"])
    )
    nested = torch.nested.as_nested_tensor(folded, layout=torch.jagged)
    return tq.kv_batch_put(**where, fields=TensorDict({"advantages": nested}, batch_size=len(batch)))
