"""Series for duals against quadrature, closed forms and their own bounds."""

import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import activations
from widelimit.theory import gaussian, mehler

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
