"""What a step logs: every metric with its meaning, its unit and where a sound run keeps it.

`docs/reference/metrics.md` is written from here (`scripts/metrics_reference.py`), and a test holds the list
against what trainings log. The bounds of `rlvr watch` and of reports are in `rlvr.tracking.symptoms`.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    """One metric, or several of a kind: `<...>` in its name stands for any word.

    Attributes:
        unit: empty for a share of 1.
        healthy: what a sound run shows; empty where there is nothing to say.
        option: what has to be chosen for it to be logged; empty for all runs.
    """

    name: str
    meaning: str
    unit: str = ""
    healthy: str = ""
    option: str = ""


# of metrics.jsonl: the same seed on the same machine repeats them bit for bit
METRICS = (
    Metric("reward/mean", "mean reward of the rollouts that have one", "reward", "rises"),
    Metric("reward/success_rate", "share of judged rollouts that are correct", healthy="rises, below 1"),
    Metric("reward/part/<name>", "mean of one number that the reward function returns", "reward",
           "the one that is meant to rises", "reward=..., a function that returns a dict"),
    Metric("reward/source/<name>", "mean reward of one part of the data", "reward", "rises",
           "data=[...], a mixture"),
    Metric("reward/left_out", "share of rollouts that were judged, and have no reward of the function", "",
           "0", "reward=..."),
    Metric("groups/mixed", "share of groups with right and wrong rollouts: only these teach", "",
           "well above 0; 0.3 to 0.8 is good use of the samples"),
    Metric("groups/all_right", "share of groups without a wrong rollout", "", "rises late; near 1: too easy"),
    Metric("groups/all_wrong", "share of groups without a right rollout", "", "falls; near 1: too hard"),
    Metric("groups/unscorable", "share of groups without a judged rollout; absent where there is none", "",
           "absent"),
    Metric("groups/without_signal", "share of groups whose rollouts all have advantage 0", "",
           "below 0.95, where `rlvr watch` warns"),
    Metric("focal/weight_mean", "mean weight by `advantage_scaling`, over groups", "",
           "1 without scaling; what is below is a smaller gradient too"),
    Metric("focal/weight_mean_with_signal", "the same over groups with an advantage", "",
           "1 without scaling"),
    Metric("policy/entropy", "minus the mean log-probability of the sampled tokens: the policy's entropy",
           "nats a token", "falls slowly; below a tenth of its start it hardly explores"),
    Metric("completion/length_mean", "mean length of a completion", "tokens",
           "no sudden rise to the maximum"),
    Metric("completion/length_max", "length of the longest", "tokens"),
    Metric("completion/truncated", "share of completions cut at `training.sampling.max_tokens`", "",
           "a few percent; above 0.5 `rlvr watch` warns"),
    Metric("verdict/<verdict>", "share of rollouts with a verdict; absent where there is none", "",
           "`timeout`, `error` and `reference_unparsable` absent, or below 0.01"),
    Metric("process_tree/flat", "share of groups whose rollouts share nothing but the prompt (λ-GRPO)", "",
           "low for short completions; 1 says that `credit=process_lambda` changes nothing"),
    Metric("process_tree/path_depth", "process steps from the root of a group's tree to a leaf, mean",
           "steps"),
    Metric("process_tree/shared_tokens", "share of a completion's tokens that another rollout has too", ""),
    Metric("tokens/sampled", "tokens of all completions of the step, refills included", "tokens"),
    Metric("tokens/trained", "tokens that go through the update: of rollouts with an advantage, or with a KL "
           "or entropy term of all that have a reward", "tokens", "about `groups/mixed` of `tokens/sampled`"),
    Metric("tokens/distinct", "of them what is computed: equal prefixes of a group count once", "tokens"),
    Metric("update/steps", "optimizer steps, those of mini-batches without a signal among them", "steps",
           "num_iterations × prompts_per_step / mini_batch_prompts"),
    Metric("update/skipped_steps", "optimizer steps skipped for a gradient that is not finite", "steps", "0"),
    Metric("update/loss", "loss of an optimizer step, mean over the steps; with clipping it says little", "",
           "finite, near 0"),
    Metric("update/gradient_norm", "mean norm of the gradient before clipping; 0 without a signal", "",
           "steady; above 0 where groups are mixed"),
    Metric("update/gradient_norm_max", "the largest of the step", "", "seldom far above the mean"),
    Metric("update/learning_rate", "that of the step's last optimizer step", "",
           "as `training.warmup_steps` and `lr_scheduler_type` say"),
    Metric("update/clip_fraction", "share of tokens whose gradient the loss's bounds cut (CISPO: weight)", "",
           "a few percent; 0 with one optimizer step a batch", "a loss that clips"),
    Metric("update/entropy_trained", "entropy of the full distribution at the trained tokens", "nats a token",
           "as `policy/entropy`"),
    Metric("update/log_ratio_mean", "mean log-ratio of the policy to the one before the update", "nats",
           "near 0"),
    Metric("update/log_ratio_max", "the largest absolute log-ratio of a token", "nats", "below about 1"),
    Metric("update/effective_sample_size", "of the importance weights within the update: 1 where all agree",
           "", "0.9 to 1; below 0.5 `rlvr watch` warns"),
    Metric("mismatch/log_ratio_mean", "mean log-ratio of trainer to engine for the same weights", "nats",
           "0"),
    Metric("mismatch/log_ratio_max", "the largest absolute one of a token", "nats",
           "about 1e-6 on a CPU; up to about 0.1 with vLLM in bfloat16"),
    Metric("mismatch/effective_sample_size", "of the weights between trainer and engine", "",
           "above 0.95; below set `algorithm.mismatch_cap=2.0`"),
    Metric("mismatch/cut", "share of tokens whose weight between engine and trainer the cap cuts", "",
           "a few percent at most", "algorithm.mismatch_cap"),
    Metric("compute/flops", "floating-point operations of sampling and update, by count", "FLOP"),
    Metric("compute/flops_generated", "of sampling, refills included", "FLOP"),
    Metric("compute/flops_trained", "of the update", "FLOP"),
    Metric("compute/flops_undropped", "of sampling and an update that leaves no rollout out", "FLOP"),
    Metric("curriculum/epoch", "passes over the data so far; with `curriculum=sgpo` over that of the phase",
           "epochs"),
    Metric("curriculum/refills", "groups sampled beyond those trained on, as a share of these", "",
           "0 without dynamic sampling; below `max_refills`"),
    Metric("curriculum/phase", "phase of the curriculum, from 0", "", "", "curriculum=sgpo"),
    Metric("curriculum/group_size", "rollouts a problem in that phase", "", "", "curriculum=sgpo"),
)  # fmt: skip
# of timing.jsonl: nothing repeats them
TIMING = (
    Metric("seconds/sampling", "time of sampling", "s"),
    Metric("seconds/verification", "time of verdicts and rewards", "s", "a small share of the step"),
    Metric("seconds/advantage", "time of rewards, advantages and weights", "s", "next to nothing"),
    Metric("seconds/update", "time of the update", "s"),
    Metric("seconds/weight_sync", "time until the engine has the new weights", "s"),
    Metric("seconds/step", "time of the whole step", "s", "steady"),
    Metric("throughput/tokens_per_second", "tokens sampled over the time of the step", "tokens/s", "steady"),
    Metric("ranks/slowest", "rank that sampled longest", "", "changes from step to step",
           "several processes"),
    Metric("ranks/slowest_over_median", "its time over the median rank's", "", "below about 1.5",
           "several processes"),
)  # fmt: skip
# of validation.jsonl, at every checkpoint
VALIDATION = (
    Metric("in_domain/pass@<k>", "pass@k, averaged over the in-domain benchmarks", "", "pass@1 rises; the "
           "checkpoint with the best one is evaluated, or with the best pass@k of `evaluation.select_by`"),
    Metric("in_domain/reward", "mean reward, averaged over them", "reward", "rises", "reward=..."),
)  # fmt: skip
