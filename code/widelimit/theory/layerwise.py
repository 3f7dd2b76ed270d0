r"""Kernels of any architecture, its layers followed one by one for each pair of inputs.

This is the reference that faster ways are tested against. The part of an architecture that reads
images ends with Flatten or with the mean over positions. Behind Flatten stands the mean of K(p, p)
over positions p, so one plane of pairs of positions is enough; behind the mean stands the mean of
K(p, q) over p and q, and all planes are walked.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from widelimit.activations import Activation
from widelimit.architectures import Chain, Convolution, Flatten, GlobalAveragePool
from widelimit.theory import planes, recursion
from widelimit.theory.arguments import in_float64
from widelimit.theory.blocks import Inputs, in_blocks
from widelimit.theory.mehler import Series
from widelimit.theory.recursion import Pair, Rules
from widelimit.theory.structure import DATA, Layer, State, after, layers_of


def start_of(architecture: Layer, shape: tuple[int, ...]) -> State:
    """What the data are, where the layers fit them and one another.

    Args:
      architecture: the layers.
      shape: of one input, ``[d]`` or ``[height, width, channels]``.

    Returns:
      The state before the first layer.

    Raises:
      ValueError: layers that do not fit, or an end with images.
    """
    size = tuple(shape[:-1])
    strides = [one.strides for one in layers_of(architecture) if isinstance(one, Convolution)]
    total = [math.prod(stride[axis] for stride in strides) for axis in range(len(size))]
    grid = tuple(-(-b // s) * s for b, s in zip(size, total, strict=True))
    start = State(DATA, size, grid, float(shape[-1]))
    if after(architecture, start, None).size:
        raise ValueError("the architecture ends with images; add Flatten or GlobalAveragePool")
    return start


def _parts(architecture):
    """What comes before pooling, the pooling, and what comes after."""
    layers = layers_of(architecture)
    for at, layer in enumerate(layers):
        if isinstance(layer, Flatten | GlobalAveragePool):
            return Chain(layers[:at]), layer, Chain(layers[at + 1 :])
    return Chain(layers), None, Chain(())


@partial(jax.jit, static_argnames=("start", "width", "expanded"))
def _first_pass(architecture, series, x, start, width, expanded):
    """The variances of each input in every layer, before and behind pooling."""
    head, pool, tail = _parts(architecture)
    rules = Rules(
        width, dict(zip(expanded, series, strict=True)), recursion.itself, recursion.itself
    )
    padding = [(0, g - b) for b, g in zip(start.size, start.grid, strict=True)]
    x = jnp.pad(jnp.moveaxis(x, 0, -1), [*padding, (0, 0), (0, 0)])
    state, var, units = recursion.variances(head, start, jnp.mean(x**2, axis=-2), rules)
    if pool is None:
        return Inputs(x, (units, ()))
    pooled = after(pool, state, width)

    def behind(var):
        return recursion.variances(tail, pooled, var, rules)[2]

    one, nothing = Inputs(x, (units, ())), jnp.zeros(x.shape[-1], x.dtype)
    if isinstance(pool, Flatten):
        var = planes.share_inside(var, state.size, (0, 0)) * math.prod(state.size)
    elif jax.tree.leaves(jax.eval_shape(behind, nothing)):
        alone = rules._replace(same=jnp.ones(x.shape[-1], bool))
        var = _over_planes(head, pool, one, one, start, alone, False, False).cov
    else:  # nobody asks for it
        var = nothing
    return Inputs(x, (units, behind(var)))


def _over_planes(head, pool, one, other, start, rules, ntk, halved):
    """The kernels behind pooling; ``halved`` if all inputs are paired with one another."""
    state = after(head, start, rules.width)
    strides = [a // b for a, b in zip(start.grid, state.grid, strict=True)]
    units = one.known[0], other.known[0]

    def plane(offset):
        offset = tuple(o * stride for o, stride in zip(offset, strides, strict=True))
        products = rules.first(one.x) * rules.second(planes.moved(other.x, offset))
        cov = jnp.mean(products, axis=2)
        pair = Pair(cov, jnp.zeros_like(cov) if ntk else None, offset)
        pair = recursion.covariances(head, start, pair, *units, rules)[1]
        return jax.tree.map(lambda x: planes.share_inside(x, state.size, pair.offset), pair[:2])

    if isinstance(pool, Flatten):
        return Pair(*jax.tree.map(lambda mean: mean * math.prod(state.size), plane((0, 0))))
    offsets, weights = planes.offsets(state.grid, halved)
    sums = jax.tree.map(jnp.zeros_like, jax.eval_shape(plane, (0, 0)))

    def add(sums, at):
        offset, weight = at
        return jax.tree.map(
            lambda before, one: before + weight * one, sums, plane(tuple(offset))
        ), None

    each = jnp.asarray(offsets), jnp.asarray(weights, one.x.dtype)
    sums, _ = jax.lax.scan(add, sums, each)
    return Pair(*jax.tree.map(lambda x: x + x.T if halved else x, sums))


class SecondPass(NamedTuple):
    """The kernels of one block of pairs; a :data:`~widelimit.theory.blocks.Rule`.

    Attributes:
      start: from :func:`start_of`.
      width: as in :class:`~widelimit.theory.recursion.Rules`.
      expanded: activations whose duals are series.
      ntk: whether Θ is wanted.
    """

    start: State
    width: float | None
    expanded: tuple[Activation, ...]
    ntk: bool

    def __call__(
        self,
        shared: tuple[Layer, tuple[Series, ...]],
        one: Inputs,
        other: Inputs,
        same: Bool[Array, "n m"] | None,
        diagonal: bool,
    ) -> Pair:
        """The kernels.

        Args:
          shared: the layers, and the series of ``expanded``.
          one: inputs of the rows, with what the first pass found.
          other: inputs of the columns.
          same: which pairs are one input twice.
          diagonal: whether rows and columns are the same inputs.

        Returns:
          K and Θ.
        """
        architecture, series = shared
        head, pool, tail = _parts(architecture)
        rules = Rules(self.width, dict(zip(self.expanded, series, strict=True)), same=same)
        if pool is None:
            cov = jnp.matmul(one.x.T, other.x, precision="highest") / len(one.x)
            pair = Pair(cov, jnp.zeros_like(cov) if self.ntk else None)
            return recursion.covariances(
                head, self.start, pair, one.known[0], other.known[0], rules
            )[1]
        pair = _over_planes(head, pool, one, other, self.start, rules, self.ntk, diagonal)
        state = after(pool, after(head, self.start, self.width), self.width)
        return recursion.covariances(tail, state, pair, one.known[1], other.known[1], rules)[1]


def _check_range(units, dtype):
    """Products of two variances must not be 0; that they are not infinite shows at the end."""
    smallest = float(np.finfo(dtype).tiny) ** 0.5
    for var in map(np.asarray, jax.tree.leaves(units)):
        positive = var[var > 0]
        if len(positive) and positive.min() <= smallest:
            raise ValueError(
                f"a variance of {positive.min():.3g} occurs, whose products {dtype} does not hold; "
                "give inputs in float64 or larger ones, fewer layers, or a larger weight_var"
            )


def traced(
    architecture: Layer,
    x1: Float[Array, "n ..."],
    x2: Float[Array, "m ..."],
    start: State,
    width: float | None,
    ntk: bool,
) -> Pair:
    """The kernels where values are not known: in one piece, with closed forms and quadrature.

    Args:
      architecture: the layers.
      x1: inputs of the rows.
      x2: inputs of the columns; the same object if they are the same.
      start: from :func:`start_of`.
      width: as in :class:`~widelimit.theory.recursion.Rules`.
      ntk: whether Θ is wanted.

    Returns:
      K and Θ.
    """
    one, other = (_first_pass(architecture, (), x, start, width, ()) for x in (x1, x2))
    same = jnp.eye(len(x1), dtype=bool) if x2 is x1 else None
    return SecondPass(start, width, (), ntk)((architecture, ()), one, other, same, x2 is x1)


def followed(
    architecture: Layer,
    x1: Float[Array, "n ..."],
    x2: Float[Array, "m ..."],
    start: State,
    width: float | None,
    ntk: bool,
    error: float,
) -> Pair:
    """The kernels in blocks; activations without closed form as series where that is possible.

    Args:
      architecture: the layers.
      x1: inputs of the rows.
      x2: inputs of the columns; the same object if they are the same.
      start: from :func:`start_of`.
      width: as in :class:`~widelimit.theory.recursion.Rules`.
      ntk: whether Θ is wanted.
      error: allowed, relative.

    Returns:
      K and Θ.
    """
    inputs = [x1] if x2 is x1 else [x1, x2]
    with in_float64():  # it is cheap, and everything rests on it
        inputs = [x.astype("float64") for x in inputs]
        found = [_first_pass(architecture, (), x, start, width, ()) for x in inputs]
        head, _, tail = _parts(architecture)
        units = jax.tree.map(
            lambda *units: np.concatenate([np.ravel(one) for one in units]),
            *[one.known for one in found],
        )
        expanded, series = recursion.series_of(Chain((head, tail)), units, error)
        if expanded:
            found = [_first_pass(architecture, series, x, start, width, expanded) for x in inputs]
        _check_range(units, x1.dtype)
        shared, *found = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, x1.dtype), [(architecture, series), *found]
        )
    rule = SecondPass(start, width, expanded, ntk)
    positions = math.prod(start.grid)
    return in_blocks(rule, shared, found[0], found[-1], symmetric=x2 is x1, positions=positions)
