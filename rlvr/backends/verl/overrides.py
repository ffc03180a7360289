"""A composed config in verl's words: the overrides of its `ppo_trainer`, and what it has no word for."""

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from rlvr.config import Config, arm_name
from rlvr.config.hydra_text import hydra_text
from rlvr.config.schema import TrainingConfig
from rlvr.errors import UserError
from rlvr.tracking.tracker import chosen
from rlvr.training.methods import Methods

# algorithm.mismatch_weights in verl's words
IMPORTANCE_WEIGHTS = {"token_truncate": "token", "sequence_truncate": "sequence"}
# what `rlvr.training.batch.rewards_and_advantages` has of a rollout
KNOWN_TO_VERL = {"correct", "rewards", "advantages", "group_index", "lengths", "max_tokens"}
# option or key -> what of it verl takes, and why nothing else
ACCEPTED: dict[str, tuple[Collection[Any], str]] = {
    "reward": (
        ["correctness"],
        "its reward workers have verifiers alone: accepted is reward=correctness, or a verifier of your own "
        "as verifier=my_judge.py:judge",
    ),
    "training.optimizer": (
        ["adamw"],
        "its actor has an optimizer of its own kind: the nearest valid choice is adamw",
    ),
    "training.lr_scheduler_type": (
        ["constant", "cosine"],
        "its actor's rate falls along a cosine or not at all: accepted are constant and cosine",
    ),
    "adapter": (
        ["none"],
        "its checkpoints are read as whole models: the nearest valid choice is adapter=none",
    ),
    "rollout": (["vllm"], "verl samples with vLLM: the nearest valid choice is rollout=vllm"),
    "group_size": (
        ["fixed"],
        "verl cuts its mini-batches by one number of rollouts a problem, so groups would be cut too: the "
        "nearest valid choice is group_size=fixed",
    ),
    "curriculum": (
        ["shuffled", "lim", "linear", "random_subset"],
        "verl draws its problems in shuffled epochs and has no phases: accepted are shuffled, lim, linear "
        "and random_subset",
    ),
    "algorithm.loss": (
        ["grpo", "cispo"],
        "verl's policy losses are registered by name: accepted are grpo and cispo",
    ),
    "credit": (
        ["outcome", "process_lambda"],
        "token weights are folded into verl's advantages for outcome and process_lambda alone",
    ),
    "training.off_policy_steps": (
        [0],
        "its trainer samples each batch with the weights before it: the nearest valid choice is 0",
    ),
    "evaluation.rare.prompts": (
        [0],
        "its answers are drawn from the checkpoint of step 0, which verl has not: the nearest valid choice "
        "is 0",
    ),
    "algorithm.old_logprobs": (
        ["trainer"],
        "in verl that replaces the policy loss by one of its own: the nearest valid choice is trainer",
    ),
}
# keys of `training` of how an update is computed, which verl decides for itself
NOT_TOLD = (
    *("activation_checkpointing", "attention", "compile", "deterministic", "keep_attention", "liger"),
    *("max_skipped_steps", "offload_activations", "offload_optimizer"),
)
PLUGIN, TRAINER_MODULE = "rlvr.backends.verl.plugin", "rlvr.backends.verl.trainer"


@dataclass(frozen=True, slots=True)
class Job:
    """What overrides need beside the config.

    Attributes:
        config: the config as a file that every worker can read.
        train, validation: Parquet files of problems.
        folder: verl's own files (checkpoints, validation, metrics).
        model: folder or hub id of the initial weights.
        end_ids: token ids that end a completion.
        prompt_tokens: the longest prompt.
        template: switches of the chat template.
        problems: problems trained on.
    """

    config: Path
    train: Path
    validation: Path
    folder: Path
    model: str
    end_ids: list[int]
    prompt_tokens: int
    template: dict[str, Any]
    problems: int


def _refusals(config: Config) -> dict[str, tuple[bool, str]]:
    """What verl can't be told: whether it was given, and why not."""
    algorithm = config.algorithm
    refusals = {}
    for key, (accepted, reason) in ACCEPTED.items():
        value = attrgetter(key)(config)
        given = getattr(value, "name", value)
        refusals[f"{key}={given}"] = given not in accepted, reason
    return refusals | {
        "credit=process_lambda with algorithm.kl_coefficient above 0": (
            config.credit.name == "process_lambda" and algorithm.kl_coefficient > 0,
            "verl adds the KL term where token weights don't reach: the nearest valid choice is "
            "algorithm.kl_coefficient=0",
        ),
        "model.chat_template": (
            config.model.chat_template is not None,
            "its workers read the tokenizer's own: give a model.path with that one as chat_template.jinja",
        ),
        f"model.stop_strings={list(config.model.stop_strings)}": (
            bool(config.model.stop_strings),
            "its rollouts end at tokens only: the nearest valid choice is model.end_tokens",
        ),
        "rollout.engine_args": (
            bool(getattr(config.rollout, "engine_args", None)),
            "verl starts vLLM: accepted are its own words, as backend.overrides",
        ),
        f"algorithm.mismatch_weights={algorithm.mismatch_weights}": (
            algorithm.mismatch_cap is not None and algorithm.mismatch_weights not in IMPORTANCE_WEIGHTS,
            f"rlvr sets its truncated ones alone: accepted are {' and '.join(IMPORTANCE_WEIGHTS)}",
        ),
    }


