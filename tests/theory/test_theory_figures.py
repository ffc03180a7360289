from pathlib import Path

import numpy as np
import pytest

from rlvr.errors import UserError
from rlvr.theory import SimulationGrid, figures, simulate_categorical
from rlvr.theory.simulation_grid import GROUP_SIZES

COMMITTED_GRID = Path(__file__).parents[2] / "results" / "theory" / "categorical.npz"


@pytest.fixture(scope="module")
def grid():
    return SimulationGrid.load(COMMITTED_GRID)


@pytest.mark.parametrize("name", ["figure_1a", "figure_2", "figure_3", "figure_4", "figure_5"])
def test_a_figure_is_written_twice_with_the_same_bytes(tmp_path, name):
    draw = getattr(figures, name)
    source = [COMMITTED_GRID] if name == "figure_2" else []
    first, second = draw(*source, tmp_path / "a" / name), draw(*source, tmp_path / "b" / name)
    assert [path.suffix for path in first] == [".png", ".svg"]
    assert first[0].read_bytes().startswith(b"\x89PNG") and b"<svg" in first[1].read_bytes()
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_figure_2_draws_a_small_grid_and_names_a_gamma_that_is_missing(tmp_path):
    curves = np.array([[0.6, 0.7], [1.0, 0.9], [3.0, 2.0]], dtype=np.float32)
    grid = SimulationGrid("{}", np.array([0, 10]), {(N, 0.0, 0): curves for N in (2, 4)})
    grid.save(tmp_path / "grid.npz")
    with pytest.raises(UserError, match="no runs of gamma 1: it holds gamma 0"):
        figures.figure_2(tmp_path / "grid.npz", tmp_path / "figure_2")
    grid.runs |= {(N, 1.0, 0): curves for N in (2, 4)}
    grid.save(tmp_path / "grid.npz")
    assert all(path.exists() for path in figures.figure_2(tmp_path / "grid.npz", tmp_path / "figure_2"))


def test_zone_borders_lie_where_half_the_mass_is_retained():
    retained = np.array([0.9, 0.1, 0.2, 0.8])
    # Half-way down from 0.9 to 0.1 between 2 and 8, half-way up from 0.2 to 0.8 between 32 and 128.
    assert figures.concentration_zone([2, 8, 32, 128], retained) == pytest.approx((4, 64))
    assert figures.concentration_zone([2, 8], np.array([0.1, 0.2])) == (2, 8)
    assert figures.concentration_zone([2, 8], np.array([1.0, 0.9])) == (8, 8)


def test_the_committed_grid_is_complete(grid):
    assert set(grid.runs) == {
        (N, gamma, seed) for N in GROUP_SIZES for gamma in (0.0, 1.0) for seed in range(4)
    }
    assert grid.step[-1] == 1000


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_the_committed_grid_is_what_the_code_computes(grid, gamma):
    run = simulate_categorical(group_size=16, gamma=gamma, seed=3, steps=500)
    recorded = slice(0, 501, 10)
    committed = grid.runs[16, gamma, 3][:, :51]
    for curve, again in zip(committed, (run.correct_mass, run.retained_mass, run.entropy), strict=True):
        np.testing.assert_allclose(curve, again[recorded], rtol=1e-6)


def test_the_paper_s_statements_on_figure_2_show(grid):
    retained = {gamma: np.array(grid.final("retained_mass", gamma)[1]) for gamma in (0.0, 1.0)}
    correct = grid.final("correct_mass", 0.0)[1]
    assert (correct > grid.curves("correct_mass", 2, 0.0)[0, 0] + 0.002).all()  # rises for every N
    small, zone = slice(0, 5), slice(6, 15)  # 2 to 32 and 128 to 32,768
    assert (retained[0.0][small] > 0.95).all() and (correct[small] < 0.71).all()
    assert (retained[0.0][zone] < 0.1).all() and (correct[zone] > 0.98).all()
    assert retained[0.0][-1] > 0.99 and correct[-1] > 0.99
    assert grid.curves("retained_mass", 131072, 0.0).min() > 0.99  # throughout
    assert (retained[1.0] >= retained[0.0]).all()
    assert (retained[1.0][zone] > 2 * retained[0.0][zone]).all()
