"""Kernels of architectures that read vectors: against formulas written out, and by identities."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widelimit import activations
from widelimit.architectures import (
    Chain,
    Dense,
    Elementwise,
    Flatten,
    GlobalAveragePool,
    LayerNorm,
    Repeat,
    Residual,
    fully_connected,
)
from widelimit.theory import angular, gaussian, kernels, phases, signal

RELU, ERF, TANH = (activations.get(name) for name in ("relu", "erf", "tanh"))
#: Activations that have a kernel of both kinds at any depth.
BOTH = ("relu", "leaky_relu", "abs", "erf", "tanh", "gelu", "silu", "sin", "cos", "linear")


def inputs(n=12, d=5, seed=0, dtype=float):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(n, d)), dtype)


def unit(n=12, d=5, seed=0, dtype=float):
    x = np.random.default_rng(seed).normal(size=(n, d))
    return jnp.asarray(x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(d), dtype)


def relu_by_hand(x, depth, weight_var, bias_var):
    """Cho and Saul's arc-cosine kernels, iterated as in Jacot et al."""
    k = weight_var * x @ x.T / x.shape[1] + bias_var
    theta = k.copy()
    for _ in range(depth):
        size = np.sqrt(np.outer(np.diag(k), np.diag(k)))
        angle = np.arccos(np.clip(k / size, -1, 1))
        step = (np.pi - angle) / (2 * np.pi)
        ramp = size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
        k = weight_var * ramp + bias_var
        theta = weight_var * theta * step + k
    return k, theta


def erf_by_hand(x, depth, weight_var, bias_var):
    """Williams' kernel, and its derivative in the covariance."""
    k = weight_var * x @ x.T / x.shape[1] + bias_var
    theta = k.copy()
    for _ in range(depth):
        size = np.outer(1 + 2 * np.diag(k), 1 + 2 * np.diag(k))
        slope = 4 / np.pi / np.sqrt(size - 4 * k**2)
        k = weight_var * 2 / np.pi * np.arcsin(2 * k / np.sqrt(size)) + bias_var
        theta = weight_var * theta * slope + k
    return k, theta


@pytest.mark.parametrize("error", [0, None], ids=["by layers", "by angle"])
@pytest.mark.parametrize("bias_var", [0.0, 0.3])
@pytest.mark.parametrize(("phi", "by_hand"), [(RELU, relu_by_hand), (ERF, erf_by_hand)])
@pytest.mark.parametrize("depth", [1, 4])
def test_known_kernels(phi, by_hand, bias_var, depth, error):
    x = unit(40) if bias_var else inputs(40)
    found = kernels.nngp_and_ntk(fully_connected(depth, phi, 1.7, bias_var), x, error=error)
    expected = by_hand(np.asarray(x), depth, 1.7, bias_var)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11 * other.max())


@pytest.mark.parametrize("name", BOTH)
def test_both_ways_agree(name):
    """The function of one angle against the layers followed pair by pair."""
    architecture = fully_connected(3, activations.get(name), 1.3, 0.2)
    x = unit(20)
    assert angular.angular_kernel(architecture, 1.0) is not None
    fast, slow = (kernels.nngp_and_ntk(architecture, x, error=error) for error in (None, 0))
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11 * np.max(other))


