"""Names that papers, TRL and verl have for what has another name here."""

import re

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
    "num_generations": "group_size.n",
    "rollout.n": "group_size.n",
    "n_rollouts": "group_size.n",
    "max_completion_length": "training.sampling.max_tokens",
    "max_response_length": "training.sampling.max_tokens",
    "train_batch_size": "training.prompts_per_step",
    "ppo_mini_batch_size": "training.mini_batch_prompts",
    "num_iterations": "training.num_iterations",
    "ppo_epochs": "training.num_iterations",
    "lr_scheduler_type": "training.lr_scheduler_type",
    "warmup_style": "training.lr_scheduler_type",
    "ppo_max_token_len_per_gpu": "training.max_tokens_per_micro_batch",
    "beta": "algorithm.kl_coefficient",
    "kl_coef": "algorithm.kl_coefficient",
    "kl_loss_coef": "algorithm.kl_coefficient",
    "entropy_coeff": "algorithm.entropy_coefficient",
    "epsilon": "algorithm.clip_low",
    "epsilon_high": "algorithm.clip_high",
    "clip_ratio": "algorithm.clip_low",
    "clip_ratio_low": "algorithm.clip_low",
    "clip_ratio_high": "algorithm.clip_high",
    "clip_ratio_c": "algorithm.dual_clip",
    "scale_rewards": "algorithm.normalize_std",
    "norm_adv_by_std_in_grpo": "algorithm.normalize_std",
    "loss_type": "algorithm.aggregation",
    "loss_agg_mode": "algorithm.aggregation",
}


def method_meant(given: str) -> str:
    """The options that make a method that was given by its paper's name; "" for what is none."""
    meant = METHODS.get(re.sub(r"[\W\d_]", "", given.lower()))
    return f"; did you mean {meant}?" if meant else ""


def key_meant(given: str) -> str:
    """The key for one that was given by TRL's or verl's name, dotted or not; "" for what is none."""
    meant = KEYS.get(given) or KEYS.get(given.rpartition(".")[2])
    return f"; did you mean {meant}?" if meant else ""
