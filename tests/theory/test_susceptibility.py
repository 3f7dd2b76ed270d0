"""Susceptibilities, gradients and level sets, against derivatives of their maps and sampled."""

from itertools import pairwise

import numpy as np
import pytest

from widelimit.activations import get, names
from widelimit.theory import gaussian, signal, susceptibility

TANH, ERF, RELU, SIN, SIGN = (get(name) for name in ("tanh", "erf", "relu", "sin", "sign"))
CONTINUOUS = [get(name) for name in names() if not any(get(name).jumps)]
SMOOTH = [phi for phi in CONTINUOUS if not phi.kinks]


@pytest.mark.parametrize("phi", CONTINUOUS, ids=lambda phi: phi.name)
def test_chi_1_is_the_slope_of_the_covariance_map_at_equal_inputs(phi):
    q = np.array([0.3, 1.7])
    chi = susceptibility.chi_1(phi, q, 1.3)
    # The same number as a limit of pairs and as one integral.
    np.testing.assert_allclose(susceptibility.covariance_slope(phi, q, q, q, 1.3), chi, rtol=1e-12)
    # And as a chord: F(q) − F(q − δ) = χ₁·δ − ½·χ₂·δ², or χ₁·δ + O(δ^(3/2)) with kinks.
    delta = 1e-4
    ends = [signal.covariance_map(phi, q, q, q - d, 1.3, 0.2) for d in (0, delta)]
    order = np.sqrt(delta) if phi.kinks else delta
    chi_2 = 1 if phi.kinks else np.asarray(susceptibility.chi_2(phi, q, 1.3))
    bound = 1.3 * order * (1 + chi_2)
    assert (np.abs((np.asarray(ends[0]) - ends[1]) / delta - chi) <= bound).all()


@pytest.mark.parametrize("phi", SMOOTH, ids=lambda phi: phi.name)
def test_chi_2_is_the_curvature_of_the_covariance_map(phi):
    # F(q) − 2F(q − δ) + F(q − 2δ) = χ₂·δ² + O(δ³); extrapolated twice, the error is O(δ³).
    q, delta = 0.8, 0.005

    def second(delta):
        f = [float(signal.covariance_map(phi, q, q, q - k * delta, 1.3, 0.2)) for k in range(3)]
        return (f[0] - 2 * f[1] + f[2]) / delta**2

    d1, d2, d4 = (second(k * delta) for k in (1, 2, 4))
    expected = (8 * d1 - 6 * d2 + d4) / 3
    chi_2 = float(susceptibility.chi_2(phi, q, 1.3))
    scale = max(chi_2, float(susceptibility.chi_1(phi, q, 1.3)))
    assert abs(chi_2 - expected) <= 300 * delta**3 * scale


def test_jumps_and_kinks_are_infinite():
    assert np.isinf(susceptibility.chi_1(SIGN, 1.0, 0.5))
    assert np.isinf(susceptibility.chi_2(RELU, 1.0, 0.5))
    assert float(susceptibility.chi_1(SIGN, 1.0, 0.0)) == 0
    assert np.isinf(susceptibility.covariance_slope(SIGN, 1.0, 1.0, 1.0, 0.5))
    # arcsine: (2/π)/√(1 − c²)
    slope = susceptibility.covariance_slope(SIGN, 2.0, 2.0, 1.2, 0.5)
    np.testing.assert_allclose(slope, 0.5 * 2 / np.pi / np.sqrt(4 - 1.44), rtol=1e-13)


def test_backward_moments_multiply_from_the_end():
    w, b, keep_prob = 1.8, 0.1, 0.7
    q = signal.lengths(TANH, 3.0, 6, w, b, keep_prob)
    widths = [10, 20, 40, 5, 5, 30]
    moments = np.asarray(susceptibility.backward_moments(TANH, q, w, keep_prob, widths))
    assert moments[-1] == 1
    for layer, (here, above) in enumerate(pairwise(moments)):
        chi = float(susceptibility.chi_1(TANH, q[layer], w))
        factor = chi / keep_prob * widths[layer + 1] / widths[layer]
        np.testing.assert_allclose(here, factor * above, rtol=1e-12)


