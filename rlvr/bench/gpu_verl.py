"""verl's actor at updates that rlvr is measured with: the same weights, rollouts and loss, as verl has them.

In one process, without Ray: verl's FSDP2 engine and PPO loss, bfloat16 over float32 weights, packed sequences
and verl's own limit of tokens that go together. FlashAttention where it is installed, which verl asks for.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from rlvr.bench.gpu_shapes import GROUP_SIZE, TINY_WORKS, WORKS, Work, device, random_batch
from rlvr.bench.gpu_timing import Clock, Line, memory_by_part, timings
from rlvr.training.batch import Batch

MOST_TOKENS = 16384  # verl's own `ppo_max_token_len_per_gpu`


def verl_updates(folder: str, dry: bool, clock: Clock) -> Iterator[tuple[Line, Callable[[], Line]]]:
    """Each work in the two ways that verl has too.

    Args:
        folder: of a model of 0.5B's shape, with its tokenizer.
    """
    for way in ("full", "checkpointed"):
        engine: list[Any] = []  # made at the first work
        for rollouts, tokens in TINY_WORKS if dry else WORKS:
            work = Work("0.5B", rollouts, tokens, way, dry)
            said = {"shape": "0.5B", "rollouts": rollouts, "tokens": tokens, "way": way}
            yield said, partial(measure_verl, work, folder, engine, clock)


def measure_verl(work: Work, folder: str, engine: list[Any], clock: Clock) -> Line:
    if not engine:
        engine.append(build_engine(folder, checkpointing=work.way == "checkpointed"))
    actor, attention = engine[0]
    from verl.workers.config import FSDPActorConfig
    from verl.workers.utils.losses import ppo_loss
    from verl.workers.utils.padding import no_padding_2_padding

    batch, said = random_batch(work), []
    config = FSDPActorConfig(
        strategy="fsdp2",
        rollout_n=GROUP_SIZE,
        ppo_mini_batch_size=work.rollouts,
        use_dynamic_bsz=True,
        optim=actor.optimizer_config,
    )

    with actor.eval_mode():  # first, as in a step of verl's
        data = as_verl_has_it(batch)
        logprobs = actor.infer_batch(data)["model_output"]["log_probs"]
        old = no_padding_2_padding(logprobs.cpu(), data)

    def update() -> None:
        with actor.train_mode():
            said.append(actor.train_batch(as_verl_has_it(batch, old), partial(ppo_loss, config)))

    line = timings(work, update, clock)
    return line | {
        "attention": attention,
        "gradient_norm": said[0]["metrics"]["grad_norm"],
        "memory_gib": memory_by_part(actor.module, actor.optimizer),
    }


def build_engine(folder: str, *, checkpointing: bool) -> tuple[Any, str]:
    """verl's training engine of a process that is alone, and the attention it has."""
    if device() == "cpu":
        _let_verl_run_on_a_cpu()
    import verl.models.transformers.monkey_patch as patches
    from verl.trainer.config import CheckpointConfig
    from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    patches.is_trl_available = lambda: False  # it takes a value head from TRL, which newer ones lack
    if not torch.distributed.is_initialized():
        backend = "nccl" if device() == "cuda" else "gloo"
        torch.distributed.init_process_group(
            backend, store=torch.distributed.HashStore(), rank=0, world_size=1
        )
    attention = "flash_attention_2" if find_spec("flash_attn") and device() == "cuda" else "sdpa"
    engine = FSDPEngineWithLMHead(
        model_config=HFModelConfig(
            path=folder,
            override_config={"attn_implementation": attention},
            enable_gradient_checkpointing=checkpointing,
        ),
        engine_config=FSDPEngineConfig(strategy="fsdp2", model_dtype="fp32"),
        optimizer_config=FSDPOptimizerConfig(lr=1e-9, total_training_steps=10),
        checkpoint_config=CheckpointConfig(),
    )
    engine.initialize()
    return engine, attention


def as_verl_has_it(batch: Batch, old_logprobs_RT: Tensor | None = None) -> Any:
    """A batch in verl's columns; all rollouts are of one length."""
    from tensordict import TensorDict
    from verl.utils import tensordict_utils
    from verl.workers.utils.padding import left_right_2_no_padding

    groups = batch.groups
    prompts = torch.tensor([group.prompt_ids for group in groups for _ in group.completions])
    responses = torch.tensor([each.token_ids for group in groups for each in group.completions])
    tokens = torch.cat([prompts, responses], dim=1)
    columns = {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "position_ids": torch.arange(tokens.shape[1]).expand_as(tokens),
        "prompts": prompts,
        "responses": responses,
        "response_mask": torch.ones_like(responses),
        "advantages": batch.advantage_R.float()[:, None].repeat(1, responses.shape[1]),
    }
    if old_logprobs_RT is not None:
        columns["old_log_probs"] = old_logprobs_RT
    data = left_right_2_no_padding(TensorDict(columns, batch_size=len(tokens)))
    tensordict_utils.assign_non_tensor(
        data,
        temperature=1.0,
        use_dynamic_bsz=True,
        max_token_len_per_gpu=MOST_TOKENS,
        global_batch_size=len(tokens),
    )
    return data


def _let_verl_run_on_a_cpu() -> None:
    """For a dry run: verl knows accelerators only."""
    from verl.plugin.platform.platform_cuda import PlatformCUDA
    from verl.plugin.platform.platform_manager import set_platform

    class CPU(PlatformCUDA):
        device_name = "cpu"
        device_module = torch.cpu

        def current_device(self) -> str:
            return "cpu"

    set_platform(CPU())
