"""Linear training against matrix exponentials, steps taken one by one, and Gaussian posteriors."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.theory import dynamics, kernels, regression

TRAIN, TEST = 7, 4


def problem(outputs=(), seed=0):
    """Both kernels of a network, and targets."""
    generator = np.random.default_rng(seed)
    x = jnp.asarray(generator.normal(size=(TRAIN + TEST, 5)))
    pair = kernels.nngp_and_ntk(fully_connected(2, activations.get("erf"), 1.6, 0.2), x)
    grams = [dynamics.Gram(k[:TRAIN, :TRAIN], k[:TRAIN, TRAIN:], k[TRAIN:, TRAIN:]) for k in pair]
    return grams[1], grams[0], jnp.asarray(generator.normal(size=(TRAIN, *outputs)))


def ensemble_of(propagator, ntk, nngp, y):
    """From (1 − e^(−Θt)) on the training inputs, by inverses and products as they are written."""
    a = ntk.cross.T @ np.linalg.inv(ntk.train) @ propagator
    covariance = nngp.test + a @ nngp.train @ a.T - a @ nngp.cross - nngp.cross.T @ a.T
    return a @ y, covariance


@pytest.mark.parametrize("time", [0.0, 0.3, 5.0, 400.0])
@pytest.mark.parametrize("outputs", [(), (3,)])
def test_flow(time, outputs):
    ntk, nngp, y = problem(outputs)
    found = dynamics.of(ntk, nngp, y).flow(time)
    moved = np.eye(TRAIN) - scipy.linalg.expm(-np.asarray(ntk.train) * time)
    for one, other in zip(found, ensemble_of(moved, ntk, nngp, y), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11)


@pytest.mark.parametrize("share", [0.1, 0.9, 1.2])
def test_descent_step_by_step(share):
    """f on all inputs, and its covariance, through steps of gradient descent; also diverging."""
    ntk, nngp, y = problem()
    training = dynamics.of(ntk, nngp, y)
    rate, steps = share * training.critical_rate, 9
    columns = jnp.concatenate([ntk.train, ntk.cross.T])  # Θ between all inputs and the training's
    step = jnp.eye(TRAIN + TEST) - rate * jnp.pad(columns, [(0, 0), (0, TEST)])
    mean = jnp.zeros(TRAIN + TEST)
    covariance = jnp.block([[nngp.train, nngp.cross], [nngp.cross.T, nngp.test]])
    for _ in range(steps):
        mean = step @ mean + rate * columns @ y
        covariance = step @ covariance @ step.T
    found = training.descent(rate, steps)
    np.testing.assert_allclose(found.mean, mean[TRAIN:], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance[TRAIN:, TRAIN:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("share", [1e-4, 0.1, 0.5, 0.9, 1.2])
def test_one_network_step_by_step(share):
    """One model, from any start, at several times; also diverging, and with slow components."""
    ntk, nngp, y = problem()
    columns = jnp.concatenate([ntk.train, ntk.cross.T])
    rate = share * dynamics.of(ntk, nngp, y).critical_rate
    start = jnp.asarray(np.random.default_rng(3).normal(size=TRAIN + TEST))
    found = dynamics.trajectory(columns, start, y, rate, jnp.array([0, 1, 2, 30]))
    f, steps = start, {}
    for step in range(31):
        steps[step] = f
        f = f - rate * columns @ (f[:TRAIN] - y)
    expected = np.stack([steps[step] for step in (0, 1, 2, 30)])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_the_mean_of_many_starts_is_the_ensemble_s():
    """f is linear in f₀, so that the mean over draws is the path of the mean start, 0."""
    ntk, nngp, y = problem()
    training = dynamics.of(ntk, nngp, y)
    columns = jnp.concatenate([ntk.train, ntk.cross.T])
    rate = training.critical_rate / 3
    path = dynamics.trajectory(columns, jnp.zeros(TRAIN + TEST), y, rate, jnp.array([7]))
    np.testing.assert_allclose(path[0, TRAIN:], training.descent(rate, 7).mean, rtol=1e-10)


def test_a_repeated_input_does_not_disturb_one_network():
    ntk, _, y = problem()
    twice = jnp.block([[ntk.train, ntk.train], [ntk.train, ntk.train]])
    start = jnp.tile(jnp.arange(TRAIN, dtype=float), 2)
    rate, steps = 0.5 / float(jnp.linalg.eigvalsh(twice)[-1]), jnp.array([0, 5, 400])
    found = dynamics.trajectory(twice, start, jnp.tile(y, 2), rate, steps)
    single = dynamics.trajectory(ntk.train, start[:TRAIN], y, 2 * rate, steps)
    np.testing.assert_allclose(found[:, :TRAIN], single, rtol=1e-8, atol=1e-9)


TRAJECTORY = getattr(dynamics.trajectory, "__wrapped__", dynamics.trajectory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": jnp.eye(TRAIN + 1)}, "columns, start and y"),
        ({"y": jnp.zeros((TRAIN, 1))}, "columns, start and y"),
        ({"rate": -0.3}, "rate=-0.3"),
        ({"rate": float("nan")}, "rate=nan"),
        ({"steps": jnp.array([2, -3])}, "steps="),
    ],
)
def test_refused_by_one_network(change, message):
    good = {
        "columns": jnp.eye(TRAIN + 1, TRAIN),
        "start": jnp.ones(TRAIN + 1),
        "y": jnp.zeros(TRAIN),
        "rate": 0.3,
        "steps": jnp.array([0, 1]),
    }
    with pytest.raises(ValueError, match=message):
        TRAJECTORY(**(good | change))


def test_many_steps():
    """More than an int32 holds, without x64 as with it."""
    ntk, nngp, y = problem()
    training = dynamics.of(ntk, nngp, y)
    late = training.descent(training.critical_rate / 2, 2**40)
    np.testing.assert_allclose(late.mean, training.flow(float("inf")).mean, rtol=1e-9)


def test_small_steps_follow_the_flow():
    ntk, nngp, y = problem()
    training = dynamics.of(ntk, nngp, y)
    gaps = [
        float(jnp.max(jnp.abs(training.descent(2.0 / n, n).mean - training.flow(2.0).mean)))
        for n in (200, 400)
    ]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.02)


def test_training_the_last_layer_alone_is_conditioning():
    """Then Θ = K, and the ensemble ends as the posterior without noise."""
    _, nngp, y = problem()
    found = dynamics.of(nngp, nngp, y).flow(float("inf"))
    posterior = regression.condition(nngp.train, nngp.cross, nngp.test, y, 0.0)
    np.testing.assert_allclose(found.mean, posterior.mean, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, posterior.covariance, atol=1e-10)


def test_training_all_layers_is_not():
    ntk, nngp, y = problem()
    found = dynamics.of(ntk, nngp, y).flow(float("inf"))
    posterior = regression.condition(nngp.train, nngp.cross, nngp.test, y, 0.0)
    excess = np.diag(found.covariance) - np.diag(posterior.covariance)
    assert np.all(excess > 0.01 * np.diag(posterior.covariance))


def test_on_the_training_inputs_it_begins_with_the_prior_and_ends_with_the_targets():
    ntk, nngp, y = problem()
    training = dynamics.of(*(dynamics.Gram(g.train, g.train, g.train) for g in (ntk, nngp)), y)
    start, end = training.flow(0.0), training.flow(float("inf"))
    np.testing.assert_allclose(start.mean, 0, atol=1e-14)
    np.testing.assert_allclose(start.covariance, nngp.train, atol=1e-12)
    np.testing.assert_allclose(end.mean, y, rtol=1e-9)
    np.testing.assert_allclose(end.covariance, 0, atol=1e-9)


def test_the_critical_rate():
    ntk, nngp, y = problem()
    training = dynamics.of(ntk, nngp, y)
    assert training.critical_rate == pytest.approx(2 / np.linalg.eigvalsh(ntk.train)[-1], rel=1e-12)
    gap = lambda rate, steps: float(  # noqa: E731
        jnp.max(jnp.abs(training.descent(rate, steps).mean - training.flow(float("inf")).mean))
    )
    below, above = 0.99 * training.critical_rate, 1.01 * training.critical_rate
    assert gap(above, 2000) > 1e6 > gap(above, 10)
    assert gap(below, 2000) < gap(below, 10)


def test_repeated_inputs_train_but_not_for_ever():
    ntk, nngp, y = problem()
    twice = lambda g: dynamics.Gram(  # noqa: E731
        jnp.block([[g.train, g.train], [g.train, g.train]]), jnp.tile(g.cross, (2, 1)), g.test
    )
    training = dynamics.of(twice(ntk), twice(nngp), jnp.tile(y, 2))
    single = dynamics.of(ntk, nngp, y)
    np.testing.assert_allclose(training.flow(1.0).mean, single.flow(2.0).mean, rtol=1e-9)
    with pytest.raises(ValueError, match="time=inf: the smallest eigenvalue"):
        training.flow(float("inf"))


def test_refused():
    ntk, nngp, y = problem()
    training = dynamics.of(ntk, nngp, y)
    with pytest.raises(ValueError, match="time=-1"):
        training.flow(-1.0)
    with pytest.raises(ValueError, match="rate=0"):
        training.descent(0.0, 3)
    descent = type(training).descent
    for steps in (-2, True, 1.5):
        with pytest.raises(ValueError, match="steps="):
            getattr(descent, "__wrapped__", descent)(training, 0.1, steps)
    with pytest.raises(ValueError, match="nngp has blocks"):
        dynamics.of(ntk, nngp._replace(cross=nngp.cross[:, :2]), y)
    with pytest.raises(ValueError, match="ntk has blocks"):
        dynamics.of(ntk, nngp, y[:-1])
    with pytest.raises(ValueError, match="not symmetric"):
        dynamics.of(ntk._replace(train=ntk.train.at[0, 1].add(1.0)), nngp, y)
    with pytest.raises(ValueError, match="eigenvalue"):
        dynamics.of(ntk._replace(train=-ntk.train), nngp, y)
