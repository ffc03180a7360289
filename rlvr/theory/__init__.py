"""What the papers say of groups of rollouts without a language model: formulas, simulations, figures."""

from rlvr.theory.learning_rate import learning_rate_factor
from rlvr.theory.simulation import simulate_categorical
from rlvr.theory.simulation_grid import SimulationGrid, run_simulation_grid
from rlvr.theory.tail_miss import tail_miss_probability

__all__ = [
    "SimulationGrid",
    "learning_rate_factor",
    "run_simulation_grid",
    "simulate_categorical",
    "tail_miss_probability",
]