@pytest.mark.parametrize("name", ["tanh", "silu"])
def test_series_and_quadrature_agree(name):
    """Values that are traced leave quadrature; norms differ, so no function of one angle helps."""
    architecture = fully_connected(2, activations.get(name), 1.3, 0.2)
    x = inputs(5)
    traced = jax.jit(partial(kernels.nngp_and_ntk, architecture))(x)
    for one, other in zip(kernels.nngp_and_ntk(architecture, x), traced, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("depth", [3, 10, 100])
def test_errors_are_those_asked_for(depth, dtype):
    architecture = fully_connected(depth, RELU, 2.0)
    x = unit(60, dtype=dtype)
    exact = kernels.nngp_and_ntk(architecture, jnp.asarray(x, float), error=0)
    for error in (1e-3, None):
        found = kernels.nngp_and_ntk(architecture, x, error=error)
        # In float32 the cosines of the inputs are rounded as well.
        allowed = (error or 1e-11) if dtype == "float64" else max(error or 0, 3e-6)
        for one, other in zip(found, exact, strict=True):
            assert one.dtype == dtype
            assert np.max(np.abs(np.asarray(one, float) - other)) <= allowed * np.max(other)


def test_the_degree_grows_with_depth_and_with_accuracy():
    degree = lambda depth, error: (  # noqa: E731
        angular.angular_kernel(fully_connected(depth, RELU, 2.0), 1.0, error=error).degree
    )
    assert degree(3, 1e-6) <= degree(10, 1e-6) < degree(100, 1e-6) <= 36
    assert degree(10, 1e-6) < degree(10, 1e-12)


@pytest.mark.parametrize("depth", [5, 10, 20, 40, 200])
@pytest.mark.parametrize(("name", "weight_var"), [("erf", 9.0), ("sin", 4.0), ("cos", 9.0)])
def test_deep_chaos_by_angle_or_not(name, weight_var, depth):
    """Where k falls too fast for any polynomial none is made up: also on the diagonal."""
    architecture = fully_connected(depth, activations.get(name), weight_var, 0.3)
    x = unit(20)
    fast, slow = (kernels.nngp(architecture, x, error=error) for error in (None, 0))
    np.testing.assert_allclose(fast, slow, atol=1e-10 * np.max(slow))
    if depth == 200:
        assert angular.angular_kernel(architecture, 1.0, ntk=False) is None


@pytest.mark.parametrize("error", [0, None], ids=["by layers", "by angle"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_inputs_lose_nothing_on_the_diagonal(dtype, error):
    """Θ(x, x) of critical ReLU is L + 1 times K(x, x); a cosine of 1 − 1e-7 would cost 1e-3."""
    x = inputs(40, d=300, dtype=dtype)
    found = kernels.nngp_and_ntk(fully_connected(10, RELU, 2.0), x, error=error)
    squares = 2 * np.mean(np.asarray(x, float) ** 2, axis=1)
    accuracy = 1e-11 if dtype == "float64" else 3e-6
    np.testing.assert_allclose(np.diag(found.nngp), squares, rtol=accuracy)
    np.testing.assert_allclose(np.diag(found.ntk), 11 * squares, rtol=accuracy)


def test_lengths_and_correlations_are_those_of_the_signal():
    """Chapter 3's maps, layer by layer, for inputs of two norms."""
    x = jnp.asarray([[1.0, 0.3, -0.2], [0.1, -0.9, 1.4]])
    var = 1.8 * jnp.mean(x**2, axis=1) + 0.1
    start = (1.8 * jnp.mean(x[0] * x[1]) + 0.1) / jnp.sqrt(var[0] * var[1])
    for depth in (1, 2, 5):
        k = kernels.nngp(fully_connected(depth, TANH, 1.8, 0.1), x)
        lengths = signal.lengths(TANH, var, depth + 1, 1.8, 0.1)[:, -1]
        correlation = signal.correlations(TANH, *var, start, depth + 1, 1.8, 0.1)[-1]
        np.testing.assert_allclose(jnp.diag(k), lengths, rtol=1e-11)
        np.testing.assert_allclose(k[0, 1] / jnp.sqrt(k[0, 0] * k[1, 1]), correlation, atol=1e-12)


@pytest.mark.parametrize("weight_var", [1.2, 2.5])
def test_the_ntk_grows_by_chi_on_the_diagonal(weight_var):
    """At the fixed length Θ^{l+1} = χ₁Θ^l + q*: the link to order and chaos."""
    point = phases.phase_diagram(TANH, weight_var, 0.05)
    q, chi = float(point.var), float(point.chi_1)
    x = jnp.asarray([[1.0, 0.0], [0.0, 1.0]]) * np.sqrt(2 * (q - 0.05) / weight_var)
    at = [
        float(kernels.ntk(fully_connected(depth, TANH, weight_var, 0.05), x)[0, 0])
        for depth in (6, 7)
    ]
    assert at[1] == pytest.approx(chi * at[0] + q, rel=1e-9)


def test_two_sets_of_inputs_are_a_part_of_one():
    architecture = fully_connected(3, RELU, 1.5, 0.1)
    for x in (inputs(30), unit(30)):
        whole = kernels.nngp_and_ntk(architecture, x)
        part = kernels.nngp_and_ntk(architecture, x[:18], x[18:])
        for one, other in zip(part, whole, strict=True):
            np.testing.assert_allclose(one, other[:18, 18:], rtol=1e-10)


def test_blocks_change_nothing(monkeypatch):
    x, y = inputs(70), inputs(45, seed=1)
    for architecture in (fully_connected(2, RELU, 2.0), fully_connected(2, ERF, 1.5, 0.1)):
        whole = [kernels.nngp_and_ntk(architecture, x, other) for other in (None, y)]
        monkeypatch.setattr("widelimit.theory.blocks.BLOCK", 32**2)
        blocks = [kernels.nngp_and_ntk(architecture, x, other) for other in (None, y)]
        monkeypatch.undo()
        for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(blocks), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(BOTH),
    depth=st.integers(1, 4),
    weight_var=st.floats(0.3, 2.5),
    bias_var=st.floats(0.0, 1.0),
    seed=st.integers(0, 5),
)
def test_kernels_are_symmetric_and_positive(name, depth, weight_var, bias_var, seed):
    architecture = fully_connected(depth, activations.get(name), weight_var, bias_var)
    for kernel in kernels.nngp_and_ntk(architecture, unit(8, seed=seed)):
        np.testing.assert_allclose(kernel, kernel.T, rtol=1e-10, atol=1e-12 * np.max(kernel))
        assert np.min(np.linalg.eigvalsh(kernel)) >= -1e-10 * np.max(np.abs(kernel))


def test_the_standard_parametrization_by_hand():
    """One hidden layer: f = Σ v φ(u·x + a)/1 + b, differentiated in all four as they are drawn."""
    n, weight_var, bias_var = 64, 1.6, 0.2
    x = inputs(6)
    k1 = weight_var * x @ x.T / x.shape[1] + bias_var
    q = jnp.diag(k1)

    moment = gaussian.dual(ERF, q[:, None], q[None], k1)
    slope = gaussian.derivative_dual(ERF, q[:, None], q[None], k1)
    # v ~ N(0, σ_w²/n): n units, each with v² = σ_w²/n before them.
    expected = n * moment + 1 + weight_var * slope * (x @ x.T + 1)
    found = kernels.ntk(fully_connected(1, ERF, weight_var, bias_var), x, width=n)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_in_the_standard_parametrization_the_ntk_grows_as_the_width():
    x, architecture = inputs(5), fully_connected(2, RELU, 2.0)
    wide, wider = (kernels.ntk(architecture, x, width=n) for n in (1e6, 2e6))
    np.testing.assert_allclose(wider / wide, 2, rtol=1e-4)


def test_normalized_pre_activations_have_length_one():
    x = inputs(20)
    normalized = Chain((Dense(1.7, 0.2), LayerNorm(), Elementwise(RELU), Dense(2.0)))
    k = kernels.nngp_and_ntk(normalized, x, error=0)
    plain = 1.7 * x @ x.T / x.shape[1] + 0.2
    size = jnp.sqrt(jnp.diag(plain)[:, None] * jnp.diag(plain)[None])
    angle = jnp.arccos(jnp.clip(plain / size, -1, 1))
    moment = (jnp.sin(angle) + (np.pi - angle) * jnp.cos(angle)) / np.pi
    np.testing.assert_allclose(k.nngp, moment, rtol=1e-7)
    theta = plain / size * (np.pi - angle) / np.pi + moment
    np.testing.assert_allclose(k.ntk, theta, rtol=1e-7)


def test_residual_blocks_add():
    """x + W₂φ(h): K → K + σ_w²E[φφ], and Θ likewise, at any norms."""
    x, branch = inputs(9), Chain((Elementwise(ERF), Dense(0.8, 0.1)))
    found = kernels.nngp_and_ntk(Chain((Dense(1.3), Repeat(Residual(branch), 3))), x)
    k = 1.3 * np.asarray(x @ x.T) / x.shape[1]
    theta = k.copy()
    for _ in range(3):
        size = np.outer(1 + 2 * np.diag(k), 1 + 2 * np.diag(k))
        slope = 4 / np.pi / np.sqrt(size - 4 * k**2)
        more = 0.8 * 2 / np.pi * np.arcsin(2 * k / np.sqrt(size)) + 0.1
        k, theta = k + more, theta + 0.8 * slope * theta + more
    np.testing.assert_allclose(found.nngp, k, rtol=1e-11)
    np.testing.assert_allclose(found.ntk, theta, rtol=1e-11)


@pytest.mark.parametrize("name", ["relu", "erf", "gelu", "tanh"])
def test_gradients_are_finite_and_right(name):
    x = inputs(4)
    x = x.at[1].set(x[0])  # equal inputs in one array: off the diagonal, correlation 1
    phi = activations.get(name)

    def total(x, weight_var, bias_var):
        return jnp.sum(jnp.sin(kernels.nngp(fully_connected(2, phi, weight_var, bias_var), x)))

    slopes = jax.grad(total, (0, 1, 2))(x, 1.5, 0.1)
    assert all(np.all(np.isfinite(one)) for one in jax.tree.leaves(slopes))
    step = 1e-5
    for at, slope in ((1, slopes[1]), (2, slopes[2])):
        shift = [step * (i == at) for i in range(3)]
        ahead = total(x, 1.5 + shift[1], 0.1 + shift[2])
        back = total(x, 1.5 - shift[1], 0.1 - shift[2])
        assert float(slope) == pytest.approx(float(ahead - back) / (2 * step), rel=1e-6)


def test_the_ntk_has_gradients_on_its_diagonal():
    x = inputs(4)
    theta = lambda x: jnp.sum(kernels.ntk(fully_connected(3, RELU, 2.0), x))  # noqa: E731
    slope = jax.grad(theta)(x)
    step = jnp.asarray(np.random.default_rng(1).normal(size=x.shape)) * 1e-5
    ahead, back = float(theta(x + step)), float(theta(x - step))
    assert float(jnp.sum(slope * step)) == pytest.approx((ahead - back) / 2, rel=1e-6)


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 0.5], [1.0, 0.5]],
        [[1.0, 0.5], [2.0, 1.0]],
        [[1.0, 0.5], [-1.0, -0.5]],
        [[1.0], [2.0]],
    ],
    ids=["equal", "collinear", "opposite", "on a line"],
)
@pytest.mark.parametrize("bias_var", [0.0, 0.1])
def test_gradients_of_the_ntk_are_finite_where_it_has_cusps(rows, bias_var):
    theta = lambda x: jnp.sum(kernels.ntk(fully_connected(2, RELU, 2.0, bias_var), x))  # noqa: E731
    assert np.all(np.isfinite(jax.grad(theta)(jnp.asarray(rows))))