def test_backward_moments_broadcast():
    w = np.array([1.0, 2.0, 3.0])
    q = signal.lengths(RELU, 1.0, 5, w, 0.3)
    moments = np.asarray(susceptibility.backward_moments(RELU, q, w))
    np.testing.assert_allclose(moments, (w[:, None] / 2) ** np.arange(4, -1, -1), rtol=1e-13)


def test_gradient_of_one_layer_is_sampled():
    # δ = (p/ρ)·φ′(h)·(sum of n weights of variance σ_w²/n times gradients above): one Gaussian.
    generator = np.random.default_rng(3)
    n, q, w, keep_prob = 1_000_000, 1.4, 2.2, 0.6
    h, above = np.sqrt(q) * generator.standard_normal(n), generator.standard_normal(n)
    kept = generator.random(n) < keep_prob
    delta = kept / keep_prob * (1 - np.tanh(h) ** 2) * np.sqrt(w) * above
    value = float(susceptibility.backward_moments(TANH, np.array([q, q]), w, keep_prob)[0])
    error = (delta**2).std() / np.sqrt(n)
    assert abs((delta**2).mean() - value) <= 4.5 * error
    assert 4.5 * error < 0.03


def test_widths_are_checked():
    q = np.full(4, 1.0)
    for widths in ([1, 2, 3], [1, 2, 0, 4]):
        with pytest.raises(ValueError, match="must be 4 positive numbers"):
            susceptibility.backward_moments(TANH, q, 1.0, 1.0, widths)
    with pytest.raises(ValueError, match="keep_prob contains 2"):
        susceptibility.backward_moments(TANH, q, 1.0, 2.0)


def test_covariance_slope_is_that_of_two_lengths():
    pair = (1.5, 0.6, 0.4)
    by_quadrature = gaussian.covariance_derivative(TANH, TANH, *pair)
    np.testing.assert_allclose(
        susceptibility.covariance_slope(TANH, *pair, 1.7), 1.7 * by_quadrature
    )
    h = 1e-4
    up, down = (signal.covariance_map(TANH, 1.5, 0.6, 0.4 + s * h, 1.7, 0.1) for s in (1, -1))
    # h²/6·F‴ = 1e-9·F‴, and 1e-13/h from the quadrature
    np.testing.assert_allclose((up - down) / (2 * h), 1.7 * by_quadrature, atol=1e-8)


# Level sets.


@pytest.mark.parametrize(("q", "w"), [(0.60705, 1.69), (12.60415, 16.0)], ids=["order", "chaos"])
def test_boundaries_bend_by_a_geometric_sum(q, w):
    # With one length in every layer: (χ₂/χ₁)·(1 + χ₁ + … + χ₁^(L−l)), from the output down.
    depth = 9
    chi_1, chi_2 = (float(chi(TANH, q, w)) for chi in (susceptibility.chi_1, susceptibility.chi_2))
    sums = (chi_1 ** np.arange(depth, 0, -1) - 1) / (chi_1 - 1)
    found = susceptibility.boundary_curvature(TANH, np.full(depth, q), w)
    np.testing.assert_allclose(found, chi_2 / chi_1 * sums, rtol=1e-12)


def test_boundaries_bend_by_the_length_of_each_layer():
    # erf has E[φ′²] = (4/π)/√(1 + 4q) and E[φ″²] = (16/π)·q/(1 + 4q)^(3/2). Unequal lengths tell in
    # which order they act.
    w, lengths = 2.2, np.array([0.3, 2.5, 1.1])
    chi_1 = w * 4 / np.pi / np.sqrt(1 + 4 * lengths)
    chi_2 = w * 16 / np.pi * lengths / (1 + 4 * lengths) ** 1.5
    last = chi_2[2] / chi_1[2]
    middle = chi_1[1] * last + chi_2[1] / chi_1[1]
    first = chi_1[0] * middle + chi_2[0] / chi_1[0]
    found = susceptibility.boundary_curvature(ERF, lengths, w)
    np.testing.assert_allclose(found, [first, middle, last], rtol=1e-12)


