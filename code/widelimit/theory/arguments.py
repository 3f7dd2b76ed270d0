"""Arguments of the theory: one floating dtype, one shape, each number in its range."""

from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

#: Numbers whose shapes broadcast.
Entries = Float[ArrayLike, "*#shape"]


def checked(**arguments: ArrayLike) -> list[Array]:
    """The arguments in one floating dtype and one shape, each in its range.

    Args:
      arguments: by name. ``keep_prob`` lies in (0, 1], ``correlation`` in [−1, 1], ``cov`` is any
        number, and everything else is a variance.

    Returns:
      Arrays, in the order given.

    Raises:
      ValueError: a concrete argument out of its range.
    """
    given = arguments.values()
    dtype = jnp.result_type(0.0, *(x.dtype for x in given if isinstance(x, jax.Array)))
    arrays = list(jnp.broadcast_arrays(*(jnp.asarray(x, dtype) for x in given)))
    for name, array in zip(arguments, arrays, strict=True):
        if isinstance(array, jax.core.Tracer):
            continue
        x = np.asarray(array)
        if name == "keep_prob":
            good, law = (x > 0) & (x <= 1), "a probability of keeping a unit lies in (0, 1]"
        elif name == "correlation":
            good, law = np.abs(x) <= 1, "correlations lie in [-1, 1]"
        elif name == "cov":
            good, law = ~np.isnan(x), "covariances are numbers"
        else:
            good, law = (x >= 0) & (x < np.inf), "variances must be finite and at least 0"
        if not good.all():
            raise ValueError(f"{name} contains {x[~good].flat[0]}; {law}.")
    return arrays


def checked_depth(depth: int) -> int:
    """A number of layers.

    Args:
      depth: at least 1.

    Returns:
      The same.

    Raises:
      ValueError: no whole number of at least 1.
    """
    if not (isinstance(depth, int | np.integer) and depth >= 1):
        raise ValueError(f"depth={depth} must be an integer, at least 1: layer 1 is the start.")
    return int(depth)


def need_float64(what: str) -> None:
    """Refuse to compute in float32 what needs more.

    Args:
      what: is computed, in the plural.

    Raises:
      ValueError: JAX is not in 64-bit mode.
    """
    if not jax.config.jax_enable_x64:
        raise ValueError(
            f"jax_enable_x64 is off, and {what} need float64; "
            'jax.config.update("jax_enable_x64", True) turns it on.'
        )


def in_float64() -> AbstractContextManager:
    """64-bit mode for a while, whatever mode JAX is in: for the few numbers that need it.

    Returns:
      A context manager. Arrays made inside keep their type outside.
    """
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return jax.experimental.enable_x64(True)
