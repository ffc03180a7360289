"""Log-probabilities of tokens, from hidden states, without ever holding [all tokens, vocabulary]."""

from collections.abc import Callable

import torch
from torch import Tensor

from rlvr.policy.linear import linear

CHUNK_ELEMENTS = 2**25  # logits in flight: 128 MB in float32


def chunks(count: int, vocabulary: int, elements: int = CHUNK_ELEMENTS) -> list[slice]:
    """Slices of `count` tokens such that each has at most `elements` logits."""
    size = max(1, elements // vocabulary)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def logprobs_and_entropy(
    hidden_CE: Tensor, head_VE: Tensor, targets_C: Tensor, *, entropy_gradient: bool = False
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of its distribution, float32 [C], in nats.

    The entropy has a gradient only where one is asked for: it costs another [C, vocabulary].
    """
    return _LogprobsAndEntropy.apply(linear(hidden_CE, head_VE), targets_C, entropy_gradient)


class _LogprobsAndEntropy(torch.autograd.Function):
    """A row of logits z with p = softmax(z), target y, log Z = log sum exp(z) and entropy H = log Z - p.z has
    the gradients d log p_y / dz = onehot(y) - p and dH / dz = -p (z - log Z + H).

    Of all that is [C, vocabulary] only p is made: log Z is taken from the largest logit and its p.
    """

    @staticmethod
    def forward(ctx, logits_CV: Tensor, targets_C: Tensor, entropy_gradient: bool) -> tuple[Tensor, Tensor]:
        probabilities_CV = logits_CV.softmax(-1, dtype=torch.float32)
        largest_C, place_C = logits_CV.max(-1)
        log_normaliser_C = largest_C.float() - _at(probabilities_CV, place_C).log()
        logprobs_C = _at(logits_CV, targets_C).float() - log_normaliser_C
        entropy_C = log_normaliser_C - torch.linalg.vecdot(probabilities_CV, logits_CV.float())
        if entropy_gradient:
            ctx.save_for_backward(targets_C, probabilities_CV, logits_CV, log_normaliser_C - entropy_C)
        else:
            ctx.mark_non_differentiable(entropy_C)
            ctx.save_for_backward(targets_C, probabilities_CV)
        ctx.dtype = logits_CV.dtype
        return logprobs_C, entropy_C

    @staticmethod
    def backward(ctx, logprobs_gradient_C: Tensor, entropy_gradient_C: Tensor):
        targets_C, probabilities_CV, *entropy = ctx.saved_tensors
        factor_C1 = -logprobs_gradient_C[:, None]
        if entropy:
            logits_CV, mean_C = entropy
            factor_CV = factor_C1 - entropy_gradient_C[:, None] * (logits_CV - mean_C[:, None])
            gradient_CV = probabilities_CV * factor_CV
        else:
            gradient_CV = probabilities_CV.mul_(factor_C1)  # in place: nobody needs them any more
        gradient_CV.scatter_add_(-1, targets_C[:, None], -factor_C1)
        return gradient_CV.to(ctx.dtype), None, None


def _at(values_CV: Tensor, columns_C: Tensor) -> Tensor:
    return values_CV.gather(-1, columns_C[:, None])[:, 0]


@torch.no_grad()
def token_logprobs(hidden_NE: Tensor, head_VE: Tensor, targets_N: Tensor) -> Tensor:
    """Log-probability of every target, float32 [N], in nats; no gradient."""
    parts = []
    for chunk in chunks(len(targets_N), len(head_VE)):
        logp_CV = linear(hidden_NE[chunk], head_VE).float().log_softmax(-1)
        parts.append(_at(logp_CV, targets_N[chunk]))
    return torch.cat(parts) if parts else hidden_NE.new_zeros(0, dtype=torch.float32)


def backward_through_head(
    hidden_NE: Tensor,
    head_VE: Tensor,
    targets_N: Tensor,
    loss: Callable[[Tensor, Tensor, slice], Tensor],
    *,
    entropy_gradient: bool = False,
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
    for chunk in chunks(len(targets_N), len(head_VE)):
        hidden_CE = hidden_NE[chunk].detach().requires_grad_()
        logprobs_C, entropy_C = logprobs_and_entropy(
            hidden_CE, head_VE, targets_N[chunk], entropy_gradient=entropy_gradient
        )
        loss(logprobs_C, entropy_C, chunk).backward()
        gradient_NE[chunk] = hidden_CE.grad
        logprobs_N.append(logprobs_C.detach())
        entropy_N.append(entropy_C.detach())
    hidden_NE.backward(gradient_NE)
    return torch.cat(logprobs_N), torch.cat(entropy_N)
