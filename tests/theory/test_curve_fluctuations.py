"""The 1/n terms of a circle, against its recursion sampled in NumPy, without a network."""

import numpy as np
import pytest

from widelimit.activations import get
from widelimit.theory import curve_fluctuations, curves, phases

TANH, RELU, LINEAR = get("tanh"), get("relu"), get("linear")


def sampled(sigma_w, n, depth, networks, seed):
    """Speed, curvature and their product by layer, of averages over n units, for many networks.

    Given a layer, the units of the next are independent Gaussian triples (h, v, a): so only their
    second moments are drawn on, and no matrix is needed.
    """
    generator = np.random.default_rng(seed)
    q = float(phases.phase_diagram(TANH, sigma_w**2, 0.09).var)
    g = q - 0.09
    moments = np.broadcast_to([[q, 0, -g], [0, g, 0], [-g, 0, g]], (networks, 3, 3))
    found = []
    for _ in range(depth):
        z = generator.standard_normal((networks, n, 3))
        h, v, a = np.moveaxis(z @ np.linalg.cholesky(moments).swapaxes(1, 2), -1, 0)
        vv, va, aa = (np.mean(x, axis=1) for x in (v * v, v * a, a * a))
        bend = np.sqrt(aa * vv - va**2) / vv**1.5
        found.append([np.sqrt(vv), bend, bend * np.sqrt(vv)])
        t = np.tanh(h)
        unit = np.stack([t, (1 - t**2) * v, (1 - t**2) * (a - 2 * t * v**2)], axis=-1)
        moments = sigma_w**2 / n * np.einsum("kni,knj->kij", unit, unit)
        moments[:, 0, 0] += 0.09
    return np.array(found)  # [layers, 3, networks]


@pytest.mark.parametrize("sigma_w", [1.3, 4.0])
def test_terms_are_those_of_the_sampled_recursion(sigma_w):
    # A mean is 1 + a/n + b/n² times its limit, so 4·(that of 2n) − (that of n) − 3 is a/n.
    depth, n, networks = 6, 100, 20_000
    q = float(phases.phase_diagram(TANH, sigma_w**2, 0.09).var)
    limit = curves.circle(TANH, np.full(depth, q), sigma_w**2, q - 0.09)
    limit = np.stack(
        [np.sqrt(limit.metric), limit.curvature, np.sqrt(limit.tangent_metric)], axis=1
    )
    drift = curve_fluctuations.circle(TANH, q, depth, sigma_w**2, q - 0.09)
    expected = np.stack([drift.length, drift.curvature, drift.tangent_length], axis=1) / n
    once, twice = (sampled(sigma_w, k * n, depth, networks, k) / limit[..., None] for k in (1, 2))
    found = 4 * twice.mean(axis=2) - once.mean(axis=2) - 3
    error = np.sqrt((16 * twice.var(axis=2) + once.var(axis=2)) / networks)
    np.testing.assert_array_less(np.abs(found - expected), 4.5 * error + 1e-12)
    assert (np.abs(expected[-1]) / error[-1]).max() > 6


def test_a_linear_network_keeps_a_circle_an_ellipse():
    # In layer 1 the mean of √χ²_n/n loses 1/4n, whatever φ is.
    q = 2.0
    drift = curve_fluctuations.circle(LINEAR, q, 4, 0.5, 1.0)
    np.testing.assert_allclose(drift.length[0], -1 / 4, rtol=1e-9)
    # Each layer multiplies the squared speed by an independent χ²_n/n: 1/4n more a layer.
    np.testing.assert_allclose(drift.length, -np.arange(1, 5) / 4, rtol=1e-9)


def test_the_first_layer_is_that_of_a_gaussian_sample():
    # Of averages over n pairs of independent normal numbers v and u = −a the tangent's speed is
    # √(⟨vv⟩⟨uu⟩ − ⟨vu⟩²)/⟨vv⟩, whose mean is 1 + 0/n: the tangent of an ellipse turns once.
    drift = curve_fluctuations.circle(TANH, 3.0, 1, 5.0, 2.0)
    np.testing.assert_allclose(drift.tangent_length, 0, atol=1e-12)
    np.testing.assert_allclose(drift.curvature, 5 / 4, rtol=1e-9)


def test_bad_input():
    with pytest.raises(ValueError, match=r"metric=3.0 must lie strictly between 0 and var=3.0"):
        curve_fluctuations.circle(TANH, 3.0, 2, 5.0, 3.0)
    with pytest.raises(ValueError, match="relu has kinks"):
        curve_fluctuations.circle(RELU, 3.0, 2, 5.0, 2.0)
    with pytest.raises(ValueError, match="depth=0"):
        curve_fluctuations.circle(TANH, 3.0, 0, 5.0, 2.0)
