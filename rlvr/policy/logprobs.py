"""Log-probabilities of tokens from hidden states, without ever holding [all tokens, vocabulary].

Tokens go through the head in chunks. Only one number a token is kept of a chunk; its logits are computed
again in the backward, which costs one more product with the head. Where one chunk is all there is, it is kept
instead.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor, nn, special
from torch.nn.functional import pad

from rlvr.policy.kernels import Kernels


def head_logprobs(
    hidden_NE: Tensor, head: nn.Module, targets_N: Tensor, kernels: Kernels | None = None
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of its distribution, float32 [N], in nats.

    Gradients of the head's parameters are added to those that it has while the backward goes on.

    Args:
        hidden_NE: hidden states, each of which predicts a target.
        head: the output embedding, a linear layer or what has been put around one; it is called.
        targets_N: int64.
        kernels: the policy's; torch's own if none are given.
    """
    kernels = kernels or Kernels()
    count = len(targets_N)
    rows = kernels.head_rows(hidden_NE, head)
    # chunks have the sizes that kernels are fast for, the last one by rows that are nobody's
    last = count % rows
    missing = kernels.padded_rows(last, head.weight.numel()) - last if last else 0
    hidden_NE, targets_N = pad(hidden_NE, (0, 0, 0, missing)), pad(targets_N, (0, missing))
    if torch.is_grad_enabled() and any(weight.requires_grad for weight in head.parameters()):
        hidden_NE = hidden_NE if hidden_NE.requires_grad else hidden_NE.requires_grad_()  # its own way in
    logp_N, entropy_N = _HeadLogprobs.apply(hidden_NE, targets_N, head, rows, kernels)
    return logp_N[:count], entropy_N[:count]


class _HeadLogprobs(torch.autograd.Function):
    """A row of logits z with p = softmax(z), target y, log Z = log sum exp(z) and entropy H = log Z - p.z has
    the gradients d log p_y / dz = onehot(y) - p and dH / dz = -p (log p + H).
    """

    @staticmethod
    def forward(
        ctx, hidden_NE: Tensor, targets_N: Tensor, head: nn.Module, rows: int, kernels: Kernels
    ) -> tuple[Tensor, Tensor]:
        ctx.head, ctx.rows, ctx.kernels = head, rows, kernels
        ctx.autocast = _running_autocast(hidden_NE.device.type)
        ctx.single = None
        logp_N, entropy_N = hidden_NE.new_empty(2, len(targets_N), dtype=torch.float32)
        for chunk in _chunks(len(targets_N), rows):
            # with a graph only where the chunk will not be computed again
            keep = ctx.needs_input_grad[0] and len(targets_N) <= rows
            hidden_CE, logits_CV = _logits(hidden_NE[chunk], head, with_graph=keep)
            probabilities_CV = logits_CV.detach()  # takes the memory of the logits, which nobody needs
            _softmax(probabilities_CV, targets_N[chunk], logp_N[chunk], entropy_N[chunk], kernels)
            if keep:
                ctx.single = hidden_CE, logits_CV, probabilities_CV
        ctx.save_for_backward(hidden_NE, targets_N, logp_N, entropy_N)
        ctx.set_materialize_grads(False)
        return logp_N, entropy_N

    @staticmethod
    def backward(ctx, grad_logp_N: Tensor | None, grad_entropy_N: Tensor | None):
        hidden_NE, targets_N, logp_N, entropy_N = ctx.saved_tensors
        grad_hidden_NE = torch.empty_like(hidden_NE)
        single, ctx.single = ctx.single, None  # whoever still has the graph does not have the logits too
        for chunk in _chunks(len(targets_N), ctx.rows):
            if single is not None:
                hidden_CE, logits_CV, probabilities_CV = single
            else:
                with ctx.autocast():
                    hidden_CE, logits_CV = _logits(hidden_NE[chunk], ctx.head, with_graph=True)
                probabilities_CV = logits_CV.detach()
                for rows in _chunks(len(logits_CV), ctx.kernels.softmax_rows(*logits_CV.shape)):
                    probabilities_CV[rows] = probabilities_CV[rows].float().softmax(-1)
            grad_logits_CV = _grad_logits(
                probabilities_CV,
                targets_N[chunk],
                logp_N[chunk],
                entropy_N[chunk],
                None if grad_logp_N is None else grad_logp_N[chunk],
                None if grad_entropy_N is None else grad_entropy_N[chunk],
                ctx.kernels,
            )
            torch.autograd.backward(logits_CV, grad_logits_CV)
            grad_hidden_NE[chunk] = hidden_CE.grad
        return grad_hidden_NE, None, None, None, None


