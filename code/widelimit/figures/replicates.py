"""Replicates of a measurement: made from independent keys, drawn as points with error bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from widelimit.figures import style
from widelimit.progress import track

REPLICATES = 20


def replicate(key: jax.Array, measure: Callable[[jax.Array], Any], what: str) -> np.ndarray:
    """Repeat a measurement at independent keys.

    Args:
      key: a random key.
      measure: takes a key and returns an array.
      what: a few words for the progress bar.

    Returns:
      The results stacked along a new first axis, of length ``REPLICATES``.
    """
    keys = jax.random.split(key, REPLICATES)
    return np.stack([np.asarray(measure(one)) for one in track(keys, what)])


def draw_points(
    axis: Any,
    x: np.ndarray,
    replicates: np.ndarray,
    label: str | None = None,
    marker: str = "o",
    color: str = style.EXPERIMENT,
) -> None:
    """Draw means over replicates with bars of four standard errors.

    Args:
      axis: matplotlib axes.
      x: shape ``[n]``.
      replicates: shape ``[replicates, n]``.
      label: for the legend.
      marker: matplotlib marker.
      color: of marks and bars.
    """
    error = 4 * replicates.std(0, ddof=1) / np.sqrt(len(replicates))
    axis.errorbar(x, replicates.mean(0), error, fmt=marker, ms=4.5, color=color, label=label)
