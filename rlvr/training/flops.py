"""Floating-point operations of training, profiling included: 2ND for a forward pass, 6ND with the backward.

N is the number of parameters that every token is multiplied with: all of them, save an input embedding that
is not the output head too, since looking a token up takes no product. D counts token positions: a group's
prompt once, and of each completion all but the last token, which nothing follows. Completions count in
full, although engine and learner compute what they share only once: so methods compare as they would on any
engine, and a policy that repeats itself does not look cheaper. Rollouts without an advantage are left out
of updates here; `compute/flops_undropped` is what a trainer spends that updates on all of them. Not
counted: attention's own products (small beside 2ND at these lengths), the optimizer, verification,
validation and evaluation. A frozen parameter has no gradient of its own: 4ND.
"""

from collections.abc import Sequence

from transformers import PreTrainedModel

from rlvr.config import Config
from rlvr.data import Completion, Group
from rlvr.policy.adapter import trained
from rlvr.training.batch import Batch, takes_all_rollouts


def parameter_count(model: PreTrainedModel) -> int:
    """N: parameters that take part in a product for every token."""
    total = sum(weight.numel() for weight in model.parameters())
    inputs, head = model.get_input_embeddings(), model.get_output_embeddings()
    return total if head is not None and head.weight is inputs.weight else total - inputs.weight.numel()


def frozen_count(model: PreTrainedModel) -> int:
    """How many of N are not trained, as where there is an adapter."""
    if all(weight.requires_grad for weight in model.parameters()):
        return 0
    return parameter_count(model) - sum(weight.numel() for weight in trained(model).values())


def forward_flops(parameters: int, tokens: int) -> float:
    return 2.0 * parameters * tokens


def training_flops(parameters: int, tokens: int, frozen: int = 0) -> float:
    return (6.0 * parameters - 2.0 * frozen) * tokens


def sampled_flops(parameters: int, groups: Sequence[Group]) -> float:
    """Of generating groups: every prompt read once, every completion token sampled."""
    return forward_flops(parameters, sum(_positions(group, group.completions) for group in groups))


def update_flops(
    parameters: int, batch: Batch, config: Config, frozen: int = 0, *, all_rollouts: bool = False
) -> float:
    """Of one `Learner.update`: only rollouts that change the gradient go through the model, or all of them.

    From the second mini-batch on, the policy has changed since sampling, so their old log-probabilities
    take a forward pass more; with a KL term the reference policy's take another. Further passes over the
    batch (`num_iterations`) take neither again.
    """
    algorithm = config.algorithm
    keep_all = all_rollouts or takes_all_rollouts(algorithm)
    advantages = batch.advantage_R.tolist()
    flops = 0.0
    for g, group in enumerate(batch.groups):
        kept = [completion for i, completion in batch.counted(g) if keep_all or advantages[i] != 0]
        if kept:
            later = g >= config.training.mini_batch_prompts and algorithm.old_logprobs == "trainer"
            passes = int(later) + int(algorithm.kl_coefficient > 0)
            tokens = _positions(group, kept)
            trained = config.training.num_iterations * training_flops(parameters, tokens, frozen)
            flops += trained + passes * forward_flops(parameters, tokens)
    return flops


def compute_metrics(
    parameters: int, sampled: Sequence[Group], batch: Batch, config: Config, frozen: int = 0
) -> dict[str, float]:
    """FLOPs of one step; `sampled` are all its groups, those that dynamic sampling threw away among them."""
    generated = sampled_flops(parameters, sampled)
    updated = update_flops(parameters, batch, config, frozen)
    undropped = update_flops(parameters, batch, config, frozen, all_rollouts=True)
    return {
        "compute/flops": generated + updated,
        "compute/flops_generated": generated,
        "compute/flops_trained": updated,
        "compute/flops_undropped": generated + undropped,
    }


def _positions(group: Group, completions: Sequence[Completion]) -> int:
    return len(group.prompt_ids) + sum(len(completion.token_ids) - 1 for completion in completions)
