"""The compiled loop does what a loop written by hand does, for every run, in every chunking."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from widelimit import progress
from widelimit.lab import training
from widelimit.lab.training import train

# Twenty float32 steps in another order of operations: about a hundred roundings of 2^-24.
ROUNDING = 1e-5
STRATEGIES = {"threads": training._in_threads, "one batch": training._in_one_batch}
RATES = jnp.asarray([0.02, 0.1, 0.05])
KEYS = jax.random.split(jax.random.key(3), 3)
X = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
DATA = {"x": X, "y": np.sin(X[:, :1])}


@pytest.fixture(params=STRATEGIES)
def strategy(request, monkeypatch):
    """Both ways of going through the runs, whichever this machine would choose."""
    monkeypatch.setattr(training, "_each_run", lambda: STRATEGIES[request.param])
    return request.param


class Net(nnx.Module):
    """A small network with something that is not trained."""

    def __init__(self, key, scale):
        kernels = jax.random.normal(key, (4, 8), jnp.float32)  # at once: drawing is slow to compile
        self.hidden = nnx.Param(kernels[:3])
        self.bias = nnx.Param(jnp.zeros((1, 8)))
        self.output = nnx.Param(kernels[3:].T / 3)
        self.scale = nnx.Variable(scale)

    def __call__(self, x):
        h = jnp.tanh(x @ self.hidden[...] + self.bias[...])
        return self.scale[...] * (h @ self.output[...])


class Numbers(nnx.Module):
    """A vector, to be trained."""

    def __init__(self, values):
        self.w = nnx.Param(jnp.asarray(values, jnp.float32))


def make(key, rate):
    return Net(key, jnp.float32(1.5))


def loss(model, batch, key):
    return jnp.mean((model(batch["x"]) - batch["y"]) ** 2)


def sgd(model, rate):
    return optax.sgd(rate)


OPTIMIZERS = {
    "sgd": sgd,
    "momentum": lambda model, rate: optax.sgd(rate, momentum=0.9, nesterov=True),
    "adam": lambda model, rate: optax.adam(rate),
    "schedule": lambda model, rate: optax.adamw(optax.cosine_decay_schedule(0.1, 20)),
    "clipped": lambda model, rate: optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(rate)),
}


def small(steps=20, **changes):
    arguments = {"optimizer": sgd, "settings": RATES, "batch_size": 16, "chunk": 8, **changes}
    optimizer, keys = arguments.pop("optimizer"), arguments.pop("keys", KEYS)
    return train(make, loss, optimizer, DATA, keys, steps=steps, **arguments)


def params(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]


def assert_same_bits(a, b):
    for run in range(len(a.losses)):
        np.testing.assert_array_equal(a.losses[run], b.losses[run])
        for one, other in zip(params(a.model(run)), params(b.model(run)), strict=True):
            np.testing.assert_array_equal(one, other)


def by_hand(key, rate, optimizer, batch_size, steps=20):
    """Plain Python: a network of Flax, an optimizer of Flax around that of Optax."""
    make_key, order_key, loss_key = jax.random.split(key, 3)
    model = make(make_key, rate)
    outer = nnx.Optimizer(model, optimizer(model, rate), wrt=nnx.Param)
    losses, left, epoch = [], [], 0
    for step in range(steps):
        indices = np.arange(50)
        if batch_size is not None:
            if len(left) < batch_size:
                left = jax.random.permutation(jax.random.fold_in(order_key, epoch), 50)
                epoch += 1
            indices, left = left[:batch_size], left[batch_size:]
        batch = {name: leaf[np.asarray(indices)] for name, leaf in DATA.items()}
        value, gradient = nnx.value_and_grad(loss)(model, batch, jax.random.fold_in(loss_key, step))
        outer.update(model, gradient)
        losses.append(float(value))
    return np.array(losses), model


@pytest.mark.parametrize(
    ("name", "batch_size"), [*((name, 16) for name in OPTIMIZERS), ("adam", None)]
)
def test_agrees_with_a_loop_by_hand(name, batch_size):
    trained = small(optimizer=OPTIMIZERS[name], batch_size=batch_size)
    assert trained.losses.shape == (3, 20)
    np.testing.assert_array_equal(trained.diverged_at, -1)
    run = 1
    losses, model = by_hand(KEYS[run], RATES[run], OPTIMIZERS[name], batch_size)
    np.testing.assert_allclose(trained.losses[run], losses, rtol=ROUNDING, atol=ROUNDING)
    for found, expected in zip(params(trained.model(run)), params(model), strict=True):
        np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)
    assert losses[-5:].mean() < losses[:5].mean()


def test_an_optimizer_reads_the_network():
    # A rate for each parameter, from what the network holds beside them.
    def scaled(model, rate):
        scales = jax.tree.map(lambda leaf: model.scale[...] * rate, nnx.state(model, nnx.Param))
        times = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, scales))
        return optax.chain(optax.sgd(1.0), times)

    plain = small(settings=1.5 * RATES)
    np.testing.assert_allclose(small(optimizer=scaled).losses, plain.losses, rtol=ROUNDING)


CURVATURES = jnp.asarray([1.0, 0.5, 0.1])


def quadratic(model, batch, key):
    return jnp.sum(CURVATURES * (model.w[...] * 0.5) * model.w[...])


def descend(optimizer, settings, steps, start=(1.0, 1.0, 1.0), quadratic=quadratic, **changes):
    keys = jax.random.split(jax.random.key(0), len(settings))
    return train(
        lambda key, setting: Numbers(start),
        quadratic,
        optimizer,
        jnp.zeros(1),
        keys,
        steps=steps,
        settings=jnp.asarray(settings),
        **changes,
    )


def test_gradient_descent_on_a_quadratic(strategy):
    rates = np.array([0.1, 0.4, 1.6])
    trained = descend(sgd, rates, 20)
    w = (1 - rates[:, None, None] * np.asarray(CURVATURES)) ** np.arange(21)[:, None]
    expected = 0.5 * np.sum(np.asarray(CURVATURES) * w[:, :20] ** 2, axis=-1)
    # A step rounds ηλw three times and w once; at ηλ = 0.8 that is 13 roundings of what is left.
    rounding = 20 * 13 * 2**-24
    np.testing.assert_allclose(trained.losses, expected, rtol=2 * rounding)
    for run in range(3):
        np.testing.assert_allclose(trained.model(run).w[...], w[run, 20], rtol=rounding)


def test_momentum_on_a_quadratic(strategy):
    # (w, v) moves by a matrix: v′ = βv + λw, w′ = w − ηv′.
    rates, beta, steps = np.array([0.05, 0.3]), 0.5, 20
    trained = descend(lambda model, rate: optax.sgd(rate, momentum=beta), rates, steps)
    for run, rate in enumerate(rates):
        for i, curvature in enumerate(np.asarray(CURVATURES, float)):
            matrix = np.array([[1 - rate * curvature, -rate * beta], [curvature, beta]])
            expected = (np.linalg.matrix_power(matrix, steps) @ [1.0, 0.0])[0]
            # Each step rounds w and v a few times, both at most 2 in size.
            np.testing.assert_allclose(trained.model(run).w[i], expected, atol=8 * steps * 2**-24)


@pytest.mark.parametrize("x64", [False, True])
def test_an_optimizer_that_searches_along_a_line(x64, assert_float32):
    jax.config.update("jax_enable_x64", x64)
    # On a quadratic of three variables, LBFGS gets within rounding in few steps.
    trained = descend(lambda model, rate: optax.lbfgs(), [1.0], 12)
    assert_float32((trained.losses, trained._states))  # it starts from float64, where that is on
    assert float(trained.losses[0, -1]) < 1e-10
    assert float(descend(sgd, [1.0], 12).losses[0, -1]) > 1e-3


def test_runs_diverge_alone_and_where_they_must(strategy):
    # At rate 3 and curvature 1, w = (−2)^t exactly, and (w/2)w first overflows at 2^(2·65−1).
    one = lambda model, batch, key: (0.5 * model.w[0]) * model.w[0]  # noqa: E731
    evaluate = lambda model, rate: {"w": model.w[0]}  # noqa: E731
    trained = descend(
        sgd, [0.5, 3.0, 1.0], 80, quadratic=one, evaluate=evaluate, chunk=10, start=(1.0,)
    )
    np.testing.assert_array_equal(trained.diverged_at, [-1, 65, -1])
    np.testing.assert_array_equal(trained.losses[1, :65], 2.0 ** (2 * np.arange(65) - 1))
    assert bool(jnp.isposinf(trained.losses[1, 65]))  # as it was
    assert bool(jnp.all(jnp.isnan(trained.losses[1, 66:])))
    assert float(trained.model(1).w[0]) == -(2.0**65)
    alive = trained.evaluated_at <= 65
    np.testing.assert_array_equal(
        trained.evaluations["w"][1], np.where(alive, (-2.0) ** trained.evaluated_at, np.nan)
    )
    # The others go on, exactly, until float32 has no smaller numbers.
    np.testing.assert_array_equal(trained.losses[0, :60], 2.0 ** -(2 * np.arange(60) + 1))
    np.testing.assert_array_equal(trained.losses[2, 1:], 0)


def test_a_finite_loss_with_an_infinite_gradient_is_a_divergence(strategy):
    root = lambda model, batch, key: jnp.sqrt(model.w[0])  # noqa: E731
    trained = descend(sgd, [0.1], 5, quadratic=root, start=(0.0, 7.0))
    assert trained.diverged_at[0] == 0
    np.testing.assert_array_equal(trained.losses[0], [0, *[np.nan] * 4])
    np.testing.assert_array_equal(trained.model(0).w[...], [0, 7])


def test_stops_once_all_have_diverged(strategy, monkeypatch):
    seen = []

    def track(iterable, description):
        for item in iterable:
            seen.append(item)
            yield item

    monkeypatch.setattr(progress, "track", track)
    trained = descend(sgd, [3.0, 5.0], 1000, chunk=10, start=(1.0, 0.0, 0.0))
    assert trained.losses.shape == (2, 1000)
    assert bool(jnp.all(jnp.isnan(trained.losses[:, 70:])))
    assert max(seen) == 70  # where it looks, and stops


def test_a_run_does_not_depend_on_the_others(monkeypatch):
    monkeypatch.setattr(training, "_each_run", lambda: training._in_threads)
    together = small()
    alone = small(keys=KEYS[1:2], settings=RATES[1:2])
    np.testing.assert_array_equal(alone.losses[0], together.losses[1])
    for one, other in zip(params(alone.model(0)), params(together.model(1)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(np.unique(np.asarray(together.losses))) == 60


def test_a_run_in_one_batch_is_that_in_a_thread(monkeypatch):
    trained = {}
    for name, each in STRATEGIES.items():
        monkeypatch.setattr(training, "_each_run", lambda each=each: each)
        trained[name] = small()
    np.testing.assert_allclose(*(one.losses for one in trained.values()), rtol=ROUNDING)


def test_accelerators_batch_and_processors_thread(monkeypatch):
    for backend, name in (("cpu", "threads"), ("gpu", "one batch"), ("tpu", "one batch")):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        assert training._each_run() is STRATEGIES[name]


def test_one_compilation_serves_all_runs(strategy):
    def traced(runs):
        count = []

        def counting(model, batch, key):
            count.append(1)
            return loss(model, batch, key)

        keys = jax.random.split(KEYS[0], runs)
        train(make, counting, lambda model, _: optax.sgd(0.1), DATA, keys, steps=20, chunk=5)
        return len(count)

    assert traced(1) == traced(4)


def test_the_chunk_does_not_change_the_trajectory(strategy):
    whole = small(chunk=1000)
    for chunk in (1, 7):
        assert_same_bits(small(chunk=chunk), whole)


def batches(batch_size, steps, chunk=100, examples=10):
    """Which examples each batch holds: the loss is the number whose bits are set."""
    trained = train(
        lambda key, _: Numbers([0.0]),
        lambda model, batch, key: jnp.sum(batch) + 0 * model.w[0],
        lambda model, _: optax.sgd(0.1),
        2 ** jnp.arange(examples),
        KEYS,
        steps=steps,
        batch_size=batch_size,
        chunk=chunk,
    )
    bits = np.asarray(trained.losses, int)[..., None] >> np.arange(examples) & 1
    np.testing.assert_array_equal(bits.sum(-1), batch_size or examples)
    return bits


@pytest.mark.parametrize(("batch_size", "chunk"), [(1, 100), (3, 1), (3, 4), (5, 7), (10, 3)])
def test_every_epoch_is_a_new_order_without_repetition(batch_size, chunk):
    per_epoch, epochs = 10 // batch_size, 6
    bits = batches(batch_size, epochs * per_epoch, chunk)
    shown = bits.reshape(3, epochs, per_epoch, 10)
    # No example twice in an epoch; those left over sit out.
    assert shown.sum(2).max() == 1
    np.testing.assert_array_equal(shown.sum((2, 3)), per_epoch * batch_size)
    if batch_size < 10:
        assert len(np.unique(shown.reshape(18, -1), axis=0)) == 18


def test_the_whole_data_by_default():
    np.testing.assert_array_equal(batches(None, 4), 1)


def test_keys_of_the_loss_are_new_at_each_step(strategy):
    def drawn(chunk):
        return train(
            lambda key, _: Numbers([0.0]),
            lambda model, batch, key: jax.random.uniform(key) + 0 * model.w[0],
            lambda model, _: optax.sgd(0.1),
            jnp.zeros(1),
            KEYS,
            steps=50,
            chunk=chunk,
        ).losses

    assert len(np.unique(drawn(50))) == 150
    np.testing.assert_array_equal(drawn(50), drawn(8))


def test_the_loss_may_change_what_is_not_trained(strategy):
    class Counting(Numbers):
        def __init__(self):
            super().__init__([1.0])
            self.calls = nnx.Variable(jnp.int32(0))
            self.rngs = nnx.Rngs(noise=5)  # a key, and how often it was asked

    def counted(model, batch, key):
        model.calls[...] += 1
        return model.w[0] ** 2 + jax.random.uniform(model.rngs.noise())

    optimizer = lambda model, rate: optax.sgd(rate)  # noqa: E731
    rates = jnp.asarray([0.1, 1e30])
    trained = train(
        lambda key, rate: Counting(),
        counted,
        optimizer,
        jnp.zeros(1),
        KEYS[:2],
        steps=7,
        chunk=3,
        settings=rates,
    )
    assert int(trained.model(0).calls[...]) == 7
    noise = nnx.Rngs(noise=5)
    w = 0.8 ** np.arange(7)
    expected = w**2 + [float(jax.random.uniform(noise.noise())) for _ in w]
    np.testing.assert_allclose(trained.losses[0], expected, rtol=ROUNDING)
    assert int(trained.model(0).rngs.noise.count[...]) == 7
    # Frozen with the run: w = 1, then −2e30, whose square overflows.
    assert int(trained.diverged_at[1]) == 1
    assert int(trained.model(1).calls[...]) == 1


def test_shared_parameters_stay_shared():
    class Tied(nnx.Module):
        def __init__(self):
            self.a = nnx.Param(jnp.ones(()))
            self.b = self.a

    trained = train(
        lambda key, _: Tied(),
        lambda model, batch, key: model.a[...] * model.b[...],
        lambda model, _: optax.sgd(0.25),
        jnp.zeros(1),
        KEYS[:1],
        steps=1,
    )
    model = trained.model(0)
    assert float(model.a[...]) == 0.5  # one parameter, whose gradient is 2
    assert model.a is model.b


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_stays_float32_where_theory_is_64_bit(name, assert_float32):
    before = small(optimizer=OPTIMIZERS[name])
    assert_float32((before.losses, before._states))
    jax.config.update("jax_enable_x64", True)
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, float), DATA)
    trained = train(
        lambda key, rate: Net(key, jnp.asarray(1.5)),  # float64 now
        loss,
        OPTIMIZERS[name],
        wide,
        KEYS,
        steps=20,
        settings=np.asarray(RATES, float),
        batch_size=16,
        evaluate=lambda model, rate: {"rate": rate, "norm": jnp.sum(model.output[...] ** 2)},
    )
    for tree in (trained.losses, trained.evaluations, trained._states, nnx.state(trained.model(0))):
        assert_float32(tree)
    np.testing.assert_allclose(trained.losses, before.losses, rtol=ROUNDING, atol=ROUNDING)


def test_evaluates_before_between_and_after(strategy):
    def evaluate(model, rate):
        return {"loss": loss(model, DATA, None), "rate": rate, "outputs": model(DATA["x"][:4])}

    trained = small(evaluate=evaluate)
    np.testing.assert_array_equal(trained.evaluated_at, [0, 8, 16, 20])
    assert {name: found.shape for name, found in trained.evaluations.items()} == {
        "loss": (3, 4),
        "rate": (3, 4),
        "outputs": (3, 4, 4, 1),
    }
    np.testing.assert_array_equal(trained.evaluations["rate"], np.tile(RATES[:, None], 4))
    for point, stopped in ((0, small(steps=0)), (1, small(steps=8)), (3, trained)):
        for run in range(3):
            expected = evaluate(stopped.model(run), RATES[run])
            for name in ("loss", "outputs"):
                found = trained.evaluations[name][run, point]
                np.testing.assert_allclose(found, expected[name], rtol=ROUNDING, atol=ROUNDING)


def test_nothing_to_evaluate_and_nothing_to_do():
    trained = small(steps=0)
    assert trained.losses.shape == (3, 0)
    assert trained.evaluations == {}
    np.testing.assert_array_equal(trained.evaluated_at, [0])
    for run in range(3):
        made = make(jax.random.split(KEYS[run], 3)[0], RATES[run])
        for one, other in zip(params(trained.model(run)), params(made), strict=True):
            np.testing.assert_allclose(one, other, rtol=ROUNDING)


def test_settings_are_a_tree_that_reaches_all_functions():
    settings = {"rate": RATES, "scale": jnp.asarray([1.0, 2.0, 3.0])}
    trained = train(
        lambda key, setting: Net(key, setting["scale"]),
        loss,
        lambda model, setting: optax.sgd(setting["rate"]),
        DATA,
        KEYS,
        steps=10,
        settings=settings,
        evaluate=lambda model, setting: model.scale[...] - setting["scale"],
    )
    np.testing.assert_array_equal(trained.evaluations, 0)
    assert [float(trained.model(run).scale[...]) for run in range(3)] == [1, 2, 3]


def test_models_by_number():
    trained = small()
    for one, other in zip(params(trained.model(-1)), params(trained.model(2)), strict=True):
        np.testing.assert_array_equal(one, other)
    for run in (3, -4):
        with pytest.raises(IndexError):
            trained.model(run)
    assert len(repr(trained)) < 2000  # no parameters


def test_shows_its_progress(monkeypatch, capsys):
    monkeypatch.setenv("WIDELIMIT_PROGRESS", "1")
    monkeypatch.setattr(progress, "DELAY", 0)
    small(description="a sweep of rates")
    assert "a sweep of rates" in capsys.readouterr().err
    monkeypatch.setenv("WIDELIMIT_PROGRESS", "0")
    small()
    assert capsys.readouterr().err == ""


def test_a_failing_function_is_heard(strategy):
    with pytest.raises(ZeroDivisionError):
        small(evaluate=lambda model, rate: 1 / 0)


def test_a_plain_attribute_may_not_depend_on_a_setting(strategy):
    class Plain(Net):
        def __init__(self, key, rate):
            super().__init__(key, 1.5)
            self.rate = rate

    try:
        found = train(Plain, loss, sgd, DATA, KEYS, steps=5, settings=RATES).losses
    except ValueError as error:
        assert "keep an array in an nnx.Variable" in str(error)  # noqa: PT017
    else:  # Flax 0.11 sees that it is an array
        expected = train(make, loss, sgd, DATA, KEYS, steps=5, settings=RATES).losses
        np.testing.assert_array_equal(found, expected)


# Below the annotations, which refuse some of this too where they are checked.
unchecked = getattr(train, "__wrapped__", train)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": KEYS[0]}, r"keys has shape \(\)"),
        ({"keys": KEYS[:0]}, r"keys has shape \(0,\)"),
        ({"keys": KEYS[:2]}, "settings has 3 rows for 2 keys"),
        ({"settings": jnp.float32(0.1)}, r"settings has shapes \[\(\)\]; give arrays"),
        ({"settings": (RATES, RATES[:2])}, r"settings has shapes \[\(3,\), \(2,\)\]"),
        ({"data": {"x": X, "y": X[:7]}}, r"data has shapes \[\(50, 3\), \(7, 3\)\]"),
        ({"data": {}}, r"data has shapes \[\]"),
        ({"data": X[:0]}, r"data has shapes \[\(0, 3\)\]"),
        ({"batch_size": 0}, "batch_size=0 of 50 examples; take 1 to 50"),
        ({"batch_size": 51}, "batch_size=51 of 50 examples"),
        ({"steps": -1}, "steps=-1, chunk=100"),
        ({"chunk": 0}, "steps=5, chunk=0"),
    ],
)
def test_refuses(changes, message):
    arguments = {"data": DATA, "keys": KEYS, "settings": RATES, "steps": 5, **changes}
    data, keys = arguments.pop("data"), arguments.pop("keys")
    with pytest.raises(ValueError, match=message):
        unchecked(make, loss, sgd, data, keys, **arguments)


def test_orbax_is_imported_by_those_who_save(repo):
    code = "import sys, widelimit.lab.training as t; sys.exit('orbax' in sys.modules)"
    environment = {"PYTHONPATH": str(repo / "code")}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
