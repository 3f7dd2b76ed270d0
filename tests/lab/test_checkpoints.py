"""A killed training, started again, ends with the same bits as one that was not killed."""

import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from widelimit import progress
from widelimit.lab import training
from widelimit.lab.checkpoints import Checkpoints, digest

STATE = {
    "odd/name .": np.float32([[0.1, np.nan, -0.0, np.inf]]),
    "count": (np.int32(7), np.zeros(2, bool)),
    "key": jax.random.split(jax.random.key(1), 2),
}
PROBLEM = {"steps": "30", "data": "abc"}


def bits(tree):
    leaves = [jax.random.key_data(x) if "key" in str(x.dtype) else x for x in jax.tree.leaves(tree)]
    return [(np.asarray(x).dtype, np.shape(x), np.asarray(x).tobytes()) for x in leaves]


def test_what_is_saved_is_restored_to_the_last_bit(tmp_path):
    first = Checkpoints(tmp_path / "new" / "folder", PROBLEM)
    assert first.step is None
    first.save(
        10, jax.tree.map(jnp.zeros_like, STATE) | {"key": jax.random.split(jax.random.key(0))}
    )
    first.save(20, STATE)
    assert first.step == 20
    again = Checkpoints(str(tmp_path / "new" / "folder"), PROBLEM)
    assert again.step == 20
    like = jax.tree.map(jnp.zeros_like, STATE) | {"key": jax.random.split(jax.random.key(0))}
    found = again.restore(like)
    assert bits(found) == bits(STATE) != bits(like)
    assert jax.tree.structure(found) == jax.tree.structure(STATE)
    found["odd/name ."][0, 0] = 1  # may be written to
    assert [name for name in os.listdir(tmp_path / "new" / "folder") if name.isdigit()] == ["20"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": "31"}, r"by steps \(there 30, here 31\); give another folder, or delete"),
        ({"steps": "9", "data": "x"}, r"by steps \(there 30, here 9\), data \(there abc, here x\)"),
        ({"more": "1"}, r"by more \(there None, here 1\)"),
    ],
)
def test_refuses_the_checkpoint_of_another_problem(changes, message, tmp_path):
    Checkpoints(tmp_path, PROBLEM).save(1, STATE)
    with pytest.raises(ValueError, match=message):
        Checkpoints(tmp_path, PROBLEM | changes)
    assert Checkpoints(tmp_path, PROBLEM).step == 1


def test_says_nothing(tmp_path, capfd):
    for _ in range(2):
        found = Checkpoints(tmp_path, PROBLEM)
        for step in range(3):
            found.save((found.step or 0) + step + 1, STATE)
        found.restore(STATE)
    assert capfd.readouterr() == ("", "")


def test_a_digest_differs_where_anything_does():
    tree = {"a": np.float32([0.0, 1.0]), "b": (jax.random.key(0), np.int32(3))}
    others = [
        {"a": np.float32([-0.0, 1.0]), "b": tree["b"]},
        {"a": np.float32([[0.0, 1.0]]), "b": tree["b"]},
        {"a": np.float32([0.0, 1.0]).view(np.int32), "b": tree["b"]},
        {"c": tree["a"], "b": tree["b"]},
        {"a": tree["a"], "b": (jax.random.key(1), np.int32(3))},
        {"a": tree["a"], "b": tree["b"][:1]},
    ]
    assert len({digest(one) for one in (tree, *others)}) == 7
    copied = jax.tree.map(jnp.array, tree)
    assert digest(copied) == digest(tree)
    assert digest(nnx.Linear(2, 1, rngs=nnx.Rngs(0))) == digest(nnx.Linear(2, 1, rngs=nnx.Rngs(0)))


KEYS = jax.random.split(jax.random.key(0), 2)


def train(folder, **changes):
    scale = changes.pop("scale", 1.0)
    arguments = {
        "data": np.arange(12, dtype=np.float32).reshape(6, 2) / 10,
        "keys": KEYS,
        "steps": 23,
        "settings": jnp.float32([0.01, 0.1]),
        "batch_size": 4,
        "chunk": 5,
        "evaluate": lambda model, rate: jnp.sum(model.kernel[...] ** 2) * scale,
        "make": lambda key, rate: nnx.Linear(2, 1, rngs=nnx.Rngs(key)),
        **changes,
    }
    positional = [arguments.pop(name) for name in ("make", "data", "keys")]
    make, data, keys = positional
    return training.train(
        make,
        lambda model, batch, key: jnp.mean((model(batch) - 1 - jax.random.normal(key)) ** 2),
        lambda model, rate: optax.adam(rate),
        data,
        keys,
        checkpoint=folder,
        **arguments,
    )


def everything(trained):
    states = [nnx.state(trained.model(run)) for run in range(len(trained.losses))]
    return bits((trained.losses, trained.evaluations, trained.diverged_at, trained._states, states))


def interrupt(chunks, folder, **changes):
    """Let a training take so many chunks, and then stop it."""

    def track(iterable, description):
        for done, item in enumerate(iterable):
            if done == chunks:
                raise KeyboardInterrupt
            yield item

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "track", track)
        with pytest.raises(KeyboardInterrupt):
            train(folder, **changes)