def refuse(config: Config) -> None:
    """Raise UserError, in one sentence, for what verl can't be told."""
    refusals = _refusals(config)
    for key, method in Methods(config).all().items():
        unknown = sorted(set(method.takes) - KNOWN_TO_VERL)
        refusals[f"{key}={method.option}"] = (
            method.remembers or bool(unknown),
            "it remembers what it saw, and verl's estimators have no state"
            if method.remembers
            else f"verl's estimators are not given {', '.join(unknown)}",
        )
    for given, (refused, reason) in refusals.items():
        if refused:
            raise UserError(f"backend=verl does not accept {given}: {reason}")


def differences(config: Config) -> list[str]:
    """Where a run of this config on verl is not what the native backend would do, a sentence each."""
    algorithm, checkpoint = config.algorithm, config.checkpoint
    unset = TrainingConfig()
    own = [f"training.{key}" for key in NOT_TOLD if getattr(config.training, key) != getattr(unset, key)]
    sentences = {
        "the learning rate rises once a batch, not once an optimizer step, and is 0 in the first batch; "
        f"it is full after {_warmup_batches(config)} batches": config.training.warmup_steps > 0,
        "the learning rate falls once a batch, not once an optimizer step": (
            config.training.lr_scheduler_type != "constant"
        ),
        "dynamic sampling refills without a bound; max_refills is not obeyed": (
            algorithm.dynamic_sampling.enabled
        ),
        "dynamic sampling goes by correctness, and takes what can't be judged for wrong": (
            algorithm.dynamic_sampling.enabled
        ),
        "a mini-batch without signal is a step of AdamW's too, as with training.without_signal=step": (
            config.training.without_signal == "skip"
        ),
        "all checkpoints are kept whole, and none is saved by the clock; checkpoint.keep and every_minutes "
        "are not obeyed": checkpoint.keep is not None or checkpoint.every_minutes is not None,
        f"{', '.join(own)}: verl has settings of its own, for backend.overrides": bool(own),
        "tokens of masked completions stay in the loss's normaliser": algorithm.truncated == "masked",
        "validation completions end at training.sampling.max_tokens": (
            config.training.sampling.max_tokens != config.evaluation.sampling.max_tokens
        ),
        "problems are shuffled by verl's sampler, in another order": True,
        "where a signal or stop_after_minutes asks for the end, verl is ended at once, without a checkpoint, "
        "and goes on from its last one": True,
        "tokens of rollouts that could not be judged stay in the loss's normaliser": True,
    }
    return [sentence for sentence, holds in sentences.items() if holds]


def verl_overrides(config: Config, job: Job) -> dict[str, Any]:
    """Keys of verl's config and their values. A key that verl's config does not have begins with +."""
    return {
        **_algorithm(config, job),
        **_data(config, job),
        **_actor(config, job),
        **_rollout(config, job),
        **_trainer(config, job),
    }


def arguments(overrides: dict[str, Any]) -> list[str]:
    """As Hydra reads them on a command line."""
    return [f"{key}={hydra_text(value)}" for key, value in overrides.items()]


def _algorithm(config: Config, job: Job) -> dict[str, Any]:
    algorithm = config.algorithm
    corrected = algorithm.mismatch_cap is not None
    return {
        "algorithm.adv_estimator": "rlvr",
        "+algorithm.rlvr.config": str(job.config),
        "+algorithm.rlvr.end_ids": job.end_ids,
        "algorithm.use_kl_in_reward": False,
        "algorithm.filter_groups.enable": algorithm.dynamic_sampling.enabled,
        "algorithm.filter_groups.metric": "acc",
        "algorithm.rollout_correction.rollout_is": (
            IMPORTANCE_WEIGHTS[algorithm.mismatch_weights] if corrected else None
        ),
        "algorithm.rollout_correction.rollout_is_threshold": algorithm.mismatch_cap or 2.0,
        "reward.num_workers": config.backend.reward_workers,
        "reward.reward_manager.source": "importlib",
        "reward.reward_manager.name": "RewardManager",
        "reward.reward_manager.module.path": "pkg://rlvr.backends.verl.reward",
    }


def _data(config: Config, job: Job) -> dict[str, Any]:
    training = config.training
    return {
        "data.train_files": str(job.train),
        "data.val_files": str(job.validation),
        "data.train_batch_size": training.prompts_per_step,
        "data.max_prompt_length": job.prompt_tokens,
        "data.max_response_length": training.sampling.max_tokens,
        "data.truncation": "error",
        "data.shuffle": True,
        "data.seed": config.seed,
        "data.apply_chat_template_kwargs": job.template,
    }


