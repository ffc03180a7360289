"""Products through oneDNN against torch's own; the hand-written gradient of the head against autograd's."""

import copy
import os
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional

from rlvr.policy.cpu.linear import (
    Autocast,
    Linear,
    cast_once,
    fused_projections,
    linear,
    reordered_weights,
    use_onednn,
)
from rlvr.policy.logprobs import head_logprobs


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


@pytest.mark.parametrize("tokens", [20, 6], ids=["many tokens", "few tokens"])
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("frozen", [None, 1], ids=["all", "one frozen"])
def test_layers_fused_projections_are_torchs_one_by_one(tokens: int, with_bias: bool, frozen: int | None):
    """Two backward passes; of many tokens the input is transposed, of few each gradient."""
    generator = torch.Generator().manual_seed(0)
    ours = nn.ModuleList(nn.Linear(5, outputs, bias=with_bias) for outputs in (6, 3))
    if frozen is not None:
        ours[frozen].requires_grad_(False)
    theirs = copy.deepcopy(ours)
    use_onednn(ours)
    for _ in range(2):
        input_1TI = torch.randn(1, tokens, 5, generator=generator)
        inputs = [input_1TI.clone().requires_grad_() for _ in range(2)]
        for one, other in zip(
            fused_projections(inputs[0], list(ours)), [layer(inputs[1]) for layer in theirs], strict=True
        ):
            torch.testing.assert_close(one, other)
            weights = torch.randn(one.shape, generator=generator)
            (one * weights).sum().backward(retain_graph=True)
            (other * weights).sum().backward()
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert one.requires_grad == (one.grad is not None)
        if one.requires_grad:
            torch.testing.assert_close(one.grad, other.grad)


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


@pytest.mark.parametrize("any_processor", [False, True], ids=["this processor", "without AVX-512"])
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
def test_reordered_weights_say_the_same(
    autocast: bool, with_bias: bool, any_processor: bool, monkeypatch: pytest.MonkeyPatch
):
    if any_processor:
        monkeypatch.setattr("rlvr.policy.cpu.linear.has_fast_bfloat16", lambda: False)
    torch.manual_seed(0)
    layers = [Linear(24, outputs, bias=with_bias) for outputs in (40, 8, 8)]
    inputs = torch.randn(1, 9, 24)
    with Autocast("cpu", torch.bfloat16) if autocast else nullcontext():
        expected = [layer(inputs) for layer in layers]
        with torch.no_grad(), reordered_weights():
            alone = [layer(inputs) for layer in layers]
            together = [fused_projections(inputs, layers) for _ in range(2)]
        with reordered_weights():  # with gradient nothing is kept
            assert all(output.requires_grad for output in fused_projections(inputs, layers))
    for outputs in (alone, *together):
        assert [output.dtype for output in outputs] == [output.dtype for output in expected]
        for one, other in zip(outputs, expected, strict=True):
            torch.testing.assert_close(one, other.detach())


def test_a_weight_that_changed_is_put_in_order_anew():
    layer, inputs = Linear(4, 3, bias=False), torch.ones(2, 4)
    with torch.no_grad():
        for value in (1.0, 2.0):
            layer.weight.fill_(value)
            with reordered_weights():
                assert layer(inputs).unique().tolist() == [4 * value]


def test_no_rows_at_all():
    assert linear(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0, 3)


def test_autocast_reaches_the_product():
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.zeros(2, 4), torch.zeros(3, 4)).dtype == torch.bfloat16


def test_a_token_that_is_all_but_certain_has_its_gradient_in_half_precision():
    """Logits 7 and 0: 1 - p = 1 / (1 + e^7) = 0.00091105, where bfloat16 has nothing between 0.996 and 1."""
    head = nn.Linear(1, 2, bias=False)
    head.weight.data = torch.tensor([[7.0], [0.0]])
    with torch.autocast("cpu", torch.bfloat16):
        logprobs, _ = head_logprobs(torch.ones(1, 1), head, torch.tensor([0]))
    logprobs.sum().backward()

    expected = torch.tensor([[0.00091105], [-0.00091105]])
    torch.testing.assert_close(head.weight.grad, expected, rtol=0.004, atol=0)


@pytest.mark.parametrize(
    "context", [nullcontext(), Autocast("cpu", torch.bfloat16)], ids=["float32", "bfloat16"]
)
def test_gradients_come_in_parts_and_a_second_is_added_in_place(context, monkeypatch: pytest.MonkeyPatch):
    """Three rows of the weight at a time: 8 are no multiple of it."""
    monkeypatch.setattr("rlvr.policy.cpu.linear.GRADIENT_BLOCK", 12)
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(2, 5, 4, generator=generator)
    layer = nn.Linear(4, 8)
    use_onednn(layer)
    with context:
        layer(inputs[0]).sum().backward()
        first = layer.weight.grad
        layer(inputs[1]).square().sum().backward()
    assert layer.weight.grad is first

    plain = nn.Linear(4, 8).double()
    plain.load_state_dict(layer.state_dict())
    plain(inputs[0].double()).sum().backward()
    plain(inputs[1].double()).square().sum().backward()
    rtol = 1e-5 if isinstance(context, nullcontext) else 0.05
    torch.testing.assert_close(layer.weight.grad.double(), plain.weight.grad, rtol=rtol, atol=rtol)
    torch.testing.assert_close(layer.bias.grad.double(), plain.bias.grad, rtol=rtol, atol=rtol)


USES_ONEDNN = """
import torch
from torch import nn
from rlvr.policy.cpu import linear
linear.GRADIENT_BLOCK = 2**12
for tokens, inputs, outputs in ((160, 16, 1024), (160, 16, 64), (16, 64, 32)):
    layer = nn.Linear(inputs, outputs)
    linear.use_onednn(layer)
    for gradient in (
        torch.randn(tokens, outputs),
        torch.randn(tokens, 2 * outputs)[:, :outputs],
        torch.randn(outputs, tokens).T,
        torch.ones(1, 1).expand(tokens, outputs),
    ):
        layer(torch.randn(tokens, inputs).requires_grad_()).backward(gradient)
"""


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_no_product_goes_to_onednns_reference():
    """Which is some hundred times slower; gradients of large weights, small ones, and in odd strides."""
    done = subprocess.run(
        [sys.executable, "-c", USES_ONEDNN],
        env=os.environ | {"ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    used = [line.split(",")[6] for line in done.stdout.splitlines() if ",exec,cpu,inner_product," in line]
    assert len(used) >= 3 * 3 * 4
    assert not [kernel for kernel in used if kernel.startswith("ref")]


def test_autocast_says_what_torchs_does_and_forgets_converted_weights():
    layer, inputs = nn.Linear(4, 8), torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
    with torch.autocast("cpu", torch.bfloat16):
        expected = layer(inputs)
    use_onednn(layer)
    with Autocast("cpu", torch.bfloat16):
        ours = layer(inputs)
        with torch.no_grad():
            without_gradient = layer(inputs)
        assert cast_once(layer.weight) is cast_once(layer.weight)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(without_gradient, expected)

    with torch.no_grad():
        layer.weight.zero_()
    with Autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(inputs), layer.bias.to(torch.bfloat16).expand(5, -1))
