"""Kernels of deep tanh networks on scikit-learn's digits, of many networks and depths at once.

All images have one norm, so a kernel of layer l is a function of the angle between two images. It
is computed at some angles in every layer (:mod:`widelimit.theory.deep`), interpolated by Chebyshev
polynomials in the angle over the range that occurs, and evaluated for all networks by one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import jax
import numpy as np

from widelimit.lab import classification, data
from widelimit.theory import deep

#: Number of classes.
CLASSES = 10
#: Angles at which kernels are computed.
NODES = 48


class Digits(NamedTuple):
    """The data.

    Attributes:
      x: images of mean square 1, ``[n, 64]``.
      y: classes, ``[n]``.
      cosine: of the angle between two images, ``[n, n]``.
    """

    x: np.ndarray
    y: np.ndarray
    cosine: np.ndarray


class Problem(NamedTuple):
    """One split of the data.

    Attributes:
      train: indices of the training images, ``[P]``.
      test: of the test images, ``[m]``.
      targets: for training, with the mean of each class over the images taken off, ``[P, 10]``.
      test_targets: for testing, with the same taken off, ``[m, 10]``.
      classes: right answers on the test images, ``[m]``.
    """

    train: np.ndarray
    test: np.ndarray
    targets: np.ndarray
    test_targets: np.ndarray
    classes: np.ndarray


@cache
def digits() -> Digits:
    """Load the digits and standardize them.

    Returns:
      All 1797 of them.
    """
    raw = data.load("digits")
    x = classification.standardized_images(raw.x)
    return Digits(x, raw.y, np.clip(x @ x.T / x.shape[1], -1, 1))


def problem(key: jax.Array, train: int, test: int) -> Problem:
    """A random split.

    Args:
      key: a random key.
      train: P.
      test: m.

    Returns:
      The split, with the same number of training images of each class.
    """
    y = digits().y
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    split = classification.balanced_split(y, train, test, rng)
    targets = classification.targets(y, CLASSES)
    targets = targets - targets[split.train].mean(axis=0)
    return Problem(*split, targets[split.train], targets[split.test], y[split.test])


def accuracy(mean: np.ndarray, problem: Problem) -> np.ndarray:
    """The part of the test images whose class has the largest output.

    Args:
      mean: outputs, ``[..., m, 10]``.
      problem: the split.

    Returns:
      Shape ``[...]``.
    """
    return np.asarray(np.mean(np.argmax(mean, axis=-1) == problem.classes, axis=-1))


def nodes() -> np.ndarray:
    """Where kernels have to be known.

    Returns:
      Cosines at Chebyshev points of the angle, over its range for different images, ``[NODES]``.
    """
    low, high = _angles()
    return np.cos((low + high) / 2 + (high - low) / 2 * np.cos(_turns()))


def _turns():
    return np.pi * (np.arange(NODES) + 0.5) / NODES


class DeepKernels:
    """Kernels of all layers of several networks, as polynomials in the angle.

    Args:
      layers: of the networks, at :func:`nodes`.

    Attributes:
      var: q by depth and network, ``[depth + 1, networks]``.
    """

    def __init__(self, layers: deep.Layers) -> None:
        waves = np.cos(np.outer(_turns(), np.arange(NODES)))
        waves *= np.where(np.arange(NODES), 2, 1) / NODES
        self.var, self._coefficients = np.asarray(layers.var), layers.correlation @ waves

    def correlations(
        self, basis: np.ndarray, depths: Sequence[int | np.integer], networks: slice = slice(None)
    ) -> np.ndarray:
        """Correlations of outputs, at pairs of images.

        Args:
          basis: from :func:`basis`.
          depths: numbers of hidden layers.
          networks: which of them.

        Returns:
          Shape ``[depths, networks, P, P + m]``, exactly 1 for an image with itself.
        """
        chosen = self._coefficients[np.asarray(depths), networks].reshape(-1, NODES)
        rows = len(basis)
        found = (chosen @ basis.reshape(-1, NODES).T).reshape(len(depths), -1, *basis.shape[:2])
        found[..., np.arange(rows), np.arange(rows)] = 1
        return found


@cache
def _angles():
    """The least and the largest angle between two different images."""
    cosine = digits().cosine
    different = cosine[~np.eye(len(cosine), dtype=bool)]
    return np.arccos(different.max()), np.arccos(different.min())


def basis(problem: Problem) -> np.ndarray:
    """What the polynomials need of the pairs of one split.

    Args:
      problem: the split.

    Returns:
      Chebyshev polynomials of the angle between training images (rows) and all images, training
      images first, ``[P, P + m, NODES]``.
    """
    low, high = _angles()
    pairs = digits().cosine[problem.train][:, np.concatenate([problem.train, problem.test])]
    place = (np.arccos(pairs) - (low + high) / 2) / ((high - low) / 2)
    # An image with itself is out of range, and set afterwards.
    return np.polynomial.chebyshev.chebvander(np.clip(place, -1, 1), NODES - 1)


def posterior_means(
    correlation: np.ndarray, var: np.ndarray, problem: Problem, noise_var: float
) -> np.ndarray:
    """Posterior means at the test images of many Gaussian processes.

    Args:
      correlation: of each, from :meth:`DeepKernels.correlations`, ``[..., P, P + m]``.
      var: q of each, ``[...]``.
      problem: the split.
      noise_var: σ_ε².

    Returns:
      Shape ``[..., m, 10]``.
    """
    count = len(problem.train)
    noise = noise_var / np.asarray(var)[..., None, None] * np.eye(count)
    weights = np.linalg.solve(correlation[..., :count] + noise, problem.targets)
    return np.swapaxes(correlation[..., count:], -1, -2) @ weights
