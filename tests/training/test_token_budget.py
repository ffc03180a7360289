"""Memory that runs out, activations that are kept elsewhere or computed again: the same gradients."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from training_groups import RIGHT, WRONG, make_groups

from rlvr.config import load_config
from rlvr.data import Group
from rlvr.errors import UserError
from rlvr.policy.policy import Policy, load_policy
from rlvr.training.batch import make_batch
from rlvr.training.learner import Learner
from rlvr.training.recompute import ATTENTION_OPERATORS, recompute_activations
from rlvr.training.token_budget import TokenBudget

SETTINGS = [
    *("training.prompts_per_step=4", "training.mini_batch_prompts=2", "training.learning_rate=1e-3"),
    "algorithm.kl_coefficient=0.1",
]


@pytest.fixture
def two_updates() -> list[Group]:
    return make_groups([[RIGHT, WRONG, WRONG, RIGHT]] * 4, seed=5)


def steps(policy: Policy, groups: list[Group], overrides: list[str]) -> tuple[dict, list[list[torch.Tensor]]]:
    """Metrics of an update, and gradients at each of its optimizer steps."""
    config = load_config([*SETTINGS, *overrides])
    learner = Learner(policy, config)
    gradients: list[list[torch.Tensor]] = []
    learner.optimizer.register_step_pre_hook(
        lambda *_: gradients.append([weight.grad.clone() for weight in policy.model.parameters()])
    )
    return learner.update(make_batch(groups, config)), gradients


def with_memory_for(policy: Policy, tokens: int, *, in_backward: bool = False) -> list[int]:
    """Let the forward, or the backward of the first layer, run out of memory for more; returns what came."""
    seen: list[int] = []

    def run_out(*_) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")

    def before(layer, arguments, named) -> None:
        hidden_1TE = arguments[0]
        seen.append(len(named["layout"]))  # rows may be padded
        if seen[-1] > tokens and not in_backward:
            run_out()
        if seen[-1] > tokens and hidden_1TE.requires_grad:
            hidden_1TE.register_hook(run_out)  # some weights have a gradient by then

    policy.model.model.layers[1].register_forward_pre_hook(before, with_kwargs=True)
    return seen


@pytest.mark.parametrize("in_backward", [False, True], ids=["forward", "backward"])
def test_a_step_that_runs_out_of_memory_is_taken_in_smaller_pieces(
    two_updates: list[Group], in_backward: bool, capsys: pytest.CaptureFixture
):
    metrics, gradients = steps(load_policy("embedded"), two_updates, [])
    policy = load_policy("embedded")
    seen = with_memory_for(policy, 30, in_backward=in_backward)
    metrics_again, gradients_again = steps(policy, two_updates, [])

    assert max(seen) > 30 and seen[-1] <= 30
    said = capsys.readouterr().err
    assert "rlvr: CUDA out of memory with " in said and " the step begins again with " in said
    assert len(gradients_again) == len(gradients) == 2
    for step, again in zip(gradients, gradients_again, strict=True):
        for one, other in zip(step, again, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    skipped = {"tokens/distinct": 0.0}  # what is shared is computed once a micro-batch
    assert metrics_again | skipped == pytest.approx(metrics | skipped, abs=1e-5, rel=1e-4)


def test_a_single_rollout_that_does_not_fit_is_said(two_updates: list[Group]):
    policy = load_policy("embedded")
    with_memory_for(policy, 3)
    with pytest.raises(UserError, match=r"^CUDA out of memory: \d+ tokens at a time .*rlvr plan"):
        steps(policy, two_updates, [])


@pytest.mark.parametrize("loss", ["grpo", "clip_cov", "kl_cov", "high_entropy"])
def test_free_memory_does_not_choose_what_is_a_part_of_the_method(loss: str, monkeypatch: pytest.MonkeyPatch):
    """With 64 MiB, in which no logits fit, GRPO takes one rollout at a time; others keep to the config."""
    config = load_config([f"algorithm={loss}", "training.max_tokens_per_micro_batch=20000"])
    monkeypatch.setattr("rlvr.training.token_budget.free_bytes", lambda device: 2**26)
    model = load_policy("embedded").model
    budget = TokenBudget(SimpleNamespace(model=model, device=torch.device("cuda")), config)
    assert budget.tokens(torch.optim.AdamW(model.parameters())) == (1 if loss == "grpo" else 20_000)


class Count(TorchDispatchMode):
    """Of operators that are really run, below all other modes; and of weights that are converted."""

    def __init__(self, weights: set[int] = frozenset()):
        super().__init__()
        self.attention = self.converted = 0
        self.weights = weights

    def __torch_dispatch__(self, operator, types, arguments=(), named=None):
        self.attention += operator in ATTENTION_OPERATORS
        is_conversion = operator is torch.ops.aten._to_copy.default
        self.converted += is_conversion and arguments[0].data_ptr() in self.weights
        return operator(*arguments, **(named or {}))


def like_on_cuda() -> Policy:
    """transformers' own layers, torch's autocast and attention, on the CPU."""
    return load_policy("embedded", runs_on="cuda")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("overrides", "attentions"),
    [
        ({}, 2),
        ({"keep_attention": True}, 1),
        ({"offload": True}, 2),
        ({"keep_attention": True, "offload": True}, 1),
    ],
    ids=["inputs", "attention", "host", "both"],
)
def test_recomputation_gives_the_same_bits(
    two_updates: list[Group], precision: str, overrides: dict, attentions: int
):
    settings = [
        f"training.precision={precision}",
        "algorithm.kl_coefficient=0",
        "training.mini_batch_prompts=4",
    ]
    policy = like_on_cuda()
    with Count() as plainly:
        metrics, gradients = steps(policy, two_updates, settings)
    policy = like_on_cuda()
    recompute_activations(policy.model, **overrides)
    with Count() as again:
        metrics_again, gradients_again = steps(policy, two_updates, settings)
    assert again.attention == attentions * plainly.attention > 0
    assert metrics_again == metrics
    for one, other in zip(gradients[0], gradients_again[0], strict=True):
        assert torch.equal(one, other)


def test_a_weight_is_converted_once_an_optimizer_step(two_updates: list[Group]):
    """Whatever the number of micro-batches, with layers that run twice."""
    policy = like_on_cuda()
    recompute_activations(policy.model)
    weights = {parameter.data_ptr() for parameter in policy.model.parameters()}
    projections = 7 * policy.model.config.num_hidden_layers + 1  # the head, which is the embedding
    biases = 3 * policy.model.config.num_hidden_layers
    with Count(weights) as count:
        steps(
            policy,
            two_updates,
            [
                *("training.precision=bfloat16", "training.max_tokens_per_micro_batch=30"),
                *("algorithm.kl_coefficient=0", "training.mini_batch_prompts=4"),
            ],
        )
    assert count.converted == projections + biases


def test_choices_of_recomputation_need_it():
    with pytest.raises(UserError, match=r"training\.keep_attention=true without activation checkpointing"):
        load_config(["training.keep_attention=true"])
