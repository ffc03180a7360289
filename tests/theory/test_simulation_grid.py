import csv

import numpy as np
import pytest

from rlvr.errors import UserError
from rlvr.theory import SimulationGrid, run_simulation_grid, simulate_categorical
from rlvr.theory.simulation import CategoricalSetup

TINY = {
    "group_sizes": (2, 8),
    "gammas": (0, 1),
    "seeds": range(2),
    "steps": 20,
    "record_every": 5,
    "setup": CategoricalSetup(actions=100, correct_actions=10),
    "processes": 1,
}


def test_a_stopped_pass_runs_only_what_it_lacks_and_ends_with_the_same_file(tmp_path):
    lines = []
    path = run_simulation_grid(tmp_path, **TINY, report=lines.append)
    assert len(lines) == 8
    complete = path.read_bytes()

    grid = SimulationGrid.load(path)
    del grid.runs[2, 1.0, 1], grid.runs[8, 0.0, 0]
    grid.save(path)
    lines.clear()
    run_simulation_grid(tmp_path, **TINY, report=lines.append)
    assert [line.split(" in ")[0] for line in lines] == ["1/2: N=8 gamma=0 seed=0", "2/2: N=2 gamma=1 seed=1"]
    assert path.read_bytes() == complete

    lines.clear()
    run_simulation_grid(tmp_path, **TINY, report=lines.append)
    assert not lines and path.read_bytes() == complete


def test_the_grid_holds_what_single_runs_give(tmp_path):
    grid = SimulationGrid.load(run_simulation_grid(tmp_path, **TINY, report=lambda line: None))
    assert grid.step.tolist() == [0, 5, 10, 15, 20]
    runs = [
        simulate_categorical(group_size=8, gamma=1, seed=seed, steps=20, setup=TINY["setup"])
        for seed in range(2)
    ]
    expected = np.stack([run.retained_mass[::5] for run in runs])
    np.testing.assert_allclose(grid.curves("retained_mass", 8, 1.0), expected, rtol=1e-6)

    sizes, mean, deviation = grid.final("retained_mass", 1.0)
    assert sizes == [2, 8]
    assert mean[1] == pytest.approx(expected[:, -1].mean(), rel=1e-6)
    assert deviation[1] == pytest.approx(expected[:, -1].std(ddof=1), rel=1e-4)

    with (tmp_path / "categorical.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["gamma"], row["group_size"]) for row in rows] == [
        ("0", "2"),
        ("0", "8"),
        ("1", "2"),
        ("1", "8"),
    ]
    assert float(rows[3]["retained_mass_mean"]) == pytest.approx(mean[1], abs=1e-6)


def test_runs_of_other_settings_do_not_mix(tmp_path):
    run_simulation_grid(tmp_path, **TINY | {"group_sizes": (2,)}, report=lambda line: None)
    with pytest.raises(UserError, match=r'"steps": 20.*"steps": 40'):
        run_simulation_grid(tmp_path, **TINY | {"steps": 40}, report=lambda line: None)


def test_recorded_points_end_at_the_last_step(tmp_path):
    with pytest.raises(UserError, match="every 3 steps"):
        run_simulation_grid(tmp_path, **TINY | {"record_every": 3})


def test_a_missing_grid_is_named(tmp_path):
    with pytest.raises(UserError, match="no simulation grid at"):
        SimulationGrid.load(tmp_path / "categorical.npz")
