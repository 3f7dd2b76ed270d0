"""What gradient flow finds in a diagonal linear network: against the flow, and in both limits."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import linprog

from widelimit.theory import diagonal

EXAMPLES, COEFFICIENTS = 6, 15


def problem(seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(EXAMPLES, COEFFICIENTS))
    beta = np.zeros(COEFFICIENTS)
    beta[:2] = 1.0, -0.6
    return x, x @ beta


@pytest.mark.parametrize("z", [-3.0, 1e-6, 0.3, 40.0, 1e3])
def test_the_potential_is_the_integral_of_its_slope(z):
    found = float(diagonal.potential(jnp.array([z]), 1.0))
    expected = quad(lambda t: np.arcsinh(t / 2), 0, z, epsrel=1e-12)[0]
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("scale", [0.03, 0.3, 2.0])
def test_it_is_where_gradient_flow_ends(scale):
    x, y = problem()
    start = np.full(2 * COEFFICIENTS, scale)

    def flow(_, w):
        u, v = np.split(w, 2)
        pull = x.T @ (x @ (u**2 - v**2) - y)
        return np.concatenate([-2 * u * pull, 2 * v * pull])

    end = solve_ivp(flow, (0, 300), start, method="LSODA", rtol=1e-11, atol=1e-14).y[:, -1]
    u, v = np.split(end, 2)
    found = diagonal.limit_of_flow(jnp.asarray(x), jnp.asarray(y), scale)
    np.testing.assert_allclose(found, u**2 - v**2, atol=1e-8)


def test_no_other_fit_has_less_of_it():
    x, y = problem()
    found = np.asarray(diagonal.limit_of_flow(jnp.asarray(x), jnp.asarray(y), 0.1))
    least = float(diagonal.potential(jnp.asarray(found), 0.1))
    directions = np.linalg.svd(x)[2][EXAMPLES:]
    for along in np.random.default_rng(1).normal(size=(20, len(directions))) * 0.01:
        other = found + along @ directions
        np.testing.assert_allclose(x @ other, y, atol=1e-12)
        assert float(diagonal.potential(jnp.asarray(other), 0.1)) > least


def test_large_scales_give_the_fit_of_least_length_and_small_ones_that_of_least_sum():
    x, y = problem()
    length = np.linalg.lstsq(x, y, rcond=None)[0]
    large = diagonal.limit_of_flow(jnp.asarray(x), jnp.asarray(y), 1e3)
    np.testing.assert_allclose(large, length, atol=1e-9)
    least = linprog(np.ones(2 * COEFFICIENTS), A_eq=np.hstack([x, -x]), b_eq=y).fun
    excess = [
        float(jnp.sum(jnp.abs(diagonal.limit_of_flow(jnp.asarray(x), jnp.asarray(y), scale))))
        - least
        for scale in (1e-2, 1e-4, 1e-6, 1e-8)
    ]
    assert all(0 < two < one for one, two in pairwise(excess))
    # Slow: what is too much falls as one over log(1/α²) at best.
    assert excess[-1] < 0.02 * least


def test_by_hand():
    """β₁ + 2β₂ = 1: sinh(2ν)/sinh(ν) is the ratio of the two, 2·cosh(ν)."""
    found = diagonal.limit_of_flow(jnp.array([[1.0, 2.0]]), jnp.array([1.0]), 0.01)
    nu = np.arcsinh(float(found[0]) / 2e-4)
    assert float(found[1] / found[0]) == pytest.approx(2 * np.cosh(nu), rel=1e-9)
    # The curriculum's number, in small steps of gradient descent.
    assert float(found[0]) == pytest.approx(0.00704, abs=5e-6)


def test_one_scale_for_each_coefficient():
    x, y = problem()
    each = jnp.full(COEFFICIENTS, 0.2)
    one = diagonal.limit_of_flow(jnp.asarray(x), jnp.asarray(y), 0.2)
    np.testing.assert_allclose(diagonal.limit_of_flow(jnp.asarray(x), jnp.asarray(y), each), one)
    shifted = diagonal.limit_of_flow(jnp.asarray(x), jnp.asarray(y), each.at[3].set(5.0))
    assert abs(float(shifted[3])) > abs(float(one[3]))


def test_targets_of_zero_need_nothing():
    x, _ = problem()
    found = diagonal.limit_of_flow(jnp.asarray(x), jnp.zeros(EXAMPLES), 0.1)
    np.testing.assert_array_equal(found, 0)


def test_refused():
    x, y = (jnp.asarray(one) for one in problem())
    solve = getattr(diagonal.limit_of_flow, "__wrapped__", diagonal.limit_of_flow)
    for scale in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="scale="):
            solve(x, y, scale)
        with pytest.raises(ValueError, match="scale="):
            diagonal.potential(y, scale)
    with pytest.raises(ValueError, match="x and y have shapes"):
        solve(x, y[:-1], 0.1)
    with pytest.raises(ValueError, match="not linearly independent"):
        solve(x.at[0].set(x[1]), y, 0.1)
    with pytest.raises(ValueError, match="NaN"):
        solve(x.at[0, 0].set(np.nan), y, 0.1)
