"""Series for duals against quadrature, closed forms and their own bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.theory import gaussian, kernels, mehler

PAIRS = np.array([[0.3, 0.3, 1.0], [0.3, 2.0, 0.7], [1.1, 0.9, -0.95], [2.0, 2.0, 0.0]])


@pytest.mark.parametrize("error", [1e-4, 1e-8, 3e-13])
@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "cos", "hermite3"])
def test_the_error_is_the_one_asked_for(name, error):
    phi = activations.get(name)
    series = mehler.series(phi, 0.3, 2.0, error)
    q1, q2, rho = map(jnp.asarray, PAIRS.T)
    cov = rho * jnp.sqrt(q1 * q2)
    a, b = (mehler.coefficients(series, q) for q in (q1, q2))
    found = mehler.duals(series, a, b, jnp.sqrt(q1 * q2), cov)
    expected = gaussian.dual(phi, q1, q2, cov), gaussian.derivative_dual(phi, q1, q2, cov)
    scales = (
        jnp.sqrt(gaussian.dual(phi, q1, q1, q1) * gaussian.dual(phi, q2, q2, q2)),
        jnp.sqrt(
            gaussian.derivative_dual(phi, q1, q1, q1) * gaussian.derivative_dual(phi, q2, q2, q2)
        ),
    )
    for one, other, scale in zip(found, expected, scales, strict=True):
        assert np.max(np.abs(one - other) / scale) < 2 * error


def test_terms_that_vanish_are_left_out():
    tanh, cos, silu = (
        mehler.series(activations.get(name), 0.5, 1.0, 1e-6) for name in ("tanh", "cos", "silu")
    )
    assert set(np.asarray(tanh.orders) % 2) == {0, 1}  # 0 itself, and what fills the last chunk
    assert np.all(tanh.orders[1:4] == np.array([1, 3, 5]))
    assert np.all(cos.orders[1:4] == np.array([2, 4, 6]))
    assert np.all(silu.orders[1:4] == np.array([1, 2, 3]))


@pytest.mark.parametrize(
    ("name", "largest", "error"), [("relu", 1.0, 1e-3), ("tanh", 1e4, 1e-7), ("tanh", 30.0, 1e-12)]
)
def test_no_series(name, largest, error):
    assert mehler.series(activations.get(name), 0.1, largest, error) is None


def test_signals_that_vanish_keep_their_digits():
    """tanh without biases in deep order: q falls to 1e-18, and K/√(q1·q2) and Θ/K stay right."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 5)))
    found = kernels.nngp_and_ntk(fully_connected(60, activations.get("tanh"), 0.5), x)
    assert np.all(np.diag(found.nngp) < 1e-17)
    # Behind the first twenty layers nothing is left but the linear part.
    early = kernels.nngp_and_ntk(fully_connected(20, activations.get("tanh"), 0.5), x)
    np.testing.assert_allclose(found.nngp / early.nngp, 0.5**40, rtol=1e-5)
    np.testing.assert_allclose(found.ntk / found.nngp - early.ntk / early.nngp, 40, rtol=1e-5)


def test_a_series_does_not_depend_on_the_mode_it_was_first_asked_for_in():
    phi = activations.get("silu")
    jax.config.update("jax_enable_x64", False)
    try:
        first = mehler.series(phi, 0.51, 0.52, 1e-5)
    finally:
        jax.config.update("jax_enable_x64", True)
    assert first.table.dtype == mehler.series(phi, 0.51, 0.52, 1e-5).table.dtype == "float64"


def test_deep_order_at_two_norms():
    """K(x, x) falls to 1e-25 there; it was once held up at the smallest variance of the series."""
    x = jnp.asarray([[1.0, 0.2], [0.9, -1.3], [0.1, 0.4]])
    found = kernels.nngp(fully_connected(60, activations.get("tanh"), 0.4), x)
    early = kernels.nngp(fully_connected(30, activations.get("tanh"), 0.4), x)
    np.testing.assert_allclose(found / early, 0.4**30, rtol=1e-5)
