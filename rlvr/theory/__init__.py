from rlvr.theory.categorical import (
    SampledStep,
    UnsampledMassChange,
    correct_mass_change,
    expected_baseline,
    expected_sampled_mass,
    expected_unsampled_square,
    logit_change,
    mass_change,
    unsampled_correct_mass_change,
)
from rlvr.theory.tail_miss import active_probability, most_tail_missing_group_size, tail_miss_probability
