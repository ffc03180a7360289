"""Log-probabilities of tokens, from hidden states, without ever holding [all tokens, vocabulary]."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, special

from rlvr.policy.cpu.linear import has_few_weights, logits, rounded

IN_FLIGHT = {"cpu": 2**25, "cuda": 2**27}  # bytes of logits at a time; malloc keeps 32 MB for the next
ENOUGH = 128  # tokens that go through a large head together, if there is room for them
CACHED = 2**18  # logits of which a CPU still has everything in its cache, from one pass to the next


def chunks(count: int, size: int) -> list[slice]:
    """Slices of `count` rows, of at most `size` each and at least one."""
    size = max(1, size)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def chunks_of(hidden_NE: Tensor, head_VE: Tensor) -> list[slice]:
    """Slices of tokens that go through the head together, about even; `logits` rounds up the last alone.

    On a CPU a quarter of what may be in flight is enough, unless that is so few tokens that reading the
    weights and adding to their gradient takes as long as the products.
    """
    count, on_cpu = len(hidden_NE), hidden_NE.is_cpu
    room = IN_FLIGHT["cpu" if on_cpu else "cuda"] // hidden_NE.element_size() // len(head_VE)
    size = max(1, min(room, max(ENOUGH, room // 4)) if on_cpu else room)
    even = math.ceil(count / max(1, math.ceil(count / size)))
    return chunks(count, rounded(even, has_few_weights(head_VE)) if on_cpu else even)


def logprobs_and_entropy(hidden_CE: Tensor, head_VE: Tensor, targets_C: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of its distribution, float32 [C], in nats."""
    return _LogprobsAndEntropy.apply(logits(hidden_CE, head_VE), targets_C)


class _LogprobsAndEntropy(torch.autograd.Function):
    """A row of logits z with p = softmax(z), target y, log Z = log sum exp(z) and entropy H = log Z - p.z has
    the gradients d log p_y / dz = onehot(y) - p and dH / dz = -p (log p + H).

    Probabilities take the memory of the logits, which nobody needs any more, and gradients take theirs. A
    target's own gradient is taken from its log-probability: in half precision a p_y near 1 would round to 1,
    and its gradient to nothing. Rows beyond the targets have none.
    """

    @staticmethod
    def forward(ctx, logits_CV: Tensor, targets_C: Tensor) -> tuple[Tensor, Tensor]:
        logits_CV = logits_CV.detach()  # to be written over
        logprobs_C, entropy_C = logits_CV.new_empty(2, len(targets_C), dtype=torch.float32)
        for rows in _rows_in_hand(logits_CV, len(targets_C)):
            logits_RV = logits_CV[rows].float()
            probabilities_RV = logits_RV.softmax(-1)
            largest_R, place_R = logits_RV.max(-1)
            log_normaliser_R = largest_R - _at(probabilities_RV, place_R).log()
            logprobs_C[rows] = _at(logits_RV, targets_C[rows]) - log_normaliser_R
            entropy_C[rows] = log_normaliser_R - torch.linalg.vecdot(probabilities_RV, logits_RV)
            logits_CV[rows] = probabilities_RV
        ctx.set_materialize_grads(False)
        ctx.probabilities_CV = logits_CV
        ctx.save_for_backward(targets_C, logprobs_C, entropy_C)
        return logprobs_C, entropy_C

    @staticmethod
    def backward(ctx, logprobs_gradient_C: Tensor | None, entropy_gradient_C: Tensor | None):
        targets_C, logprobs_C, entropy_C = ctx.saved_tensors
        probabilities_CV = ctx.probabilities_CV
        ctx.probabilities_CV = None  # whoever still has the graph does not have them too
        slope_C = torch.zeros_like(logprobs_C) if logprobs_gradient_C is None else -logprobs_gradient_C
        at_targets_C = slope_C * logprobs_C.expm1()
        if entropy_gradient_C is not None:
            slope_C = slope_C - entropy_gradient_C * entropy_C
            probability_C = logprobs_C.exp()
            at_targets_C += entropy_gradient_C * (special.entr(probability_C) - probability_C * entropy_C)
        probabilities_CV[len(targets_C) :] = 0  # rows that are nobody's
        for rows in _rows_in_hand(probabilities_CV, len(targets_C)):
            gradient_RV = probabilities_CV[rows]
            if entropy_gradient_C is None:
                gradient_RV.mul_(slope_C[rows, None])
            else:
                entr_RV = special.entr(gradient_RV.float())
                gradient_RV.mul_(slope_C[rows, None]).add_(entr_RV.mul_(entropy_gradient_C[rows, None]))
        rows_C = torch.arange(len(targets_C), device=targets_C.device)
        probabilities_CV[rows_C, targets_C] = at_targets_C.to(probabilities_CV.dtype)
        return probabilities_CV, None


def _rows_in_hand(values_CV: Tensor, rows: int) -> list[slice]:
    """The first `rows`, all at once on a GPU, few at a time on a CPU."""
    return chunks(rows, CACHED // values_CV.shape[1] if values_CV.is_cpu else rows)


def _at(values_CV: Tensor, columns_C: Tensor) -> Tensor:
    return values_CV.gather(-1, columns_C[:, None])[:, 0]


@torch.no_grad()
def token_logprobs(hidden_NE: Tensor, head_VE: Tensor, targets_N: Tensor) -> Tensor:
    """Log-probability of every target, float32 [N], in nats; no gradient."""
    parts = [
        logprobs_and_entropy(hidden_NE[chunk], head_VE, targets_N[chunk])[0]
        for chunk in chunks_of(hidden_NE, head_VE)
    ]
    return torch.cat(parts) if parts else hidden_NE.new_zeros(0, dtype=torch.float32)


def backward_through_head(
    hidden_NE: Tensor,
    head_VE: Tensor,
    targets_N: Tensor,
    loss: Callable[[Tensor, Tensor, slice], Tensor],
) -> tuple[Tensor, Tensor]:
    """Gradients of a sum over tokens, chunk by chunk through the head, then once through the model.

    A chunk's logits are freed as soon as its gradient is known, so memory does not grow with the
    vocabulary, and nothing is computed twice.

    Args:
        hidden_NE: hidden states that predict the targets, with their graph.
        loss: (logprobs_C, entropy_C, chunk) -> scalar share of the loss of that chunk of tokens.

    Returns:
        Log-probabilities and entropies of all tokens, detached, float32 [N].
    """
    gradient_NE = torch.empty_like(hidden_NE)
    logprobs_N, entropy_N = [], []
    for chunk in chunks_of(hidden_NE, head_VE):
        hidden_CE = hidden_NE[chunk].detach().requires_grad_()
        logprobs_C, entropy_C = logprobs_and_entropy(hidden_CE, head_VE, targets_N[chunk])
        loss(logprobs_C, entropy_C, chunk).backward()
        gradient_NE[chunk] = hidden_CE.grad
        logprobs_N.append(logprobs_C.detach())
        entropy_N.append(entropy_C.detach())
    hidden_NE.backward(gradient_NE)
    return torch.cat(logprobs_N), torch.cat(entropy_N)
