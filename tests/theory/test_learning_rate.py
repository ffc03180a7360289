import pytest
from scipy.integrate import quad

from rlvr.errors import UserError
from rlvr.theory import learning_rate_factor


@pytest.mark.parametrize(("gamma", "factor"), [(0, 1.0), (0.5, 0.6791), (1, 0.5), (2, 0.3125)])
def test_factors_of_the_paper(gamma: float, factor: float):
    assert learning_rate_factor(gamma) == pytest.approx(factor, abs=5e-5)


@pytest.mark.parametrize("gamma", [0.25, 0.5, 1.7, 4.0])
def test_the_closed_form_is_the_integral(gamma: float):
    weighted, _ = quad(lambda m: (1 - m) ** gamma * (m * (1 - m)) ** 0.5, 0, 1)
    plain, _ = quad(lambda m: (m * (1 - m)) ** 0.5, 0, 1)
    assert learning_rate_factor(gamma) == pytest.approx(weighted / plain, rel=1e-6)


def test_a_negative_gamma_is_refused():
    with pytest.raises(UserError, match="at least 0"):
        learning_rate_factor(-0.1)
