"""What a config may say and seldom means: said where a run begins, and by `rlvr plan`."""

from collections.abc import Iterator

from rlvr.algorithms.scaling import FOR_UNNORMALISED
from rlvr.config import Config


def cautions(config: Config) -> Iterator[str]:
    """One sentence for each; none of a config that does not train."""
    if not config.training.steps:
        return
    scaling, sampling = config.advantage_scaling.name, config.training.sampling
    if scaling in FOR_UNNORMALISED and getattr(config.algorithm, "normalize_std", False):
        yield (
            f"advantage_scaling={scaling} with algorithm.normalize_std=true weighs a problem twice, since "
            "the standard deviation is a weight too; its paper has it with algorithm.normalize_std=false"
        )
    if sampling.top_p < 1 or sampling.top_k > 0:
        yield (
            f"training.sampling.top_p={sampling.top_p:g} and top_k={sampling.top_k} sample from a part of "
            "the distribution that the loss takes whole, so gradients are biased; with 1 and 0 they are not"
        )
