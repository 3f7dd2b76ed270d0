"""Growth of gradients at finite width: closed forms, limits, and networks of NumPy."""

import numpy as np
import pytest

from widelimit.activations import get
from widelimit.theory import gradient_growth, phases

TANH, LINEAR, RELU = (get(name) for name in ("tanh", "linear", "relu"))


@pytest.mark.parametrize("rho", [1.0, 0.8])
def test_linear_layers_in_closed_form(rho):
    # r = σ_w²·(mean of masks²)·χ²_n/n: relative variance 3/ρ − 1, whatever Q; and h·δ stays what
    # it is from layer to layer, so nothing depends on meeting the same weights.
    w, b = 0.5, 0.2
    q = b / (1 - w / rho)
    found = gradient_growth.at_fixed_point(LINEAR, q, w, b, rho)
    np.testing.assert_allclose(found.limit, np.log(w / rho), rtol=1e-12)
    np.testing.assert_allclose(found.drift, 0, atol=1e-8)
    np.testing.assert_allclose(found.spread, 3 / rho - 1, rtol=1e-8)
    np.testing.assert_allclose(found.dependence, 0, atol=1e-10)
    expected = np.log(w / rho) - (3 / rho - 1) / 2 / 30
    np.testing.assert_allclose(found.at_width(30), expected, rtol=1e-8)


def test_the_limit_is_that_of_the_phase_diagram():
    point = phases.phase_diagram(TANH, 2.5, 0.05, 0.9)
    found = gradient_growth.at_fixed_point(TANH, float(point.var), 2.5, 0.05, 0.9)
    np.testing.assert_allclose(-1 / found.limit, float(point.xi_grad), rtol=1e-9)


def simulated(width, weight_var, bias_var, rho, q, networks, generator, depth=24):
    """Mean growth of log|δ|² over the middle layers: matrices, NumPy, nothing of the package."""
    found = []
    for _ in range(networks):
        matrices = generator.normal(0, (weight_var / width) ** 0.5, (depth, width, width))
        h, kept, slopes = generator.normal(0, q**0.5, width), [], []
        for matrix in matrices:
            mask = (generator.random(width) < rho) / rho
            kept.append(mask)
            slopes.append(1 - np.tanh(h) ** 2)
            h = matrix @ (mask * np.tanh(h)) + generator.normal(0, bias_var**0.5, width)
        delta = (1 - np.tanh(h) ** 2) * generator.normal(0, 1, width)
        sizes = [np.log(delta @ delta)]
        for matrix, mask, slope in zip(matrices[::-1], kept[::-1], slopes[::-1], strict=True):
            delta = slope * mask * (matrix.T @ delta)
            sizes.append(np.log(delta @ delta))
        found.append((sizes[-6] - sizes[6]) / (len(sizes) - 12))
    return np.array(found)


@pytest.mark.parametrize(("weight_var", "rho"), [(1.0, 1.0), (4.0, 1.0), (1.761, 0.9)])
def test_networks_grow_so(weight_var, rho):
    bias_var, width = 0.05, 40
    q = float(phases.phase_diagram(TANH, weight_var, bias_var, rho).var)
    exact = gradient_growth.at_fixed_point(TANH, q, weight_var, bias_var, rho)
    generator = np.random.default_rng(11)
    found = simulated(width, weight_var, bias_var, rho, q, 1500, generator)
    mean, error = found.mean(), found.std(ddof=1) / len(found) ** 0.5
    total = exact.at_width(width) - exact.limit
    assert abs(mean - exact.at_width(width)) < 5 * error + 0.1 * abs(total)
    # Sharp enough to tell the 1/n term from none.
    assert abs(mean - exact.limit) > 5 * error + 0.1 * abs(total)


def test_without_the_dependence_it_would_be_off():
    bias_var, width = 0.05, 30
    q = float(phases.phase_diagram(TANH, 1.0, bias_var).var)
    exact = gradient_growth.at_fixed_point(TANH, q, 1.0, bias_var)
    assert exact.dependence < -0.3
    found = simulated(width, 1.0, bias_var, 1.0, q, 6000, np.random.default_rng(12))
    mean, error = found.mean(), found.std(ddof=1) / len(found) ** 0.5
    assert mean < exact.at_width(width) - exact.dependence / width - 5 * error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TANH, 1.0, 0.0, 0.1), "weight_var must be positive"),
        ((TANH, 1.0, 1.0, 1.0), "bias_var below var"),
        ((TANH, -1.0, 1.0, 0.1), "var contains -1.0"),
        ((RELU, 0.2, 1.0, 0.1), "relu has kinks"),
        ((TANH, 3.0, 1.0, 0.05), "var=3.0 is no fixed point: a layer takes it to"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        gradient_growth.at_fixed_point(*arguments)
