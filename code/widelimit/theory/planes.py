r"""Covariances between the positions of two images, one offset at a time.

A pair of images has a covariance for each pair of positions p and q. Every layer maps the
covariances of *one offset* q − p to those of one offset, so they are walked offset by offset: a
*plane* holds them for all positions p. Offsets are cyclic in a grid of G ≥ b positions in each
direction, b being the size of the image: q = (p + o) mod G, so that G² planes hold every pair once.
Positions from b on are outside. Strides thin out positions and offsets alike, so G is a multiple of
their product.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widelimit.architectures import Convolution

#: The offset of a plane, in both directions.
Offset = tuple[Array, ...] | tuple[int, ...]


def convolved_size(layer: Convolution, size: int, grid: int, axis: int) -> int:
    """The size of an image after a convolution, in one direction.

    Args:
      layer: the convolution.
      size: b, before.
      grid: G, before.
      axis: the direction, 0 or 1.

    Returns:
      The size.

    Raises:
      ValueError: a filter larger than the image without padding; cyclic padding with strides that
        do not divide the size, or after a layer without.
    """
    k, stride = layer.filter_shape[axis], layer.strides[axis]
    if layer.padding == "valid":
        if k > size:
            raise ValueError(
                f"filter_shape={layer.filter_shape} does not fit into an image of size {size}; "
                "use padding='same'"
            )
        return (size - k) // stride + 1
    if layer.padding == "circular":
        if size % stride or grid != size:
            raise ValueError(
                f"padding='circular' on an image of size {size}: all strides together must divide "
                "its size, and no layer before may change it otherwise; use padding='same'"
            )
        return size // stride
    return -(-size // stride)


def _reach(layer, size, axis):
    """How far the filter reaches before and behind a position."""
    k, stride = layer.filter_shape[axis], layer.strides[axis]
    before = 0
    if layer.padding == "circular":
        before = (k - 1) // 2
    elif layer.padding == "same":
        before = max((-(-size // stride) - 1) * stride + k - size, 0) // 2
    return before, k - 1 - before


def _sum_along(x, layer, size, offset, axis):
    """Sums over the filter at both members of each pair of positions, in one direction."""
    grid, circular = x.shape[axis], layer.padding == "circular"
    before, behind = _reach(layer, size, axis)
    padding = [(before, behind) if at == axis else (0, 0) for at in range(x.ndim)]
    padded = jnp.pad(x, padding, mode="wrap" if circular else "constant")
    q = (jnp.arange(grid) + offset) % grid
    along = [grid if at == axis else 1 for at in range(x.ndim)]
    total = 0
    for step in range(-before, behind + 1):
        one = jax.lax.slice_in_dim(padded, before + step, before + step + grid, axis=axis)
        if not circular:  # the second member must be inside as well
            inside = (q + step >= 0) & (q + step < size)
            one = jnp.where(inside.reshape(along), one, 0)
        total += one
    return jax.lax.slice_in_dim(total, 0, grid, layer.strides[axis], axis)


def convolved(
    x: Float[Array, "height width *pairs"],
    layer: Convolution,
    size: tuple[int, int],
    offset: Offset,
) -> Float[Array, "_height _width *pairs"]:
    """The mean of a plane over the filter, positions outside counting as 0.

    Args:
      x: the plane.
      layer: the convolution.
      size: of the image.
      offset: of the plane.

    Returns:
      The plane of the next layer, whose offset is that of this one over the strides.
    """
    if layer.padding != "circular" and tuple(size) != x.shape[:2]:
        x = jnp.where(_inside(size, x.shape[:2], x.ndim), x, 0)
    for axis in (0, 1):
        x = _sum_along(x, layer, size[axis], offset[axis], axis)
    return x / math.prod(layer.filter_shape)


def _inside(size, grid, ndim):
    rows, columns = (jnp.arange(g) < b for b, g in zip(size, grid, strict=True))
    return (rows[:, None] & columns[None]).reshape(*grid, *[1] * (ndim - 2))


def moved(x: Float[Array, "*shape"], offset: Offset) -> Float[Array, "*shape"]:
    """What an image has at the second position of each pair.

    Args:
      x: values by position.
      offset: of the plane; () for vectors.

    Returns:
      The values at q, indexed by p.
    """
    return jnp.roll(x, [-o for o in offset], axis=(0, 1)) if offset else x


def share_inside(
    x: Float[Array, "height width *pairs"], size: tuple[int, int], offset: Offset
) -> Float[Array, "*pairs"]:
    """Sum over the pairs of positions of a plane that are inside, as a share of all pairs.

    Args:
      x: the plane.
      size: of the image.
      offset: of the plane.

    Returns:
      The sums over the plane, divided by the number of all pairs of positions.
    """
    grid = x.shape[:2]
    second = [(jnp.arange(g) + o) % g < b for b, g, o in zip(size, grid, offset, strict=True)]
    both = _inside(size, grid, 2) & second[0][:, None] & second[1][None]
    # A product of matrices: several times as fast as a masked sum over leading axes.
    share = both.astype(x.dtype) / math.prod(size) ** 2
    return jnp.tensordot(share, x, axes=2, precision="highest")


def offsets(grid: tuple[int, int], halved: bool) -> tuple[np.ndarray, np.ndarray]:
    """All offsets, or half of them where the other half is their mirror image.

    Args:
      grid: G in both directions.
      halved: leave out −o for each o that is there. If both images are from one set, the plane of
        −o is that of o with the images exchanged.

    Returns:
      Offsets ``[planes, 2]``, and weights: 1, but 1/2 for an offset that is its own mirror image
      where others are left out.
    """
    found = np.stack(np.divmod(np.arange(math.prod(grid)), grid[1]), axis=1)
    if not halved:
        return found, np.ones(len(found))
    mirrored = -found % grid
    before = found[:, 0] * grid[1] + found[:, 1]
    behind = mirrored[:, 0] * grid[1] + mirrored[:, 1]
    kept = before <= behind
    return found[kept], np.where(before == behind, 0.5, 1.0)[kept]
