"""Kernels of many layers and many networks at once, against one network after another."""

import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.theory import deep, kernels, phases

ANGLES = np.linspace(0.05, 3.1, 17)
NETWORKS = ((1.0, 0.05), (1.8, 0.05), (4.0, 0.05), (3.5, 2.0))


def unchecked(function):
    """Without the checker of shapes, which users do not have."""
    return getattr(function, "__wrapped__", function)


def followed(name, depth, weight_var, bias_var):
    """The same layer by layer, from inputs on a circle."""
    x = 2**0.5 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    first = np.array([[2**0.5, 0.0]])
    architecture = fully_connected(depth, activations.get(name), weight_var, bias_var)
    return np.asarray(kernels.nngp(architecture, first, x, error=0))[0]


@pytest.mark.parametrize("depth", [1, 5])
@pytest.mark.parametrize("name", ["erf", "sin", "tanh"])
def test_is_the_kernel_of_each_network(name, depth):
    weight_var, bias_var = map(np.array, zip(*NETWORKS, strict=True))
    found = deep.through_layers(activations.get(name), np.cos(ANGLES), depth, weight_var, bias_var)
    assert found.var.shape == (depth + 1, len(NETWORKS))
    assert found.correlation.shape == (depth + 1, len(NETWORKS), len(ANGLES))
    for row, (w, b) in enumerate(NETWORKS):
        one = found.var[depth, row] * found.correlation[depth, row]
        # 1e-12 in each layer, and chaos doubles differences in five.
        np.testing.assert_allclose(one, followed(name, depth, w, b), rtol=0, atol=3e-11)


def test_the_allowed_error_is_an_error():
    # A coarse series is off by what was allowed, and not by nothing.
    one = activations.get("tanh"), np.cos(ANGLES), 3, np.array([4.0]), np.array([0.05])
    fine, coarse = (deep.through_layers(*one, error).correlation[-1] for error in (1e-12, 1e-4))
    apart = np.max(np.abs(fine - coarse))
    assert 1e-7 < apart < 1e-3


def test_equal_inputs_stay_equal():
    # Variances at which σ_w² + σ_b² over itself is rounded, and chaos in which that would grow.
    weight_var, bias_var = np.linspace(0.5, 12, 200), np.full(200, 0.013)
    one = activations.get("erf"), np.array([1.0, 0.3]), 60, weight_var, bias_var
    found = deep.through_layers(*one, 1e-6).correlation
    np.testing.assert_array_equal(found[..., 0], 1)
    assert np.max(found) == 1


def test_ends_at_the_fixed_points():
    weight_var = np.array([1.0, 2.5, 4.0])
    tanh = activations.get("tanh")
    found = deep.through_layers(tanh, np.cos(ANGLES), 300, weight_var, np.full(3, 0.05))
    diagram = phases.phase_diagram(tanh, weight_var, 0.05)
    np.testing.assert_allclose(found.var[-1], diagram.var, rtol=1e-10)
    ends = np.broadcast_to(np.asarray(diagram.correlation)[:, None], (3, len(ANGLES)))
    np.testing.assert_allclose(found.correlation[-1], ends, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cosine": np.array([1.1])}, "cosine holds numbers outside"),
        ({"cosine": np.array([np.nan])}, "cosine holds numbers outside"),
        ({"depth": 0}, "depth"),
        ({"error": 0.0}, "error=0.0; ask for one between"),
        ({"error": np.nan}, "error=nan"),
        ({"weight_var": np.zeros(1)}, "weight_var holds 0"),
        ({"cosine": np.full((1, 1), 0.5)}, "give vectors"),
        ({"weight_var": np.array([-1.0])}, "weight_var"),
        ({"activation": activations.get("relu")}, "widelimit.theory.kernels"),
        ({"weight_var": np.array([0.1]), "bias_var": np.zeros(1), "depth": 60}, "fewer layers"),
    ],
)
def test_refuses(change, message):
    arguments = {
        "activation": activations.get("tanh"),
        "cosine": np.array([0.5]),
        "depth": 2,
        "weight_var": np.array([1.0]),
        "bias_var": np.array([0.1]),
    } | change
    with pytest.raises(ValueError, match=message):
        unchecked(deep.through_layers)(**arguments)


def test_deep_regression_tends_to_the_smoother():
    # Inputs on the sphere, one chaotic network: the gap falls as the square of what is left.
    rng = np.random.default_rng(3)
    x = rng.standard_normal((12, 6))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = rng.standard_normal((8, 2))
    y -= y.mean(axis=0)
    tanh, depths = activations.get("tanh"), np.array([40, 50, 60])
    limit = float(phases.phase_diagram(tanh, 4.0, 0.05).correlation)
    upper = np.triu_indices(12, 1)
    cosine = (x @ x.T)[upper]
    found = deep.through_layers(tanh, cosine, int(depths[-1]), np.array([4.0]), np.array([0.05]))
    gaps, left = [], []
    for depth in depths:
        c = np.eye(12)
        c[upper] = found.correlation[depth, 0]
        c = np.maximum(c, c.T)
        mean = c[8:, :8] @ np.linalg.solve(c[:8, :8], y)
        smoothed = deep.smoother(*map(jnp.asarray, (c[:8, :8], c[:8, 8:])), limit, jnp.asarray(y))
        gaps.append(np.max(np.abs(mean - smoothed)))
        left.append(np.max(np.abs(c[upper] - limit)))
    slope = np.polyfit(np.log(left), np.log(gaps), 1)[0]
    assert slope == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    ("limit", "y", "message"),
    [
        (1.0, np.array([[1.0], [-1.0]]), "limit=1.0"),
        (0.2, np.array([[1.0], [-0.5]]), "do not add up to 0"),
        (0.2, np.array([[1.0], [0.0], [-1.0]]), "they are"),
    ],
)
def test_the_smoother_refuses(limit, y, message):
    with pytest.raises(ValueError, match=message):
        unchecked(deep.smoother)(jnp.eye(2), jnp.full((2, 3), 0.3), limit, jnp.asarray(y))
