"""What would be passed over without a word: settings of what is switched off, or that nothing looks at."""

from pathlib import Path

from rlvr.config.problem_sets import problem_sets, verifiers
from rlvr.config.schema import Config, TrainingConfig
from rlvr.errors import UserError, closest, refuse_unknown


def refuse_idle(config: Config) -> None:
    """Refuse what would be passed over: prompts of no verifier, a digest that nothing is held against, a
    folder of data files that nothing is looked for in, settings of what is switched off, a rate that never
    falls, a pass@k to choose by that is not measured.

    Apart from `check`, since a run that was given such a thing before can still be read, and one whose
    checkpoint was chosen by pass@16 evaluated with 8 samples.
    """
    _check_select_by(config)
    _refuse_idle_schedule(config.training)
    model, parts = config.model, problem_sets(config).values()
    refuse_unknown("verifier in model.prompts", model.prompts, {*verifiers(), "default"})
    if model.sha256 and not model.package and not model.path.endswith(".gguf"):
        raise UserError(
            f"model.sha256 with model.path={model.path}: it is the digest of a GGUF file; accepted are "
            "model.path=<file>.gguf with it, or model.sha256=null"
        )
    if model.revision is not None and ("/" not in model.path or Path(model.path).exists()):
        raise UserError(
            f"model.revision={model.revision} with model.path={model.path}, which is not on the hub: "
            "accepted are model.path=<hub id> with it, or model.revision=null"
        )
    penalty, sampling = config.algorithm.overlong_penalty, config.algorithm.dynamic_sampling
    if penalty.factor != type(penalty)().factor and not penalty.buffer:
        raise UserError(
            f"algorithm.overlong_penalty.factor={penalty.factor} with buffer=0, which switches the penalty "
            "off: accepted is a buffer of 1 token or more beside it"
        )
    if sampling.max_refills != type(sampling)().max_refills and not sampling.enabled:
        raise UserError(
            f"algorithm.dynamic_sampling.max_refills={sampling.max_refills} without dynamic sampling: "
            "accepted is algorithm.dynamic_sampling.enabled=true beside it"
        )
    if config.data.root and all(part.source != "dataset" for part in parts):
        names = ", ".join(dict.fromkeys(part.name for part in parts))
        raise UserError(
            f"data.root={config.data.root} with {names}, whose problems are in no file of a folder: accepted "
            "is data or a benchmark of data sets, as data=gsm8k, beside it, or data.root=null"
        )


def _refuse_idle_schedule(training: TrainingConfig) -> None:
    """Refuse a rate that is to fall after a warm-up which takes the whole training."""
    steps = training.optimizer_steps
    if training.lr_scheduler_type != "constant" and 0 < steps <= training.warmup_steps:
        raise UserError(
            f"training.lr_scheduler_type={training.lr_scheduler_type} with training.warmup_steps="
            f"{training.warmup_steps} of {steps} optimizer steps: the rate never falls; accepted are fewer "
            f"warm-up steps than {steps}, or lr_scheduler_type=constant"
        )


def _check_select_by(config: Config) -> None:
    """Refuse to choose checkpoints by a pass@k that no validation will have."""
    evaluation = config.evaluation
    by, measured = evaluation.select_by, sorted(evaluation.validated_k)
    if by not in measured:
        raise UserError(
            f"evaluation.select_by={by}: accepted is one of {', '.join(map(str, measured))}, which are 1 and "
            f"those of evaluation.k up to evaluation.validation_samples={evaluation.validation_samples}; the "
            f"nearest valid choice is {closest(by, measured)}"
        )