def _actor(config: Config, job: Job) -> dict[str, Any]:
    algorithm, training = config.algorithm, config.training
    constant = algorithm.aggregation == "constant_length"
    cispo = algorithm.loss == "cispo"
    settings = {
        "ppo_mini_batch_size": training.mini_batch_prompts,  # prompts: verl multiplies by rollouts itself
        "ppo_epochs": training.num_iterations,
        "use_dynamic_bsz": True,
        # natively a rollout that is longer goes through alone, where verl ends with an assertion
        "ppo_max_token_len_per_gpu": max(
            training.max_tokens_per_micro_batch, job.prompt_tokens + training.sampling.max_tokens
        ),
        "policy_loss.loss_mode": f"rlvr_{algorithm.loss}",
        "clip_ratio_low": 1 - algorithm.is_weight_min if cispo else algorithm.clip_low,
        "clip_ratio_high": algorithm.is_weight_max - 1 if cispo else algorithm.clip_high,
        "clip_ratio_c": (None if cispo else algorithm.dual_clip) or math.inf,
        "loss_agg_mode": {
            "token_mean": "token-mean",
            "sequence_mean": "seq-mean-token-mean",
            "constant_length": "seq-mean-token-sum-norm",
        }[algorithm.aggregation],
        "loss_scale_factor": training.sampling.max_tokens if constant else None,
        "entropy_coeff": algorithm.entropy_coefficient,
        "use_kl_loss": algorithm.kl_coefficient > 0,
        "kl_loss_coef": algorithm.kl_coefficient,
        "kl_loss_type": "low_var_kl",  # verl's name of k3
        "grad_clip": training.gradient_clip,
        "optim.lr": training.learning_rate,
        "optim.lr_warmup_steps": _warmup_batches(config),
        "optim.lr_scheduler_type": training.lr_scheduler_type,
        "optim.betas": list(training.betas),
        "optim.weight_decay": training.weight_decay,
        "optim.clip_grad": training.gradient_clip,
        "fsdp_config.model_dtype": config.model.dtype,
        "fsdp_config.dtype": training.precision,
        "data_loader_seed": config.seed,
        "checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
    }
    return {
        "actor_rollout_ref.model.path": job.model,
        "actor_rollout_ref.model.use_remove_padding": True,
        "actor_rollout_ref.model.external_lib": PLUGIN,
        **{f"actor_rollout_ref.actor.{key}": value for key, value in settings.items()},
    }


def _rollout(config: Config, job: Job) -> dict[str, Any]:
    sampling, validation, engine = config.training.sampling, config.evaluation.sampling, config.rollout
    settings = {
        "name": "vllm",
        "n": config.group_size.n,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or -1,
        "seed": config.seed,
        "dtype": config.training.precision,
        "gpu_memory_utilization": engine.gpu_memory_utilization,
        "tensor_model_parallel_size": engine.tensor_parallel_size,
        "enforce_eager": engine.enforce_eager,
        "enable_prefix_caching": engine.enable_prefix_caching,
        "free_cache_engine": engine.sleep,
        "val_kwargs.n": config.evaluation.validation_samples,
        "val_kwargs.do_sample": validation.temperature > 0,
        "val_kwargs.temperature": validation.temperature,
        "val_kwargs.top_p": validation.top_p,
        "val_kwargs.top_k": validation.top_k or -1,
    }
    ends = json.dumps({"eos_token_id": job.end_ids})
    return {
        **{f"actor_rollout_ref.rollout.{key}": value for key, value in settings.items()},
        "+actor_rollout_ref.rollout.engine_kwargs.vllm.override_generation_config": ends,
    }


def _trainer(config: Config, job: Job) -> dict[str, Any]:
    training, backend = config.training, config.backend
    loggers = ["console", "file"] + (["wandb"] if "wandb" in chosen(config) else [])
    lambda_ = config.credit.name == "process_lambda"
    modules = ",".join([PLUGIN, TRAINER_MODULE] if lambda_ else [PLUGIN])
    steps_an_epoch = max(job.problems // training.prompts_per_step, 1)
    return {
        "trainer.v1.trainer_mode": "rlvr_process_lambda" if lambda_ else "sync",
        "trainer.total_training_steps": training.steps,
        "trainer.total_epochs": math.ceil(training.steps / steps_an_epoch),
        "trainer.save_freq": training.checkpoint_every,
        "trainer.test_freq": training.checkpoint_every,
        "trainer.val_before_train": True,
        "trainer.nnodes": backend.nodes,
        "trainer.n_gpus_per_node": backend.gpus_per_node,
        "trainer.project_name": config.tracking.project,
        "trainer.experiment_name": f"{arm_name(config)}/seed-{config.seed}",
        "trainer.logger": loggers,
        "trainer.default_local_dir": str(job.folder / "checkpoints"),
        "trainer.validation_data_dir": str(job.folder / "validation"),
        "trainer.resume_mode": "auto",
        "+ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES": modules,
    }


def _warmup_batches(config: Config) -> int:
    """Rollout batches that the warm-up takes: verl's scheduler moves once a batch."""
    training = config.training
    return math.ceil(training.warmup_steps / training.optimizer_steps_a_batch)
