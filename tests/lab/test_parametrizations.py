"""Tables of powers: what one says is done to each parameter, and which tables say the same."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from widelimit import activations
from widelimit.lab import networks, passes, training
from widelimit.lab.networks import FullyConnected
from widelimit.parametrizations import (
    FAN_AVG,
    FAN_OUT,
    NTK,
    STANDARD,
    UNSCALED,
    Parametrization,
    Power,
    Roles,
    Scaling,
)

TANH = activations.get("tanh")
KEY = jax.random.key(4)
# A layer of every role, two of them stacked; no two fans alike, so that no power is 1 by chance.
WIDTHS = (3, 5, 7, 7, 7, 2)
STEPS = 8
# Eight steps of five float32 layers: a hundred roundings of 2^-24 or so.
ROUNDING = 1e-5
GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((6, 3)).astype(np.float32)
Y = GENERATOR.standard_normal((6, 2)).astype(np.float32)


def make(parametrization, key=KEY, weight_var=1.5, bias_var=0.4):
    return FullyConnected(
        key,
        WIDTHS,
        TANH,
        weight_var=weight_var,
        bias_var=bias_var,
        parametrization=parametrization,
    )


@partial(jax.jit, static_argnames="optimizer")
def outputs_along(network, optimizer):
    """The outputs before every step of training and after the last, ``[STEPS + 1, 6, 2]``."""
    structure, params, others = nnx.split(network, nnx.Param, ...)
    scaled = networks.scaled_by_parametrization(network, optimizer)

    def step(carry, _):
        params, state = carry
        run = lambda params: nnx.merge(structure, params, others)  # noqa: E731
        gradient = jax.grad(lambda params: jnp.mean((run(params)(X) - Y) ** 2))(params)
        updates, state = scaled.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), run(params)(X)

    carry = params, scaled.init(params)
    return jax.lax.scan(step, carry, length=STEPS + 1)[1]


# One object, so that nothing is compiled twice.
SGD = optax.sgd(0.2)
# Without ε, which has a scale of its own, Adam does not see how large a gradient is.
ADAM = optax.adam(0.05, eps=0.0)


@cache
def trajectory(parametrization, optimizer=SGD, **settings):
    return np.asarray(outputs_along(make(parametrization, **settings), optimizer))


def times(power, by, exponent):
    """The power times another raised to an exponent."""
    fields = ("fan_in", "fan_out", "fan_avg")
    return Power(**{f: getattr(power, f) + exponent * getattr(by, f) for f in fields})


def shifted(parametrization, shifts, multiplier=1.0, init_var=-2.0, learning_rate=-2.0):
    """What a factor s does to each parameter: s in its multiplier, s^-2 in variance and rate."""

    def shift(scaling, s):
        return Scaling(
            init_var=times(scaling.init_var, s, init_var),
            multiplier=times(scaling.multiplier, s, multiplier),
            learning_rate=times(scaling.learning_rate, s, learning_rate),
        )

    kinds = {
        kind: Roles(*map(shift, getattr(parametrization, kind), shifts[kind]))
        for kind in ("weights", "biases")
    }
    return replace(parametrization, **kinds)


# Another power of the widths for every role of weights and of biases.
SHIFTS = {
    "weights": (Power(fan_out=0.5), Power(fan_in=-0.5, fan_avg=0.25), Power(fan_in=0.75)),
    "biases": (Power(fan_in=0.5), Power(fan_out=0.25), Power(fan_out=-1.0)),
}
UNMOVED = {kind: (Power(),) * 3 for kind in SHIFTS}
PARAMETERS = [(kind, role) for kind in SHIFTS for role in range(3)]


def only(kind, role):
    """The shift of one parameter alone."""
    roles = list(UNMOVED[kind])
    roles[role] = SHIFTS[kind][role]
    return {**UNMOVED, kind: tuple(roles)}


# Powers.


def test_powers_are_powers():
    assert Power()(7, 11) == 1
    assert Power(fan_in=-1)(8, 3) == 1 / 8
    assert Power(fan_out=2)(8, 3) == 9
    assert Power(fan_avg=-1)(8, 4) == 1 / 6
    mixed = Power(fan_in=0.5, fan_out=-1.5, fan_avg=2.0)
    np.testing.assert_allclose(mixed(9, 4), 3 / 8 * 6.5**2, rtol=1e-15)
    # The product of two is the power of the sums.
    both = times(mixed, Power(fan_in=1.0, fan_avg=-3.0), 2.0)
    np.testing.assert_allclose(both(9, 4), mixed(9, 4) * (9 * 6.5**-3) ** 2, rtol=1e-14)


def test_a_table_prints_what_it_says_and_not_what_it_leaves():
    halved = Scaling(multiplier=Power(fan_in=-0.5))
    assert repr(halved) == "Scaling(multiplier=Power(fan_in=-0.5))"
    assert eval(repr(halved)) == halved
    assert repr(Scaling()) == "Scaling()"


def test_equal_tables_are_equal_and_may_be_keys():
    again = Parametrization(Roles(*[Scaling(init_var=Power(fan_in=-1.0))] * 3))
    assert again == STANDARD
    assert hash(again) == hash(STANDARD)
    assert len({STANDARD, FAN_OUT, FAN_AVG, NTK, again}) == 4
    assert STANDARD.biases == UNSCALED


def test_each_parameter_has_the_scales_of_its_role():
    # Eighteen different powers; the parameters, divided by their deviations, are the same normals.
    def scalings(a, b):
        for i in range(3):
            powers = (Power(fan_in=a + i / 8, fan_out=b - j / 8) for j in range(3))
            yield Scaling(*powers)

    table = Parametrization(Roles(*scalings(-0.5, 0.25)), Roles(*scalings(0.125, 0.5)))
    units, network = make(NTK), make(table)
    optimizer = networks.scaled_by_parametrization(network, optax.sgd(1.0))
    params = nnx.state(network, nnx.Param)
    ones = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(ones, optimizer.init(params))
    roles = ("input", "hidden", "hidden", "output")
    shapes = ((3, 5), (5, 7), (7, 7), (7, 2))
    for index, (role, shape) in enumerate(zip(roles, shapes, strict=True)):
        layers, unit = network.layers[index], units.layers[index]
        for kind, parameter, var in (("weights", "kernel", 1.5), ("biases", "bias", 0.4)):
            scaling = getattr(getattr(table, kind), role)
            numbers = getattr(layers, parameter)[...]
            expected = np.sqrt(var * scaling.init_var(*shape)) * getattr(unit, parameter)[...]
            np.testing.assert_allclose(numbers, expected, rtol=1e-6)
            multiplier = getattr(layers, f"{parameter}_multiplier")[...]
            np.testing.assert_allclose(multiplier, scaling.multiplier(*shape), rtol=1e-6)
            update = updates["layers"][index][parameter]
            np.testing.assert_allclose(update[...], -scaling.learning_rate(*shape), rtol=1e-6)


# Which tables say the same.


def test_ntk_and_standard_are_the_same_function_at_initialization():
    # Of the same normal numbers: w = (σ_w/√n)·ξ there and (σ_w/√n)·(1·ξ) here.
    standard, ntk = (jax.jit(FullyConnected.preactivations)(make(p), X) for p in (STANDARD, NTK))
    for one, other in zip(standard, ntk, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_ntk_and_standard_have_the_same_distribution_at_initialization():
    # Of different normal numbers: second moments of every layer, each over 4000 networks.
    def measure(network):
        h = network.preactivations(X[:1])
        return passes.by_layer(lambda one: jnp.mean(one**2), h)

    def mean_and_error(parametrization, key):
        keys = jax.random.split(key, 4000)
        drawn = passes.measured(partial(make, parametrization), measure, keys, together=4000)
        drawn = np.asarray(drawn, float)
        return drawn.mean(0), drawn.std(0, ddof=1) / np.sqrt(4000)

    one, error = mean_and_error(STANDARD, jax.random.key(0))
    other, error_there = mean_and_error(NTK, jax.random.key(1))
    bound = 4.5 * np.hypot(error, error_there)
    assert np.all(np.abs(one - other) < bound)
    assert np.all(bound < 0.15 * one)  # fan_out for fan_in would make it 0.3 or more


def test_ntk_is_standard_with_rates_that_fall_with_the_fan_in():
    # σ_w = σ_b = 1: the powers alone. s = fan_in^(-1/2) and its rates made 1.
    rates = Scaling(init_var=Power(fan_in=-1), learning_rate=Power(fan_in=-1))
    slow = Parametrization(Roles(rates, rates, rates))
    variances = {"weight_var": 1.0, "bias_var": 1.0}
    ntk = trajectory(NTK, **variances)
    np.testing.assert_allclose(ntk, trajectory(slow, **variances), rtol=ROUNDING, atol=ROUNDING)
    # Standard learning rates are another training from the same start.
    standard = trajectory(STANDARD, **variances)
    np.testing.assert_allclose(ntk[0], standard[0], rtol=ROUNDING, atol=ROUNDING)
    assert np.max(np.abs(ntk - standard)) > 1000 * ROUNDING


@pytest.mark.parametrize("base", [STANDARD, NTK], ids=["standard", "ntk"])
def test_a_shift_changes_neither_function_nor_training(base):
    before, after = trajectory(base), trajectory(shifted(base, SHIFTS))
    np.testing.assert_allclose(after, before, rtol=ROUNDING, atol=ROUNDING)
    # There was something to change.
    assert np.max(np.abs(before[-1] - before[0])) > 1000 * ROUNDING


def test_with_adam_rates_shift_by_one_power():
    before = trajectory(STANDARD, ADAM)
    after = trajectory(shifted(STANDARD, SHIFTS, learning_rate=-1.0), ADAM)
    np.testing.assert_allclose(after, before, rtol=ROUNDING, atol=ROUNDING)
    wrong = trajectory(shifted(STANDARD, SHIFTS, learning_rate=0.0), ADAM)
    assert np.max(np.abs(wrong - before)) > 1000 * ROUNDING


@pytest.mark.parametrize(("kind", "role"), PARAMETERS)
def test_a_wrong_shift_shows(kind, role):
    before, shift = trajectory(STANDARD), only(kind, role)
    # Without the rate's share, training differs and the start does not.
    after = trajectory(shifted(STANDARD, shift, learning_rate=0.0))
    np.testing.assert_allclose(after[0], before[0], rtol=ROUNDING, atol=ROUNDING)
    assert np.max(np.abs(after - before)) > 1000 * ROUNDING
    # Without the variance's share, the start does.
    after = trajectory(shifted(STANDARD, shift, init_var=0.0, learning_rate=0.0))
    assert np.max(np.abs(after[0] - before[0])) > 1000 * ROUNDING


def test_the_training_loop_scales_rates_too():
    def loss_of_batch(network, batch, _key):
        return jnp.mean((network(batch[0]) - batch[1]) ** 2)

    found = training.train(
        lambda *_: make(shifted(STANDARD, SHIFTS)),
        loss_of_batch,
        lambda network, _: networks.scaled_by_parametrization(network, SGD),
        (X, Y),
        KEY[None],
        steps=STEPS,
    ).losses[0]
    expected = np.mean((trajectory(STANDARD)[:-1] - Y) ** 2, axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)