def test_normalization_of_nothing_has_gradients():
    architecture = Chain((Dense(1.0), LayerNorm(), Elementwise(RELU), Dense(1.0)))
    x = inputs(3).at[0].set(0.0)
    assert np.all(np.isfinite(jax.grad(lambda x: jnp.sum(kernels.nngp(architecture, x)))(x)))


def test_compiled_code_may_hold_the_inputs():
    x, architecture = inputs(20), fully_connected(1, RELU, 2.0)
    found = jax.jit(lambda scale: scale * kernels.ntk(architecture, x))(2.0)
    np.testing.assert_allclose(found, 2 * kernels.ntk(architecture, x), atol=1e-10)


def test_structures_of_layers_differ():
    """With equal structures compiled code of one architecture would be run for another."""

    layers = [Flatten(), GlobalAveragePool(), LayerNorm(), Elementwise(RELU), Elementwise(ERF)]
    layers += [Residual(1.0), Repeat(1.0, 1), Repeat(1.0, 2), Chain((1.0,)), Dense(1.0)]
    for one, other in itertools.combinations(layers, 2):
        assert jax.tree.structure(one) != jax.tree.structure(other)


STEP = activations.get("step")
REFUSED = {
    "step jumps": lambda: kernels.ntk(fully_connected(1, STEP, 1.0), inputs()),
    "exp overflows": lambda: kernels.nngp(
        fully_connected(4, activations.get("exp"), 2.0), inputs()
    ),
    "monomial\\(3\\) overflows": lambda: kernels.ntk(
        fully_connected(9, activations.get("monomial3"), 5.0), inputs()
    ),
    "Elementwise follows activations": lambda: kernels.nngp(
        Chain((Dense(1.0), Elementwise(RELU), Elementwise(RELU))), inputs()
    ),
    "LayerNorm follows the data": lambda: kernels.nngp(Chain((LayerNorm(),)), inputs()),
    "Residual adds pre-activations to the data": lambda: kernels.nngp(
        Chain((Residual(Dense(1.0)),)), inputs()
    ),
    "its block turns pre-activations into activations": lambda: kernels.nngp(
        Chain((Dense(1.0), Repeat(Elementwise(RELU), 2))), inputs()
    ),
    r"x1 has shape \(5,\)": lambda: kernels.nngp(Dense(1.0), jnp.ones(5)),
    "x1 holds float64": lambda: kernels.nngp(Dense(1.0), inputs(), inputs(d=4)),
    "width=0": lambda: kernels.ntk(fully_connected(1, RELU, 1.0), inputs(), width=0),
    "Flatten reads images": lambda: kernels.nngp(Chain((Flatten(),)), inputs()),
    "width=inf": lambda: kernels.ntk(fully_connected(1, RELU, 1.0), inputs(), width=np.inf),
    "error=2": lambda: kernels.nngp(fully_connected(1, RELU, 1.0), inputs(), error=2.0),
    "x1 holds NaN": lambda: kernels.nngp(Dense(1.0), jnp.full((2, 2), jnp.nan)),
    "products float32 does not hold": lambda: kernels.nngp(
        fully_connected(2, RELU, 1.0, 0.0), 1e-11 * inputs(3, dtype="float32")
    ),
    "depth=0": lambda: fully_connected(0, RELU, 1.0),
    "weight_var=-1": lambda: Dense(-1.0),
    "bias_var=nan": lambda: Dense(1.0, float("nan")),
    "times=0": lambda: Repeat(Dense(1.0), 0),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()
