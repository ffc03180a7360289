"""Names that papers, TRL and verl have for what has another name here."""

import re
from collections.abc import Iterable
from typing import Any

from rlvr.errors import nearest

# methods that are several options here, or none, by their letters alone: F-GRPO, f_grpo, fgrpo
METHODS = {
    "fgrpo": "algorithm=grpo advantage_scaling=focal",
    "fdapo": "algorithm=dapo advantage_scaling=focal",
    "fcispo": "algorithm=cispo advantage_scaling=focal",
    "lambdagrpo": "algorithm=grpo credit=process_lambda",
    "sgpo": "curriculum=sgpo group_size=inverse_success",
    "limr": "curriculum=lim",
    "ppo": "algorithm=grpo, which has PPO's clip, and no value model",
}
KEYS = {
    # sizes of a step
    "num_generations": "group_size.n",
    "rollout.n": "group_size.n",
    "n_rollouts": "group_size.n",
    "num_generations_eval": "evaluation.validation_samples",
    "val_kwargs.n": "evaluation.validation_samples",
    "max_completion_length": "training.sampling.max_tokens",
    "max_response_length": "training.sampling.max_tokens",
    "generation_batch_size": "training.prompts_per_step, in prompts",
    "train_batch_size": "training.prompts_per_step",
    "per_device_train_batch_size": "training.mini_batch_prompts, in prompts",
    "gradient_accumulation_steps": "training.mini_batch_prompts, in prompts",
    "ppo_mini_batch_size": "training.mini_batch_prompts",
    "num_iterations": "training.num_iterations",
    "ppo_epochs": "training.num_iterations",
    "ppo_micro_batch_size": "training.max_tokens_per_micro_batch, in tokens",
    "ppo_micro_batch_size_per_gpu": "training.max_tokens_per_micro_batch, in tokens",
    "ppo_max_token_len_per_gpu": "training.max_tokens_per_micro_batch",
    "max_steps": "training.steps",
    "total_training_steps": "training.steps",
    "num_train_epochs": "training.epochs with training.steps=null",
    "total_epochs": "training.epochs with training.steps=null",
    "save_steps": "training.checkpoint_every",
    "eval_steps": "training.checkpoint_every",
    "save_freq": "training.checkpoint_every",
    "test_freq": "training.checkpoint_every",
    # optimizer
    "lr_scheduler_type": "training.lr_scheduler_type",
    "warmup_style": "training.lr_scheduler_type",
    "lr_warmup_steps": "training.warmup_steps",
    "adam_beta1": "training.betas",
    "adam_beta2": "training.betas",
    "max_grad_norm": "training.gradient_clip",
    "clip_grad": "training.gradient_clip",
    "grad_clip": "training.gradient_clip",
    "bf16": "training.precision=bfloat16",
    "gradient_checkpointing": "training.activation_checkpointing",
    "enable_gradient_checkpointing": "training.activation_checkpointing",
    # algorithm
    "adv_estimator": "algorithm=<name>",
    "beta": "algorithm.kl_coefficient",
    "kl_coef": "algorithm.kl_coefficient",
    "kl_loss_coef": "algorithm.kl_coefficient",
    "use_kl_loss": "algorithm.kl_coefficient",
    "entropy_coef": "algorithm.entropy_coefficient",
    "entropy_coeff": "algorithm.entropy_coefficient",
    "epsilon": "algorithm.clip_low",
    "epsilon_high": "algorithm.clip_high",
    "clip_range": "algorithm.clip_low and clip_high",
    "cliprange": "algorithm.clip_low and clip_high",
    "clip_ratio": "algorithm.clip_low and clip_high",
    "clip_ratio_low": "algorithm.clip_low",
    "clip_ratio_high": "algorithm.clip_high",
    "clip_ratio_c": "algorithm.dual_clip",
    "scale_rewards": "algorithm.normalize_std",
    "norm_adv_by_std_in_grpo": "algorithm.normalize_std",
    "loss_type": "algorithm.aggregation",
    "loss_agg_mode": "algorithm.aggregation",
    "loss_mode": "algorithm=<name>",
    "importance_sampling_level": "algorithm=gspo",
    "mask_truncated_completions": "algorithm.truncated=masked",
    "filter_groups.enable": "algorithm.dynamic_sampling.enabled",
    # model, data, rewards, machines
    "evaluation.n": "evaluation.samples",
    "evaluation.temperature": "evaluation.sampling.temperature",
    "train_files": "data=verl data.path",
    "val_files": "benchmark=verl benchmark.tasks.verl.path",
    "custom_reward_function": "reward=my_rewards.py:f",
    "custom_reward_function.path": "reward=my_rewards.py:f",
    "reward_funcs": "reward=my_rewards.py:f",
    "lora_r": "adapter=lora adapter.rank",
    "lora_rank": "adapter=lora adapter.rank",
    "lora_alpha": "adapter=lora adapter.alpha",
    "use_vllm": "rollout=vllm",
    "tensor_model_parallel_size": "rollout.tensor_parallel_size",
    "vllm_tensor_parallel_size": "rollout.tensor_parallel_size",
    "vllm_gpu_memory_utilization": "rollout.gpu_memory_utilization",
    "n_gpus_per_node": "gpus_per_run",
    "output_dir": "runs",
    "default_local_dir": "runs",
    "run_name": "arm",
    "experiment_name": "arm",
    "project_name": "tracking.project",
    "report_to": "tracking",
}

# what TRL and verl give some of these keys -> what says the same here
VALUES = {
    "loss_type": {
        "grpo": "algorithm.aggregation=sequence_mean",
        "bnpo": "algorithm.aggregation=token_mean",
        "dapo": "algorithm.aggregation=token_mean",
        "dr_grpo": "algorithm.aggregation=constant_length",
        "cispo": "algorithm=cispo",
    },
    "loss_agg_mode": {
        "token-mean": "algorithm.aggregation=token_mean",
        "seq-mean-token-mean": "algorithm.aggregation=sequence_mean",
        "seq-mean-token-sum-norm": "algorithm.aggregation=constant_length",
    },
}
PLUGGED = ("algorithm", "advantage_scaling", "credit", "group_size", "curriculum")  # groups of methods


def option_meant(group: str, given: str, accepted: Iterable[str]) -> str:
    """What ends the sentence about an option that a group does not have."""
    meant = method_meant(given) or nearest(given, accepted)
    if meant or group not in PLUGGED:
        return meant
    return "; one of a plug-in is there once its package is installed in this environment"


def method_meant(given: str) -> str:
    """The options that make a method that was given by its paper's name; "" for what is none."""
    meant = METHODS.get(re.sub(r"[\W\d_]", "", given.lower()))
    return f"; did you mean {meant}?" if meant else ""


def key_meant(given: str, value: Any = None) -> str:
    """The key for one that was given by TRL's or verl's name, dotted or not; "" for what is none.

    Args:
        value: that it was given, which may say more.
    """
    parts = given.split(".")
    ends = (".".join(parts[i:]) for i in range(len(parts)))
    end = next((end for end in ends if end in KEYS), "")
    return VALUES.get(end, {}).get(str(value).strip("'\""), KEYS.get(end, ""))