def _logits(hidden_CE: Tensor, head: nn.Module, with_graph: bool) -> tuple[Tensor, Tensor]:
    """A chunk's hidden states as a leaf, and what the head makes of them."""
    hidden_CE = hidden_CE.detach()
    with torch.set_grad_enabled(with_graph):
        return hidden_CE, head(hidden_CE.requires_grad_(with_graph))


def _softmax(
    logits_CV: Tensor, targets_C: Tensor, logp_C: Tensor, entropy_C: Tensor, kernels: Kernels
) -> None:
    """Turn logits into probabilities where they are; put what is asked for of each row."""
    for rows in _chunks(len(targets_C), kernels.softmax_rows(*logits_CV.shape)):
        logits_RV = logits_CV[rows].float()
        probabilities_RV = logits_RV.softmax(-1)
        largest_R, place_R = logits_RV.max(-1)
        log_normaliser_R = largest_R - _at(probabilities_RV, place_R).log()
        logp_C[rows] = _at(logits_RV, targets_C[rows]) - log_normaliser_R
        entropy_C[rows] = log_normaliser_R - torch.linalg.vecdot(probabilities_RV, logits_RV)
        logits_CV[rows] = probabilities_RV


def _grad_logits(
    probabilities_CV: Tensor,
    targets_C: Tensor,
    logp_C: Tensor,
    entropy_C: Tensor,
    grad_logp_C: Tensor | None,
    grad_entropy_C: Tensor | None,
    kernels: Kernels,
) -> Tensor:
    """The gradient of a chunk's logits, in the place of its probabilities."""
    slope_C = torch.zeros_like(logp_C) if grad_logp_C is None else -grad_logp_C
    # from the log-probability: in half precision a p_y near 1 would round to 1, its gradient to nothing
    at_targets_C = slope_C * logp_C.expm1()
    if grad_entropy_C is not None:
        slope_C = slope_C - grad_entropy_C * entropy_C
        probability_C = logp_C.exp()
        at_targets_C += grad_entropy_C * (special.entr(probability_C) - probability_C * entropy_C)
    for rows in _chunks(len(targets_C), kernels.softmax_rows(*probabilities_CV.shape)):
        grad_RV = probabilities_CV[rows]
        if grad_entropy_C is None:
            grad_RV.mul_(slope_C[rows, None])
        else:
            entr_RV = special.entr(grad_RV.float())
            grad_RV.mul_(slope_C[rows, None]).add_(entr_RV.mul_(grad_entropy_C[rows, None]))
    rows_C = torch.arange(len(targets_C), device=targets_C.device)
    probabilities_CV[rows_C, targets_C] = at_targets_C.to(probabilities_CV.dtype)
    return probabilities_CV


def _running_autocast(device: str) -> Callable[[], AbstractContextManager]:
    """Makes the autocast of now again, for the backward, whose thread on a GPU is another one."""
    enabled = torch.is_autocast_enabled(device)
    return partial(torch.autocast, device, torch.get_autocast_dtype(device), enabled=enabled)


def _chunks(count: int, size: int) -> list[slice]:
    """Slices of `count` rows, of at most `size` each."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _at(values_CV: Tensor, columns_C: Tensor) -> Tensor:
    return values_CV.gather(-1, columns_C[:, None])[:, 0]
