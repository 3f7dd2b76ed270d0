"""Kernel matrices computed block by block, on one device or on several."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from widelimit.progress import track

#: Pairs of vectors, or of positions of images, that are computed together.
BLOCK = 2**18


class Inputs(NamedTuple):
    """Inputs, and what is known of each of them; inputs are numbered along the last axis.

    Attributes:
      x: vectors ``[d, n]`` or images ``[height, width, channels, n]``.
      known: a tree of arrays ``[..., n]``.
    """

    x: Array
    known: PyTree

    def part(self, start: Array | int, count: int) -> Inputs:
        """Some neighbouring inputs.

        Args:
          start: the first.
          count: how many.

        Returns:
          The same of them alone.
        """
        return jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, count, leaf.ndim - 1), self
        )


#: (shared, first inputs, second inputs, which pairs are one input twice, whether all first inputs
#: are the second ones) ↦ a tree of matrices; hashable, as it is compiled in.
Rule = Callable[[Any, Inputs, Inputs, Array | None, bool], PyTree]


def in_blocks(
    rule: Rule,
    shared: PyTree,
    first: Inputs,
    second: Inputs,
    *,
    symmetric: bool,
    positions: int = 1,
) -> PyTree:
    """Kernel matrices in blocks, so that beside them only one block needs memory.

    Args:
      rule: computes a block.
      shared: what it needs besides the inputs.
      first: the inputs of the rows. If they are sharded over devices, whole columns of blocks are
        computed together, and the result is sharded alike.
      second: those of the columns.
      symmetric: whether both are the same; then each block is computed once.
      positions: how many numbers a pair needs, for images.

    Returns:
      A tree of matrices ``[rows, columns]``.
    """
    n, m = first.x.shape[-1], second.x.shape[-1]
    side = max(1, math.isqrt(BLOCK // positions))
    sharded = len(first.x.sharding.device_set) > 1
    rows, columns = (n if sharded else min(side, n)), min(side, m)
    fixed = {"rule": rule, "symmetric": symmetric, "rows": rows, "columns": columns}
    if rows == n and columns == m:
        return _block(shared, first, second, 0, 0, diagonal=symmetric, **fixed)
    mirrored = symmetric and not sharded
    # The last blocks reach back over some that are done.
    tops = [min(i, n - rows) for i in range(0, n, rows)]
    lefts = [min(j, m - columns) for j in range(0, m, columns)]
    places = [(i, j) for i in tops for j in lefts if j >= i or not mirrored]
    whole = None
    for i, j in track(places, "kernel"):
        block = _block(shared, first, second, i, j, diagonal=mirrored and i == j, **fixed)
        if whole is None:
            whole = jax.tree.map(partial(_room, n, m), block)
        whole = _put(whole, block, i, j, mirrored=mirrored)
    return whole


def _room(n, m, block):
    """Zeros for the whole matrix, on the devices of its blocks."""
    return jnp.zeros((n, m), block.dtype, device=block.sharding)


@partial(jax.jit, static_argnames=("rule", "symmetric", "rows", "columns", "diagonal"))
def _block(shared, first, second, i, j, *, rule, symmetric, rows, columns, diagonal):
    same = None
    if symmetric:
        same = (i + jnp.arange(rows))[:, None] == (j + jnp.arange(columns))[None]
    return rule(shared, first.part(i, rows), second.part(j, columns), same, diagonal)


@partial(jax.jit, static_argnames="mirrored", donate_argnames="whole")
def _put(whole, block, i, j, *, mirrored):
    def put(whole, block):
        if mirrored:
            whole = jax.lax.dynamic_update_slice(whole, block.T, (j, i))
        return jax.lax.dynamic_update_slice(whole, block, (i, j))

    return jax.tree.map(put, whole, block)
