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
from rlvr.theory.learning_rate import learning_rate_factor
from rlvr.theory.simulation import PAPER_SETUP, CategoricalRun, CategoricalSetup, simulate_categorical
from rlvr.theory.simulation_grid import GROUP_SIZES, SimulationGrid, run_simulation_grid
from rlvr.theory.tail_miss import active_probability, most_tail_missing_group_size, tail_miss_probability

__all__ = [
    "GROUP_SIZES",
    "PAPER_SETUP",
    "CategoricalRun",
    "CategoricalSetup",
    "SampledStep",
    "SimulationGrid",
    "UnsampledMassChange",
    "active_probability",
    "correct_mass_change",
    "expected_baseline",
    "expected_sampled_mass",
    "expected_unsampled_square",
    "learning_rate_factor",
    "logit_change",
    "mass_change",
    "most_tail_missing_group_size",
    "run_simulation_grid",
    "simulate_categorical",
    "tail_miss_probability",
    "unsampled_correct_mass_change",
]
