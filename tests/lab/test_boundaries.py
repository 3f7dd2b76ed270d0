"""Zeros of an output, and how the surface of zeros bends, against automatic derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.activations import get
from widelimit.lab import boundaries
from widelimit.lab.networks import FullyConnected
from widelimit.parametrizations import NTK

# Sums of some ten products in each of some five layers: about a hundred roundings of 2^-24.
ROUNDING = 1e-5
KEY = jax.random.key(6)
X = np.array([0.7, -1.1, 0.4], np.float32)
GRID = np.linspace(0, 3, 7)

crossing = jax.jit(boundaries.crossing, static_argnums=0)


def make(depth, activation="tanh", bias_var=0.4, **settings):
    widths = (3, *[6] * depth, 1)
    return FullyConnected(
        KEY, widths, get(activation), weight_var=2.3, bias_var=bias_var, **settings
    )


# Crossings.


@pytest.mark.parametrize(
    ("fn", "zero"),
    [
        (lambda t: t - jnp.sqrt(2.0), np.sqrt(2)),
        (lambda t: 0.3 - t, 0.3),
        (jnp.cos, np.pi / 2),
        (lambda t: t**3 - 20, 20 ** (1 / 3)),
        (lambda t: (t - 0.8) * (t - 2.2), 0.8),  # the first of two
        (lambda t: t - 1.0, 1.0),  # a node of the grid
        (lambda t: jnp.sign(t - 1.7), 1.7),
    ],
    ids=["rising", "falling", "cosine", "cubic", "first", "node", "jump"],
)
@pytest.mark.parametrize("jitted", [True, False])
def test_finds_the_zero(fn, zero, jitted, assert_float32):
    found = (crossing if jitted else boundaries.crossing)(fn, GRID)
    assert_float32(found)
    # Halved until neighbours in float32, where ``fn`` rounds too: three roundings at a slope of 1
    # and more.
    assert abs(float(found[0]) - zero) <= 3 * 2.0**-23 * zero
    assert float(found[1]) == 1


@pytest.mark.parametrize(
    "fn",
    [
        lambda t: t + 0.1,
        lambda t: -1 - t**2,
        lambda t: (t - 1.2) * (t - 1.3),  # two zeros between the same nodes
    ],
    ids=["positive", "negative", "both-between-nodes"],
)
def test_says_when_there_is_none(fn):
    zero, found = crossing(fn, GRID)
    assert float(found) == 0
    assert GRID[0] <= float(zero) <= GRID[1]


def test_a_networks_output_is_zero_at_its_crossing():
    network = make(3, bias_var=0.0)  # odd, so that half a turn changes the sign

    def output(t):
        return network(jnp.stack([jnp.cos(t), jnp.sin(t), jnp.zeros_like(t)])[None])[0, 0]

    t = np.linspace(0, 2 * np.pi, 40)
    zero, found = crossing(output, t)
    assert float(found) == 1
    slope = float(jax.grad(output)(zero))
    # The output rounds at its own size; the zero's resolution is multiplied by the slope.
    assert abs(float(output(zero))) < ROUNDING * (1 + abs(slope))
    signs = np.sign([float(output(jnp.float32(s))) for s in t])
    first = np.argmax(signs[1:] != signs[:-1])
    assert t[first] <= float(zero) <= t[first + 1]


def test_many_functions_at_once():
    # Under jax.vmap, as networks are measured.
    zeros, found = jax.vmap(lambda shift: crossing(lambda t: t - shift, GRID))(
        jnp.asarray([0.4, 1.9, 7.0])
    )
    np.testing.assert_allclose(zeros[:2], [0.4, 1.9], rtol=1e-6)
    np.testing.assert_array_equal(found, [1, 1, 0])


# Derivatives in a layer.


def shifted_output(network, layer):
    """The output as a function of what is added to h^layer."""
    shapes = [one.shape for one in network.preactivations(X[None])]
    stack, place = (0, 0) if layer == 1 else (1, layer - 2)

    def output(shift):
        shifts = [jnp.zeros(shape, jnp.float32) for shape in shapes]
        shifts[stack] = shifts[stack].at[place, 0].add(shift)
        return network.preactivations(X[None], shifts=shifts)[-1][0, 0, 0]

    return output


@pytest.mark.parametrize(
    ("depth", "activation", "settings"),
    [
        (4, "tanh", {}),
        (2, "gelu", {}),
        (3, "sin", {"parametrization": NTK}),
    ],
    ids=["tanh", "gelu", "sin-ntk"],
)
def test_derivatives_are_automatic_ones(depth, activation, settings, assert_float32):
    network = make(depth, activation, **settings)
    found = jax.jit(boundaries.derivatives)(network, X)
    assert_float32(found)
    gradients, hessians = found
    assert gradients.shape == (depth, 6)
    assert hessians.shape == (depth, 6, 6)
    zero = jnp.zeros(6, jnp.float32)
    for layer in range(1, depth + 1):
        output = shifted_output(network, layer)
        gradient, hessian = jax.jit(jax.grad(output))(zero), jax.jit(jax.hessian(output))(zero)
        for one, other in ((gradients, gradient), (hessians, hessian)):
            scale = np.abs(np.asarray(other)).max()
            assert scale > 1e-2
            np.testing.assert_allclose(one[layer - 1], other, atol=ROUNDING * scale)


def test_derivatives_are_those_of_the_output_in_the_input():
    # The first layer is linear, h¹ = xW + b: ∂f/∂x = W g¹ and ∂²f/∂x² = W H¹ Wᵀ.
    network = make(3)
    gradients, hessians = boundaries.derivatives(network, X)
    weights = np.asarray(network.layers[0].matrices()[0], float)
    output = lambda x: network(x[None])[0, 0]  # noqa: E731
    gradient, hessian = jax.jit(jax.grad(output))(X), jax.jit(jax.hessian(output))(X)
    np.testing.assert_allclose(weights @ np.asarray(gradients[0]), gradient, atol=3 * ROUNDING)
    np.testing.assert_allclose(
        weights @ np.asarray(hessians[0]) @ weights.T, hessian, atol=3 * ROUNDING
    )


def test_hidden_layers_may_be_as_wide_as_the_input_or_the_output():
    square = FullyConnected(KEY, (3, 3, 3, 3, 1), get("tanh"), weight_var=1.0, bias_var=0.2)
    narrow = FullyConnected(KEY, (1, 1, 1, 1), get("tanh"), weight_var=1.0, bias_var=0.2)
    for network, x in ((square, X), (narrow, X[:1])):
        depth, width = len(network.widths) - 2, network.widths[1]
        gradients, hessians = boundaries.derivatives(network, x)
        assert gradients.shape == (depth, width)
        assert hessians.shape == (depth, width, width)


def test_linear_networks_do_not_bend():
    _, hessians = boundaries.derivatives(make(3, "linear"), X)
    np.testing.assert_array_equal(hessians, 0)


@pytest.mark.parametrize("widths", [(3, 6, 6, 2), (3, 6, 5, 1), (3, 6, 6, 5, 1)])
def test_derivatives_refuse(widths):
    network = FullyConnected(KEY, widths, get("tanh"), weight_var=1.0)
    message = r"give hidden layers of one width and one output"
    with pytest.raises(ValueError, match=message):
        boundaries.derivatives(network, X)


# The second fundamental form.


def of_function(fn, x):
    x = jnp.asarray(x, jnp.float32)
    return boundaries.second_form(jax.grad(fn)(x), jax.hessian(fn)(x))


def test_a_sphere_bends_by_one_over_its_radius():
    x = np.random.default_rng(1).standard_normal(5)
    r = np.linalg.norm(x)
    form = np.asarray(of_function(lambda x: jnp.sum(x**2) - 7.0, x), float)
    np.testing.assert_allclose(np.linalg.eigvalsh(form), [0, *[1 / r] * 4], atol=ROUNDING)
    np.testing.assert_allclose(form @ x, 0, atol=ROUNDING)
    # From inside, with the sign of the function turned, and whatever multiplies it.
    for factor in (-1.0, 3.0, -0.2):
        other = of_function(lambda x, factor=factor: factor * jnp.sum(x**2), x)
        np.testing.assert_allclose(other, np.sign(factor) * form, atol=ROUNDING)


def test_a_cylinder_bends_one_way_only():
    form = of_function(lambda x: x[0] ** 2 + x[1] ** 2, [1.5, 2.0, -0.7])
    np.testing.assert_allclose(np.linalg.eigvalsh(form), [0, 0, 1 / 2.5], atol=ROUNDING)


def test_an_ellipse_bends_as_is_known():
    # x = (a·cos t, b·sin t): ab/(a²·sin² + b²·cos²)^(3/2).
    a, b, t = 2.0, 0.5, 0.6
    form = of_function(lambda x: (x[0] / a) ** 2 + (x[1] / b) ** 2, [a * np.cos(t), b * np.sin(t)])
    bend = a * b / ((a * np.sin(t)) ** 2 + (b * np.cos(t)) ** 2) ** 1.5
    np.testing.assert_allclose(np.trace(form), bend, rtol=ROUNDING)


def test_the_form_is_that_of_the_surface_not_of_the_function():
    # f·(1 + linear) has the same zeros: on them its gradient is scaled, and its second derivatives
    # gain products of the gradient with another vector, which the projection takes out.
    def surface(x):
        return x[0] - 0.4 * x[1] ** 2 + 0.3 * x[1] * x[2] + 0.2 * x[2] ** 3

    tail = np.array([0.6, -0.9])
    first = 0.4 * tail[0] ** 2 - 0.3 * tail[0] * tail[1] - 0.2 * tail[1] ** 3
    x = [first, *tail]
    form = of_function(surface, x)
    other = of_function(lambda x: surface(x) * (1.5 + 0.7 * x[0] - 0.4 * x[2]), x)
    np.testing.assert_allclose(other, form, atol=ROUNDING)
    assert np.abs(np.asarray(form)).max() > 0.1


def test_the_normal_is_in_the_kernel_in_every_layer():
    gradients, hessians = boundaries.derivatives(make(4), X)
    forms = np.asarray(boundaries.second_form(gradients, hessians), float)
    assert forms.shape == (4, 6, 6)
    for form, gradient, hessian in zip(forms, gradients, hessians, strict=True):
        gradient, hessian = np.asarray(gradient, float), np.asarray(hessian, float)
        size = np.linalg.norm(gradient)
        # Relative to the second derivatives, from which products with the normal are taken.
        scale = np.linalg.norm(hessian) / size
        np.testing.assert_allclose(form @ gradient / size, 0, atol=ROUNDING * scale)
        np.testing.assert_allclose(form, form.T, atol=ROUNDING * scale)
        tangential = np.eye(6) - np.outer(gradient, gradient) / size**2
        expected = tangential @ hessian @ tangential / size
        np.testing.assert_allclose(form, expected, atol=ROUNDING * scale)


@pytest.mark.parametrize("where", [0.5, 1.0])
def test_principal_curvatures_are_second_differences_on_the_surface(where):
    # Along a tangent direction τ the surface leaves its tangent plane by −k·s²/2 on the side of the
    # gradient: found by Newton steps along the normal, in float64, for a function of NumPy.
    def fn(x):
        return np.sin(x[0]) + 0.5 * x[1] ** 2 - np.cos(x[2] * x[1]) + 0.2 * x[0] * x[2] - where

    def jax_fn(x):
        parts = jnp.sin(x[0]), 0.5 * x[1] ** 2, jnp.cos(x[2] * x[1]), 0.2 * x[0] * x[2]
        return parts[0] + parts[1] - parts[2] + parts[3] - where

    def down(x, direction):  # to fn = 0
        for _ in range(60):
            slope = (fn(x + 1e-6 * direction) - fn(x - 1e-6 * direction)) / 2e-6
            x = x - fn(x) / slope * direction
        return x

    start = np.array([0.3, 1.2, 0.8])
    gradient = np.array([(fn(start + e) - fn(start - e)) / 2e-6 for e in 1e-6 * np.eye(3)])
    x = down(start, gradient / np.linalg.norm(gradient))
    gradient = np.array([(fn(x + e) - fn(x - e)) / 2e-6 for e in 1e-6 * np.eye(3)])
    normal = gradient / np.linalg.norm(gradient)
    form = np.asarray(of_function(jax_fn, x), float)
    tangents = np.linalg.svd(normal[None])[2][1:]
    step = 1e-3
    for tangent in (*tangents, tangents.sum(axis=0) / np.sqrt(2)):
        rises = [(down(x + s * tangent, normal) - x) @ normal for s in (step, -step)]
        # Fourth derivatives times s²/12 = 1e-7 of them, and 1e-16/s² of rounding.
        bend = -(rises[0] + rises[1]) / step**2
        assert abs(tangent @ form @ tangent - bend) < 3 * ROUNDING * np.abs(form).max()


def test_forms_of_many_layers_and_networks_at_once():
    generator = np.random.default_rng(2)
    gradients = generator.standard_normal((2, 3, 4)).astype(np.float32)
    hessians = generator.standard_normal((2, 3, 4, 4)).astype(np.float32)
    hessians = hessians + np.swapaxes(hessians, -1, -2)
    together = boundaries.second_form(jnp.asarray(gradients), jnp.asarray(hessians))
    one = partial(boundaries.second_form, jnp.asarray(gradients[1, 2]))
    np.testing.assert_allclose(together[1, 2], one(jnp.asarray(hessians[1, 2])), atol=ROUNDING)
