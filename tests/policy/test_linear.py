"""Products through oneDNN against torch's own; the hand-written gradient of the head against autograd's."""

import pytest
import torch
from torch.nn import functional

from rlvr.policy.linear import Linear, linear, use_onednn
from rlvr.policy.token_logprobs import logprobs_and_entropy


@pytest.mark.parametrize(
    "shape", [(7, 12), (1, 7, 12), (2, 3, 12)], ids=["rows", "a batch of one", "a batch"]
)
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
def test_outputs_and_gradients_are_torchs(shape: tuple[int, ...], with_bias: bool):
    generator = torch.Generator().manual_seed(0)

    def inputs() -> list[torch.Tensor]:
        generator.manual_seed(0)
        tensors = [torch.randn(*size, generator=generator) for size in (shape, (5, 12), (5,))]
        return [tensor.requires_grad_() for tensor in tensors][: 3 if with_bias else 2]

    ours, theirs = inputs(), inputs()
    one, other = linear(*ours), functional.linear(*theirs)
    torch.testing.assert_close(one, other)
    weights = torch.randn(one.shape, generator=generator)
    (one * weights).sum().backward()
    (other * weights).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_linear_layers_keep_their_parameters_and_frozen_ones_get_no_gradient():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    names = list(model.state_dict())
    use_onednn(model)
    model[0].weight.requires_grad_(False)
    model(torch.randn(5, 4)).sum().backward()

    assert list(model.state_dict()) == names
    assert {type(model[0]), type(model[2])} == {Linear}
    assert model[0].weight.grad is None
    assert model[2].weight.grad is not None


def test_no_rows_at_all():
    assert linear(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0, 3)


def test_autocast_reaches_the_product():
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.zeros(2, 4), torch.zeros(3, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize("entropy_gradient", [True, False], ids=["with entropy", "log-probabilities alone"])
def test_gradients_of_log_probabilities_and_entropy_are_autograds(entropy_gradient: bool):
    """Against the definitions, differentiated by autograd in float64."""
    generator = torch.Generator().manual_seed(1)
    hidden, head = torch.randn(6, 4, generator=generator), torch.randn(9, 4, generator=generator)
    targets = torch.tensor([0, 8, 3, 3, 1, 7])
    weights = torch.randn(2, 6, generator=generator)

    ours = hidden.clone().requires_grad_(), head.clone().requires_grad_()
    logprobs, entropy = logprobs_and_entropy(*ours, targets, entropy_gradient=entropy_gradient)
    loss = (weights[0] * logprobs).sum() + (weights[1] * entropy).sum() * entropy_gradient
    loss.backward()

    theirs = hidden.double().requires_grad_(), head.double().requires_grad_()
    logp = (theirs[0] @ theirs[1].T).log_softmax(-1)
    true_entropy = -(logp.exp() * logp).sum(-1)
    true_logprobs = logp[torch.arange(6), targets]
    ((weights[0] * true_logprobs).sum() + (weights[1] * true_entropy).sum() * entropy_gradient).backward()

    torch.testing.assert_close(logprobs.double(), true_logprobs.detach(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(entropy.double(), true_entropy.detach(), atol=1e-6, rtol=1e-6)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, atol=1e-6, rtol=1e-5)
