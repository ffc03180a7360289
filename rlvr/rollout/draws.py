"""Drawing tokens: from logits, by the inverse of the distribution function, or the likeliest of all."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from rlvr.rollout.engine import Sampling, not_numbers

BLOCK = 256  # columns of a row of weights that one number stands for
BELOW_ONE = 1 - 2.0**-53


def sample_tokens(
    logits_SV: Tensor, node_R: Tensor, uniform_R: Tensor, sampling: Sampling
) -> tuple[Tensor, Tensor]:
    """One token a rollout from the distribution of its node, and its log-probability as it was sampled.

    With temperature 0 it is the likeliest token, the first of equals, with the log-probability that the
    policy itself gives it (temperature 1, no token left out).

    Args:
        logits_SV: of the S nodes.
        node_R: int64, the node of each of the R rollouts.
        uniform_R: float64 in [0, 1), for inverting the distribution function.
    """
    logits_SV = logits_SV.float()
    if sampling.is_greedy:
        token_S = logits_SV.argmax(-1)
        logprob_S = logits_SV.log_softmax(-1).gather(-1, token_S[:, None])[:, 0]
        if not logprob_S.isfinite().all():  # NaN counts as the likeliest
            raise not_numbers()
        return token_S[node_R], logprob_S[node_R]
    if sampling.temperature != 1.0:
        logits_SV = logits_SV / sampling.temperature
    if 0 < sampling.top_k < logits_SV.shape[-1]:
        smallest_S1 = logits_SV.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits_SV = logits_SV.masked_fill(logits_SV < smallest_S1, -torch.inf)
    probabilities_SV = logits_SV.softmax(-1)
    if sampling.top_p < 1.0:
        ordered_SV, order_SV = probabilities_SV.sort(dim=-1, descending=True)
        # a token stays while the mass before it is below top_p, so at least one stays
        dropped_SV = ordered_SV.cumsum(-1) - ordered_SV >= sampling.top_p
        probabilities_SV = probabilities_SV.masked_fill(dropped_SV.scatter(-1, order_SV, dropped_SV), 0.0)
        probabilities_SV = probabilities_SV / probabilities_SV.sum(-1, keepdim=True)
    token_R = sample_columns(probabilities_SV, node_R, uniform_R)
    return token_R, probabilities_SV[node_R, token_R].log()


def sample_columns(weights_SV: Tensor, row_R: Tensor, uniform_R: Tensor) -> Tensor:
    """A column for each of R draws, in proportion to the weights of the draw's row, int64 [R].

    Of a large vocabulary first a block of columns is drawn and then one in it, so that float64 and running
    sums are left to a few numbers a row.
    """
    if weights_SV.shape[-1] <= BLOCK:
        return invert_cdf(weights_SV, row_R, uniform_R)[0]
    missing = -weights_SV.shape[-1] % BLOCK
    weights_SBW = (pad(weights_SV, (0, missing)) if missing else weights_SV).unflatten(-1, (-1, BLOCK))
    block_R, rest_R = invert_cdf(weights_SBW.sum(-1), row_R, uniform_R)
    draws_R = torch.arange(len(row_R), device=row_R.device)
    column_R, _ = invert_cdf(weights_SBW[row_R, block_R], draws_R, rest_R)
    return block_R * BLOCK + column_R


def invert_cdf(weights_SV: Tensor, row_R: Tensor, uniform_R: Tensor) -> tuple[Tensor, Tensor]:
    """Where the distribution function of each draw's row passes `uniform_R`, by binary search.

    Returns:
        The column, int64 [R], never one of weight 0; and how far into the column's share the draw fell,
        float64 [R] in [0, 1), which is uniform again.
    """
    # all functions one after the other, that of row s rising from s to s + 1
    cumulative_SV = weights_SV.cumsum(-1, dtype=torch.float64)
    if not cumulative_SV[:, -1].isfinite().all():
        raise not_numbers()
    cumulative_SV /= cumulative_SV[:, -1:].clone()
    cumulative_SV += torch.arange(len(weights_SV), device=weights_SV.device)[:, None]
    # a sum that is rounded up to row + 1 would be in the row after
    height_R = torch.minimum(row_R + uniform_R, torch.nextafter(row_R.double() + 1, row_R.double()))
    flat_column_R = torch.searchsorted(cumulative_SV.flatten(), height_R, right=True)
    column_R = flat_column_R - row_R * weights_SV.shape[-1]
    above_R = cumulative_SV[row_R, column_R]
    below_R = torch.where(column_R > 0, cumulative_SV[row_R, column_R - 1], row_R.double())
    return column_R, ((height_R - below_R) / (above_R - below_R)).clamp(0, BELOW_ONE)
