"""Replicates of a measurement: made from independent keys, drawn as points with error bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from widelimit import ledger
from widelimit.figures import style
from widelimit.progress import track

#: How often a measurement is repeated.
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
    return np.stack([np.asarray(measure(one)) for _, one in each(range(REPLICATES), key, what)])


def each(items: Iterable, key: jax.Array, what: str) -> Iterator[tuple[Any, jax.Array]]:
    """Items of an experiment, each with a random key of its own, under a progress bar.

    Args:
      items: what the experiment goes through, such as widths.
      key: a random key.
      what: a few words for the progress bar.

    Returns:
      Pairs of an item and its key.
    """
    items = list(items)
    for index, item in enumerate(track(items, what)):
        yield item, jax.random.fold_in(key, index)


def in_groups(samples: Any) -> Any:
    """Independent samples as replicates, each a group of its own.

    Networks drawn in one call are independent, so cutting them into groups makes replicates as
    good as those of separate keys, and cheaper.

    Args:
      samples: array whose first axis holds the samples, a multiple of ``REPLICATES`` of them.

    Returns:
      Shape ``[REPLICATES, samples / REPLICATES, ...]``, trailing axes of length 1 dropped.
    """
    kept = [size for size in samples.shape[1:] if size != 1]
    return samples.reshape(REPLICATES, -1, *kept)


def by_column(statistic: Callable[[np.ndarray], float], replicates: np.ndarray) -> np.ndarray:
    """Pseudo-values of a statistic of the mean, for each column.

    Args:
      statistic: from the mean over replicates of one column to a number.
      replicates: shape ``[replicates, columns, ...]``.

    Returns:
      Shape ``[replicates, columns]``; see :func:`widelimit.ledger.pseudo_values`.
    """
    columns = np.moveaxis(replicates, 1, 0)
    return np.stack([ledger.pseudo_values(statistic, one) for one in columns], axis=1)


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