def test_one_layer_bends_a_boundary_as_sampled():
    # f(h′) has a gradient and second derivatives whose tangential part has the sum of squares K.
    # Below one layer of n units they are taken through h′ = W φ(h), for random h and W.
    generator = np.random.default_rng(8)
    q, w, above, widths, networks = 1.6, 3.0, 1.7, (50, 100), (4000, 2000)

    def below(n):
        gradient, hessian = np.eye(n)[0], generator.standard_normal((n, n))
        hessian = hessian + hessian.T
        hessian[0] = hessian[:, 0] = 0
        hessian *= np.sqrt(above / np.sum(hessian**2))
        t = np.tanh(np.sqrt(q) * generator.standard_normal(n))
        slope, bend = 1 - t**2, -2 * t * (1 - t**2)
        weights = np.sqrt(w / n) * generator.standard_normal((n, n))
        passed = weights.T @ gradient
        hessian = np.outer(slope, slope) * (weights.T @ hessian @ weights)
        hessian += np.diag(bend * passed)
        size = np.linalg.norm(slope * passed)
        normal = slope * passed / size
        tangential = np.eye(n) - np.outer(normal, normal)
        return np.sum((tangential @ hessian @ tangential) ** 2) / size**2

    narrow, wide = (
        np.array([below(n) for _ in range(count)])
        for n, count in zip(widths, networks, strict=True)
    )
    # Twice the wide one less the narrow one has no term of order 1/n.
    mean = 2 * wide.mean() - narrow.mean()
    error = np.hypot(2 * wide.std() / np.sqrt(networks[1]), narrow.std() / np.sqrt(networks[0]))
    chi_1, chi_2 = (float(chi(TANH, q, w)) for chi in (susceptibility.chi_1, susceptibility.chi_2))
    expected = chi_1 * above + chi_2 / chi_1
    assert abs(mean - expected) <= 4.5 * error
    # Each term of the sum is seen.
    assert 4.5 * error < 0.2 * min(chi_1 * above, chi_2 / chi_1)
    # The function takes the same step.
    two = susceptibility.boundary_curvature(TANH, np.array([q, q]), w)
    np.testing.assert_allclose(two[0], chi_1 * two[1] + chi_2 / chi_1, rtol=1e-12)


def test_boundaries_broadcast():
    var, w = np.array([[1.0, 1.3, 1.2], [2.0, 1.9, 2.1]]), np.array([1.5, 3.0])
    both = susceptibility.boundary_curvature(TANH, var, w)
    assert both.shape == (2, 3)
    for row in range(2):
        one = susceptibility.boundary_curvature(TANH, var[row], w[row])
        np.testing.assert_allclose(both[row], one, rtol=1e-13)
    shared = susceptibility.boundary_curvature(TANH, var[0], w)
    np.testing.assert_allclose(shared[0], both[0], rtol=1e-13)
    np.testing.assert_allclose(
        shared[1], susceptibility.boundary_curvature(TANH, var[0], w[1]), rtol=1e-13
    )


def test_boundaries_of_flat_and_of_kinked_activations():
    linear = susceptibility.boundary_curvature(get("linear"), np.full(4, 2.0), 0.8)
    np.testing.assert_array_equal(linear, 0)
    assert np.isinf(susceptibility.boundary_curvature(RELU, np.full(4, 2.0), 2.0)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"var": np.array([1.0, -1.0])}, "var contains -1"),
        ({"var": np.array([1.0, np.inf])}, "var contains inf"),
        ({"weight_var": -0.5}, "weight_var contains -0.5"),
    ],
)
def test_boundary_curvature_refuses(changes, message):
    arguments = {"var": np.ones(2), "weight_var": 1.0, **changes}
    with pytest.raises(ValueError, match=message):
        susceptibility.boundary_curvature(TANH, **arguments)