@pytest.mark.parametrize("each", [training._in_threads, training._in_one_batch])
def test_an_interrupted_training_resumes(each, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_each_run", lambda: each)
    expected = everything(train(None))
    for chunks in (0, 1, 3):  # of five, so that one is left
        interrupt(chunks, tmp_path)
    assert everything(train(tmp_path)) == expected
    # Once it has ended it is only read.
    monkeypatch.setattr(progress, "track", lambda left, _: [pytest.fail("a chunk") for _ in left])
    assert everything(train(tmp_path)) == expected


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The folder of a training that was stopped after one chunk."""
    folder = tmp_path_factory.mktemp("interrupted")
    interrupt(1, folder)
    return folder


def test_a_run_that_diverged_stays_so(tmp_path):
    rates = jnp.float32([0.01, np.inf])
    expected = train(None, settings=rates)
    np.testing.assert_array_equal(expected.diverged_at, [-1, 0])
    interrupt(2, tmp_path, settings=rates)
    assert everything(train(tmp_path, settings=rates)) == everything(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 24}, "steps"),
        ({"chunk": 6}, "chunk"),
        ({"batch_size": None}, r"batch_size \(there 4, here None\)"),
        ({"keys": KEYS[::-1]}, "keys"),
        ({"settings": jnp.float32([0.01, 0.2])}, "settings"),
        ({"data": np.ones((6, 2), np.float32)}, "data"),
        (
            {"make": lambda key, rate: nnx.Linear(2, 1, use_bias=False, rngs=nnx.Rngs(key))},
            "the networks made",
        ),
        ({"scale": 2.0}, "the first evaluation"),
    ],
)
def test_another_training_is_refused(changes, message, interrupted):
    with pytest.raises(ValueError, match=f"of another problem, by {message}"):
        train(interrupted, **changes)


# A training of its own process: 40 chunks, each of which saves some megabytes.
SCRIPT = """
import sys
import jax, jax.numpy as jnp, numpy as np, optax
from flax import nnx
from widelimit.lab.training import train

class Net(nnx.Module):
    def __init__(self, key):
        self.first = nnx.Linear(4, 1000, rngs=nnx.Rngs(key))
        self.second = nnx.Linear(1000, 300, rngs=nnx.Rngs(key))

    def __call__(self, x):
        return self.second(jnp.tanh(self.first(x)))

rng = np.random.default_rng(0)
data = rng.standard_normal((20, 4)), rng.standard_normal((20, 300))
trained = train(
    lambda key, rate: Net(key),
    lambda model, batch, key: jnp.mean((model(batch[0]) - batch[1]) ** 2),
    lambda model, rate: optax.adam(rate),
    data,
    jax.random.split(jax.random.key(0), 2),
    steps=80,
    settings=jnp.float32([0.001, 0.01]),
    batch_size=5,
    chunk=2,
    evaluate=lambda model, rate: jnp.sum(model.second.kernel[...] ** 2),
    checkpoint=sys.argv[2] if len(sys.argv) > 2 else None,
)
leaves = jax.tree.leaves(trained._states)
np.savez(sys.argv[1], trained.losses, trained.evaluations, *leaves)
"""


@pytest.fixture(scope="module")
def start(repo):
    """A function that starts the training in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(repo / "code"), "WIDELIMIT_PROGRESS": "0"}
    return lambda *words: subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, *map(str, words)],
        env=environment,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def uninterrupted(start, tmp_path_factory):
    """What it ends with."""
    out = tmp_path_factory.mktemp("uninterrupted") / "out.npz"
    assert finished(start(out)) == 0
    return arrays(out)


def finished(process):
    said = process.communicate(timeout=300)[1]
    assert said == b""
    return process.returncode


def arrays(path):
    with np.load(path) as found:
        return bits(dict(found))


def kill_when(process, happened):
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    assert finished(process) == -signal.SIGKILL


def saved(folder):
    return (
        {int(name) for name in os.listdir(folder) if name.isdigit()} if folder.exists() else set()
    )


def test_killed_after_a_checkpoint(start, uninterrupted, tmp_path):
    folder, out = tmp_path / "checkpoints", tmp_path / "out.npz"
    kill_when(start(out, folder), lambda: saved(folder))
    # And again, once it has come further.
    before = max(saved(folder))
    assert 0 < before < 70
    kill_when(start(out, folder), lambda: max(saved(folder), default=0) > before)
    assert before < max(saved(folder)) < 80
    assert finished(start(out, folder)) == 0
    assert arrays(out) == uninterrupted


def partial(folder):
    return [name for name in os.listdir(folder) if not name.isdigit()] if folder.exists() else []


def test_killed_while_saving(start, uninterrupted, tmp_path):
    folder, out = tmp_path / "checkpoints", tmp_path / "out.npz"
    for _ in range(20):
        kill_when(start(out, folder), lambda: saved(folder) and partial(folder))
        if partial(folder):  # it was not quicker than us
            break
        shutil.rmtree(folder)
    assert partial(folder)
    assert finished(start(out, folder)) == 0
    assert arrays(out) == uninterrupted
    assert max(saved(folder)) == 80
    assert len(saved(folder)) <= 2  # old versions of Orbax may forget one beside a kill
    assert not partial(folder)
