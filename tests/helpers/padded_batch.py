"""One batch of the embedded policy, as rlvr has it and as padded rows for transformers and other trainers."""

from dataclasses import dataclass

import torch
from torch import Tensor
from training_groups import LOST, make_groups
from transformers import AutoModelForCausalLM, PreTrainedModel

from rlvr.config import load_config
from rlvr.data import Group, Verdict
from rlvr.policy.location import EMBEDDED
from rlvr.policy.policy import Policy, load_policy
from rlvr.training.batch import make_batch
from rlvr.training.learner import Learner

MAX_TOKENS = 12  # of a completion; make_groups' have 1 to 10


@dataclass
class PaddedBatch:
    """One row a rollout: prompts padded on the left [B, P], completions on the right [B, L]."""

    prompt_ids: Tensor
    prompt_mask: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    old_logp: Tensor
    reward: Tensor  # [B]
    group: list[str]  # whose rollout each row is


def off_policy_groups(verdicts: list[list[Verdict]]) -> list[Group]:
    """Groups whose old log-probabilities lie around the policy's own: ratios from about 0.05 to 20."""
    groups = make_groups(verdicts)
    padded = padded_batch(groups)
    with torch.no_grad():
        logp = plain_logprobs(plain_model(), padded)
    logp += 1.2 * torch.randn(logp.shape, generator=torch.Generator().manual_seed(0))
    completions = [c for group in groups for c in group.completions]
    for completion, row in zip(completions, logp.tolist(), strict=True):
        completion.logprobs = row[: len(completion.token_ids)]
    return groups


def padded_batch(groups: list[Group], device: str = "cpu") -> PaddedBatch:
    prompts = [group.prompt_ids for group in groups for _ in group.completions]
    completions = [c for group in groups for c in group.completions]

    def padded(rows: list[list], width: int, *, left: bool = False) -> Tensor:
        fill = [[0] * (width - len(row)) for row in rows]
        rows = [f + row if left else row + f for row, f in zip(rows, fill, strict=True)]
        return torch.tensor(rows, device=device)

    width, length = max(map(len, prompts)), max(len(c.token_ids) for c in completions)
    return PaddedBatch(
        prompt_ids=padded(prompts, width, left=True),
        prompt_mask=padded([[1] * len(ids) for ids in prompts], width, left=True),
        completion_ids=padded([c.token_ids for c in completions], length),
        completion_mask=padded([[1] * len(c.token_ids) for c in completions], length),
        old_logp=padded([c.logprobs for c in completions], length),
        reward=torch.tensor([float(v is Verdict.CORRECT) for group in groups for v in group.verdicts]),
        group=[group.problem.id for group in groups for _ in group.completions],
    )


def plain_model(device: str = "cpu") -> PreTrainedModel:
    """The embedded policy as transformers itself loads it."""
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED, dtype=torch.float32, attn_implementation="eager")
    return model.to(device)


def plain_logprobs(model: PreTrainedModel, padded: PaddedBatch) -> Tensor:
    """Log-probabilities of all completion tokens [B, L], one row a rollout; padding has some value too."""
    mask = torch.cat([padded.prompt_mask, padded.completion_mask], dim=1)
    logits = model(
        torch.cat([padded.prompt_ids, padded.completion_ids], dim=1),
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
    ).logits[:, padded.prompt_ids.shape[1] - 1 : -1]
    return logits.log_softmax(-1).gather(-1, padded.completion_ids[..., None])[..., 0]


def moved(model: PreTrainedModel) -> PreTrainedModel:
    """The same model a little elsewhere: what a KL term pulls to."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator).to(parameter.device)
    return model


def moved_policy(device: str = "cpu") -> Policy:
    policy = load_policy("embedded", device=device)
    moved(policy.model).requires_grad_(False)
    return policy


def rlvr_step(
    groups: list[Group], overrides: list[str], reference: Policy | None = None, device: str = "cpu"
) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients (on the CPU) of one off-policy optimizer step of the learner, by parameter name.

    It is the second of two: old log-probabilities are the engine's from there on. In the first one no
    rollout can be judged, so it changes nothing.
    """
    count = len(groups)
    settings = [
        f"training.prompts_per_step={2 * count}",
        f"training.mini_batch_prompts={count}",
        f"training.sampling.max_tokens={MAX_TOKENS}",
        "training.learning_rate=1e-30",
        "training.weight_decay=0",
        "training.gradient_clip=1e9",
        "algorithm.old_logprobs=engine",
    ]
    config = load_config([*settings, *overrides])
    policy = load_policy("embedded", device=device)
    learner = Learner(policy, config, reference)
    steps: list[dict[str, Tensor]] = []
    learner.optimizer.register_step_pre_hook(
        lambda *_: steps.append({n: p.grad.cpu().clone() for n, p in policy.weights() if p.grad is not None})
    )
    nothing = make_groups([[LOST, LOST]] * count, seed=1)
    metrics = learner.update(make_batch([*nothing, *groups], config))
    assert metrics["update/steps"] == 2
    assert not any(gradient.any() for gradient in steps[0].values())
    return 2 * metrics["update/loss"], steps[1]  # the metric is a mean over the steps


def assert_same_step(
    ours: tuple[float, dict[str, Tensor]], their_loss: Tensor, model: PreTrainedModel
) -> None:
    """Hold a step of ours against another trainer's loss, which is differentiated here."""
    loss, gradients = ours
    their_loss.backward()
    torch.testing.assert_close(torch.tensor(loss), their_loss.detach(), rtol=2e-5, atol=1e-6)
    theirs = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert gradients.keys() == theirs.keys()
    assert max(gradient.abs().max() for gradient in theirs.values()) > 0.01
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            gradient, theirs[name], rtol=1e-4, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )
