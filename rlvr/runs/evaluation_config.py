"""The config of `rlvr evaluate`: a run's with some keys changed, or that of a model as it is."""

from collections.abc import Sequence
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path

from omegaconf import OmegaConf

from rlvr.config import (
    Config,
    check,
    compose,
    config_groups,
    hydra_errors_as_sentences,
    load_config,
    read_yaml,
    run_directory,
    settable,
)
from rlvr.errors import UserError
from rlvr.files.run_directory import conflicts
from rlvr.runs.placement import gpus_here


def overrides_of_evaluation(
    overrides: Sequence[str], *, n: int | None = None, config_name: str | None = None
) -> list[str]:
    """What `rlvr evaluate` changes of a run's config, or composes for a model as it is.

    Args:
        n: samples a problem, with k = 1, 2, 4, ... up to it.
        config_name: the primary config of an evaluation that is no run's.

    Raises:
        UserError: for a model that would be trained first.
    """
    overrides = list(overrides)
    if n is not None:
        powers = ",".join(str(2**i) for i in range(n.bit_length()))
        overrides = [f"evaluation.samples={n}", f"evaluation.k=[{powers}]", *overrides]
    if config_name is None:
        return overrides
    overrides = ["experiment=evaluate", "training.steps=0", *overrides]
    composed = load_config(overrides, config_name)
    model, steps = composed.model, composed.training.steps
    if steps:
        raise UserError(
            f"training.steps={steps} without run=: `rlvr evaluate` takes a model as it is; use `rlvr train`"
        )
    if model.max_completion_tokens and not any(o.startswith("scale=") for o in overrides):
        longest = f"evaluation.sampling.max_tokens={model.max_completion_tokens}"
        overrides = ["scale=small", "adapter=none", longest, *overrides]
        if gpus_here() and find_spec("vllm") and not any(o.startswith("rollout=") for o in overrides):
            overrides = ["rollout=vllm", *overrides]
    return overrides


def config_of_run(folder: Path, overrides: Sequence[str]) -> Config:
    """The config of an existing run with some keys changed: config groups first, then values, as Hydra does.

    Raises:
        UserError: for what makes it another run, or a run of another folder.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl  # which has no public way to do this
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    stored = read_yaml(folder / "config.yaml")
    before = check(stored)
    if run_directory(before).resolve() != folder.resolve():  # a copy: what is made goes there
        stored.folder, stored.runs = str(folder), str(folder.parent)
        before = check(stored)
    groups, values = [], []
    for text in settable(overrides):
        if text.lstrip("+").partition("=")[0] in config_groups():
            groups.append(text)
        else:  # a stored config has all keys already, so that `+` adds none
            values.append(f"++{text.lstrip('+')}" if text.startswith("+") else text)
    with hydra_errors_as_sentences():
        options = compose(groups) if groups else {}
        for group in [text.partition("=")[0] for text in groups]:
            if group not in options:
                raise UserError(f"{group}= with run=: accepted are keys of its evaluation, which starts here")
            OmegaConf.update(stored, group, options[group], merge=False)
        parsed = OverridesParser.create().parse_overrides(values)
        ConfigLoaderImpl.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=False)
        ConfigLoaderImpl._apply_overrides_to_config(parsed, stored)
    config = check(stored)
    named = ("seed", "arm", "experiment", "runs", "folder", "scale.name", "training.steps")
    differing = {key: tuple(attrgetter(key)(one) for one in (before, config)) for key in named}
    own = (*named, "evaluation", "benchmark")  # the last two are held against its validation, in its folder
    others = conflicts(folder, before, config).items()
    differing |= {key: pair for key, pair in others if not key.startswith(own)}
    for key, (was, now) in sorted(differing.items(), key=lambda item: not item[0].endswith(".name")):
        if was != now:
            key = key.removesuffix(".name")
            hint = "; an evaluation's is benchmark.tasks.<name>.verifier" if key == "data.verifier" else ""
            raise UserError(
                f"{key}={now} with run=: that is {key}={was}, accepted are keys of its evaluation{hint}; "
                f"`rlvr train {key}={now}` is for another run, or more steps of this one"
            )
    return config
