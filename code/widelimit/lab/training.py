"""Gradient training of many networks at once: one compiled loop, in chunks of steps.

A *run* is one network with its random key and its setting, such as a learning rate. All runs are
compiled together, once. On a CPU they then go side by side in threads, one a core; on an
accelerator they are one batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, Key, PyTree

from widelimit import progress
from widelimit.lab.checkpoints import Checkpoints, digest


class _State(NamedTuple):
    """Where one run is, or all of them, along a leading axis. The first field has no arrays."""

    structure: nnx.GraphDef
    params: nnx.State
    others: nnx.State
    optimizer: Any
    diverged_at: Any

    def model(self) -> nnx.Module:
        # Copied, since its variables may be assigned to where it is made and nowhere else.
        return nnx.merge(self.structure, self.params, self.others, copy=True)


@dataclass(frozen=True, eq=False)
class Trained:
    """What became of the runs.

    Args:
      losses: loss on the batch of each step, before its update; NaN after a divergence. Shape
        ``[runs, steps]``.
      evaluations: what ``evaluate`` returned, each array with leading axes ``[runs, points]``; NaN
        after a divergence.
      evaluated_at: how many steps had been taken at each point, shape ``[points]``.
      diverged_at: the step at which a run diverged, counted from 0, or -1. Shape ``[runs]``.
    """

    losses: Float[Array, "runs steps"]
    evaluations: PyTree
    evaluated_at: Int[Array, " points"]
    diverged_at: Int[Array, " runs"]
    _states: _State = field(repr=False)

    def model(self, run: int) -> nnx.Module:
        """The network of one run, trained.

        Args:
          run: its number.

        Returns:
          The network after the last step, or as it was before the step at which it diverged.

        Raises:
          IndexError: there is no such run.
        """
        chosen = range(len(self.diverged_at))[run]
        return jax.tree.map(lambda leaf: jnp.asarray(leaf[chosen]), self._states).model()


def train(
    make: Callable[[Key[Array, ""], Any], nnx.Module],
    loss: Callable[[nnx.Module, Any, Key[Array, ""]], Float[Array, ""]],
    optimizer: Callable[[nnx.Module, Any], optax.GradientTransformation],
    data: PyTree,
    keys: Key[Array, " runs"],
    *,
    steps: int,
    settings: PyTree = None,
    batch_size: int | None = None,
    chunk: int = 100,
    evaluate: Callable[[nnx.Module, Any], PyTree] | None = None,
    checkpoint: str | os.PathLike | None = None,
    description: str = "training",
) -> Trained:
    """Train one network for each key, all for the same number of steps.

    Everything is float32, also where 64-bit mode is on: floating data, settings, parameters and
    optimizer states are cast. A run diverges at the step whose loss, or whose updated parameters,
    are not finite: it stays as it was before that step, and the others go on. Once all runs have
    diverged training stops.

    The functions are traced, so a setting is an array without a value there. A network keeps what
    it computes from one in an ``nnx.Variable``, not in a plain attribute.

    Args:
      make: from a key and a setting to a network. Its ``nnx.Param`` are trained. Its other
        variables are not, but the loss may change them, as batch normalization does.
      loss: from a network, a batch and a key, for dropout, to the number to be minimized.
      optimizer: from a network and a setting to an Optax optimizer of ``nnx.state(network,
        nnx.Param)``. It may read the structure of the network and what is not trained.
      data: a tree of arrays with one leading axis, the examples.
      keys: one for each run. Nothing else of a run is random.
      steps: number of updates; with 0 the networks are returned as they were made.
      settings: a tree of arrays with one leading axis, the runs; None where runs differ by their
        keys alone.
      batch_size: examples in a batch. Every epoch is a new random order of the examples, cut into
        batches; what is left over when the batch size does not divide their number sits out that
        epoch. By default the batch is all of the data, in order.
      chunk: steps between two evaluations, checkpoints and moves of the progress bar.
      evaluate: from a network and a setting to a number, or a tree of arrays, measured before the
        first step, after each chunk, and after the last step.
      checkpoint: a folder that receives the state after each chunk, and from which a training that
        was killed resumes. On the same CPU it ends with the same bits as if it had not been; on an
        accelerator, where that computes the same bits twice. Saving takes about 0.1 s, for large
        networks more: let a chunk take some seconds.
      description: a few words, shown before the progress bar.

    Returns:
      Losses, evaluations and networks of all runs. On one CPU a run ends with the same bits at
      every call, with whichever other runs and in whichever chunks; on an accelerator they may
      differ by rounding.

    Raises:
      ValueError: counts out of range, leading axes that do not agree, or a checkpoint folder of
        another problem. The functions cannot be compared, except by the networks they make and
        the first evaluation: delete the folder after changing one.

    Example:
      >>> def make(key, rate):
      ...     return nnx.Linear(2, 1, rngs=nnx.Rngs(key))
      >>> def loss(model, batch, key):
      ...     return jnp.mean((model(batch) - 1) ** 2)
      >>> def optimizer(model, rate):
      ...     return optax.sgd(rate)
      >>> keys, rates = jax.random.split(jax.random.key(0), 2), jnp.array([0.1, 0.2])
      >>> trained = train(make, loss, optimizer, jnp.eye(2), keys, steps=50, settings=rates)
      >>> trained.losses.shape
      (2, 50)
    """
    settings, data = jax.tree.map(_float32, (settings, data))
    settings = jax.tree.map(np.asarray, settings)
    runs, examples = keys.size, _rows("data", data)
    if keys.ndim != 1 or runs < 1:
        raise ValueError(f"keys has shape {keys.shape}; give one key for each run, so [runs]")
    if settings is not None and _rows("settings", settings) != runs:
        raise ValueError(
            f"settings has {_rows('settings', settings)} rows for {runs} keys; give one for each"
        )
    if batch_size is not None and not 1 <= batch_size <= examples:
        raise ValueError(f"batch_size={batch_size} of {examples} examples; take 1 to {examples}")
    if steps < 0 or chunk < 1:
        raise ValueError(f"steps={steps}, chunk={chunk}; steps are at least 0 and a chunk 1")

    chunk = min(chunk, max(steps, 1))
    run = _Run(make, loss, optimizer, evaluate, batch_size, steps, chunk)
    each = _each_run()
    start, advance, measure = each(run.start), each(run.advance), each(run.measure)

    state = start((keys, settings))
    measured = measure((settings, state))
    evaluated_at = np.append(np.arange(0, steps, chunk), steps).astype(np.int32)
    losses = np.full((runs, steps), np.nan, np.float32)
    evaluations = jax.tree.map(
        lambda leaf: np.full((runs, len(evaluated_at), *leaf.shape[1:]), np.nan, np.float32),
        measured,
    )
    _record(evaluations, 0, measured)

    done, saved = 0, None
    if checkpoint is not None:
        problem = {
            "steps": str(steps),
            "chunk": str(chunk),
            "batch_size": str(batch_size),
            "keys": digest(keys),
            "settings": digest(settings),
            "data": digest(data),
            "the networks made": digest(state),
            "the first evaluation": digest(measured),
        }
        saved = Checkpoints(checkpoint, problem)
        if saved.step is not None:
            done = saved.step
            state, losses, evaluations = saved.restore((state, losses, evaluations))

    for first in progress.track(range(done, steps, chunk), description):
        if np.all(np.asarray(state.diverged_at) >= 0):
            break
        state, values = advance((keys, settings, state), np.int32(first), data)
        losses[:, first : first + chunk] = values[:, : steps - first]
        _record(evaluations, first // chunk + 1, measure((settings, state)))
        if saved is not None:
            saved.save(min(first + chunk, steps), (state, losses, evaluations))

    return Trained(
        jnp.asarray(losses),
        jax.tree.map(jnp.asarray, evaluations),
        jnp.asarray(evaluated_at),
        jnp.asarray(state.diverged_at),
        state,
    )


@dataclass(frozen=True)
class _Run:
    """What happens to one run, in traced code."""

    make: Callable
    loss: Callable
    optimizer: Callable
    evaluate: Callable | None
    batch_size: int | None
    steps: int
    chunk: int

    def start(self, run):
        key, setting = run
        model = self.make(jax.random.split(key, 3)[0], setting)
        structure, *variables = nnx.split(model, nnx.Param, ...)
        try:
            hash(structure)
        except TypeError as error:  # a traced value among the attributes would fail late, and badly
            raise ValueError(
                f"make returns a network with a plain attribute that is no constant ({error}); "
                "keep an array in an nnx.Variable"
            ) from None
        params, others = jax.tree.map(_float32, tuple(variables))
        state = _State(structure, params, others, optimizer=None, diverged_at=jnp.int32(-1))
        optimizer = self.optimizer(state.model(), setting).init(params)
        return state._replace(optimizer=jax.tree.map(_float32, optimizer))

    def measure(self, run):
        setting, state = run
        found = {} if self.evaluate is None else self.evaluate(state.model(), setting)
        lost = state.diverged_at >= 0
        return jax.tree.map(lambda leaf: jnp.where(lost, jnp.nan, jnp.float32(leaf)), found)

    def advance(self, run, first, data):
        key, setting, state = run
        _, order_key, loss_key = jax.random.split(key, 3)
        numbers = first + jnp.arange(self.chunk, dtype=jnp.int32)
        indices = None if self.batch_size is None else self._batches(order_key, first, data)

        def step(state, number, indices):
            batch = data if indices is None else jax.tree.map(lambda leaf: leaf[indices], data)
            return self._step(setting, state, number, batch, jax.random.fold_in(loss_key, number))

        def step_or_rest(state, now):
            alive = (state.diverged_at < 0) & (now[0] < self.steps)
            rest = lambda state, *_: (state, jnp.float32(jnp.nan))  # noqa: E731
            return jax.lax.cond(alive, step, rest, state, *now)

        return jax.lax.scan(step_or_rest, state, (numbers, indices))

    def _batches(self, key, first, data):
        """Which examples the steps of a chunk see, shape ``[chunk, batch_size]``."""
        examples = jnp.arange(len(jax.tree.leaves(data)[0]), dtype=jnp.int32)
        batches = len(examples) // self.batch_size
        # As many epochs as a chunk can touch, from wherever it starts.
        epochs = first // batches + jnp.arange(2 + (self.chunk - 2) // batches, dtype=jnp.int32)
        orders = jax.vmap(lambda e: jax.random.permutation(jax.random.fold_in(key, e), examples))
        rows = orders(epochs)[:, : batches * self.batch_size].reshape(-1, self.batch_size)
        return jax.lax.dynamic_slice_in_dim(rows, first % batches, self.chunk)

    def _step(self, setting, state, number, batch, key):
        def objective(params):
            model = state._replace(params=params).model()
            value = jnp.float32(self.loss(model, batch, key))
            return value, nnx.split(model, nnx.Param, ...)[2]

        (value, others), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        # Some optimizers ask for more than the gradient, such as those that search along a line.
        optimizer = optax.with_extra_args_support(self.optimizer(state.model(), setting))
        updates, optimizer_state = optimizer.update(
            gradient,
            state.optimizer,
            state.params,
            value=value,
            grad=gradient,
            value_fn=lambda params: objective(params)[0],
        )
        params = optax.apply_updates(state.params, updates)
        finite = jnp.isfinite(value)
        for leaf in jax.tree.leaves(params):
            finite &= jnp.all(jnp.isfinite(leaf))
        moved = state._replace(params=params, others=others, optimizer=optimizer_state)
        state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved, state)
        return state._replace(diverged_at=jnp.where(finite, jnp.int32(-1), number)), value


def _float32(leaf):
    leaf = jnp.asarray(leaf)
    return leaf.astype(jnp.float32) if leaf.dtype == jnp.float64 else leaf


def _rows(name, tree):
    shapes = [leaf.shape for leaf in jax.tree.leaves(tree)]
    if len({shape[:1] for shape in shapes}) != 1 or not shapes[0] or not shapes[0][0]:
        raise ValueError(f"{name} has shapes {shapes}; give arrays that share a leading axis")
    return shapes[0][0]


def _record(evaluations, point, measured):
    def write(array, leaf):
        array[:, point] = leaf

    jax.tree.map(write, evaluations, measured)


def _each_run():
    # XLA uses one core where matrices are small, and batching them gains nothing on a CPU.
    return _in_threads if jax.default_backend() == "cpu" else _in_one_batch


def _in_one_batch(function):
    """The function of one run as one of all runs, stacked; later arguments are shared."""
    return jax.jit(lambda runs, *shared: jax.vmap(lambda run: function(run, *shared))(runs))


def _in_threads(function):
    """As `_in_one_batch`; compiled at the first call, for one run, by the thread that calls."""
    compiled = None

    def call(runs, *shared):
        nonlocal compiled
        count = len(jax.tree.leaves(runs)[0])
        if compiled is None:
            compiled = jax.jit(function).lower(_take(runs, 0), *shared).compile()
        one = lambda i: jax.block_until_ready(compiled(_take(runs, i), *shared))  # noqa: E731
        with ThreadPoolExecutor(_cores()) as pool:
            return _stack(list(pool.map(one, range(count))))

    return call


def _cores():
    # Those we may use, which in a container are fewer than there are; macOS cannot say.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


# NumPy takes and stacks without compiling anything. Only keys, which it cannot hold, are JAX's.
def _take(runs, i):
    return jax.tree.map(lambda leaf: leaf[i], runs)


def _stack(runs):
    def stack(*leaves):
        is_key = jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key)
        return (jnp if is_key else np).stack(leaves)

    return jax.tree.map(stack, *runs)
