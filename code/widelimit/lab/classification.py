"""Classification treated as regression: images of one norm, balanced training sets, targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Split(NamedTuple):
    """Which examples are for training and which for testing.

    Attributes:
      train: indices, ``[P]``.
      test: others, ``[m]``.
    """

    train: Int[np.ndarray, " P"]
    test: Int[np.ndarray, " m"]


def standardized_images(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Images with the mean image taken off, and then each with mean 0 and mean square 1.

    Args:
      x: images as rows, each of them different from a constant plus the mean image.

    Returns:
      The same shape, float64. All rows have the same norm, √d.

    Raises:
      ValueError: an image of which nothing is left, or one with numbers that are not finite.

    Source: as done for the experiments of Lee et al. 2018.
    """
    x = np.asarray(x, float)
    broken = np.flatnonzero(~np.all(np.isfinite(x), axis=1))
    if len(broken):
        raise ValueError(f"image {broken[0]} holds NaN or infinite numbers; leave it out")
    largest = np.max(np.abs(x), initial=0)
    x = x - x.mean(axis=0)
    x = x - x.mean(axis=1, keepdims=True)
    sizes = np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    lost = np.flatnonzero(sizes[:, 0] <= 1e-12 * largest)
    if len(lost):
        raise ValueError(f"image {lost[0]} is the mean image plus a constant; leave it out")
    return x / sizes


def balanced_split(
    y: Int[np.ndarray, " n"], train: int, test: int, rng: np.random.Generator
) -> Split:
    """A random training set with equally many examples of each class, and a random test set.

    Args:
      y: the class of each example; a class is every number that occurs.
      train: P, a multiple of the number of classes.
      test: m; these are drawn from what is left, whatever their class.
      rng: source of randomness.

    Returns:
      Indices, the training set class by class.

    Raises:
      ValueError: P no multiple of the number of classes, or more examples than there are.
    """
    classes = np.unique(y)
    each, rest = divmod(train, len(classes))
    if rest or each < 1:
        raise ValueError(f"train={train} is no positive multiple of the {len(classes)} classes")
    order = rng.permutation(len(y))
    chosen = [order[y[order] == label][:each] for label in classes]
    short = [str(label) for label, rows in zip(classes, chosen, strict=True) if len(rows) < each]
    if short:
        raise ValueError(f"train={train} needs {each} of each class; class {short[0]} has fewer")
    left = order[~np.isin(order, np.concatenate(chosen))]
    if not 1 <= test <= len(left):
        raise ValueError(f"test={test}; {len(left)} examples are left for testing")
    return Split(np.concatenate(chosen), left[:test])


def targets(y: Int[np.ndarray, " n"], classes: int) -> Float[np.ndarray, "n classes"]:
    """One target for each class: 0.9 for the right one and −0.1 for the others.

    Args:
      y: classes, from 0.
      classes: how many there are.

    Returns:
      Targets as rows. Those of a row add up to 0 for ten classes.

    Raises:
      ValueError: a class out of range, or that is no whole number.

    Source: Lee et al. 2018.
    """
    y = np.asarray(y)
    if not np.all(np.isin(y, np.arange(classes))):
        lowest, highest = y.min(), y.max()
        raise ValueError(f"y holds classes from {lowest} to {highest}, not among 0 … {classes - 1}")
    return np.where(y[:, None] == np.arange(classes), 0.9, -0.1)
