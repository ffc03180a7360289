"""What every process of verl loads: the entry point `rlvr` of the group `verl.plugins`.

verl logs a plugin that fails to import at level DEBUG and goes on without it. A run of rlvr's therefore names
this module in VERL_USE_EXTERNAL_MODULES too, for the driver and through Ray for every worker, where
a failed import ends the process with its reason.
"""

from verl.trainer.ppo.core_algos import (
    ADV_ESTIMATOR_REGISTRY,
    POLICY_LOSS_REGISTRY,
    register_adv_est,
    register_policy_loss,
)

from rlvr.backends.verl.advantages import estimate_advantages
from rlvr.backends.verl.losses import POLICY_LOSSES

ESTIMATOR = "rlvr"

register_adv_est(ESTIMATOR)(estimate_advantages)
for name, loss in POLICY_LOSSES.items():
    register_policy_loss(name)(loss)

assert ADV_ESTIMATOR_REGISTRY[ESTIMATOR] is estimate_advantages
assert POLICY_LOSSES.items() <= POLICY_LOSS_REGISTRY.items()
