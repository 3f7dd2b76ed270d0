"""A measured number with its error: a mean of independent replicates, or a rate fitted to them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import special

MIN_REPLICATES = 16
"""Fewer replicates leave the error itself too uncertain for the tail the ledger uses."""

TAIL = float(2 * special.ndtr(-4.0))
"""Two-sided tail probability of four standard deviations, 6.3e-5.

A whole book read at twenty seeds makes thousands of comparisons; at this level about one honest
comparison in sixteen thousand falls outside its tolerance by chance.
"""


@dataclass(frozen=True)
class Estimate:
    """A measured value, its standard error, and the degrees of freedom of that error.

    Args:
      value: the mean over replicates.
      stderr: its standard error, same unit as ``value``, > 0.
      dof: degrees of freedom of ``stderr``, replicates minus one: at least 15.

    Raises:
      ValueError: a value that is not finite, an error that is not positive (replicates that agree
        to the last digit have shared a key or saturated), or too few degrees of freedom.
    """

    value: float
    stderr: float
    dof: int

    def __post_init__(self) -> None:
        for name, kind in (("value", float), ("stderr", float), ("dof", int)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        if not (math.isfinite(self.value) and math.isfinite(self.stderr)):
            raise ValueError(f"estimate {self.value} ± {self.stderr} is not finite; find out why")
        if self.stderr <= 0:
            raise ValueError(
                f"stderr is {self.stderr}; replicates that all agree have shared a random key, or "
                "measure something that is not random: compare such numbers in a test instead"
            )
        if self.dof < MIN_REPLICATES - 1:
            raise ValueError(
                f"dof is {self.dof}; an error that can be trusted takes at least {MIN_REPLICATES} "
                "independent replicates: run more keys"
            )

    def half_width(self) -> float:
        """Half-width of the Student-t interval whose tails hold probability ``TAIL`` together."""
        return float(special.stdtrit(self.dof, 1 - TAIL / 2) * self.stderr)


def mean(replicates: ArrayLike) -> Estimate:
    """Mean of independent replicates with its standard error.

    Args:
      replicates: shape ``[replicates]``, at least 16 finite numbers, each from its own random key.

    Returns:
      The estimate, with ``len(replicates) - 1`` degrees of freedom.

    Raises:
      ValueError: fewer than 16 replicates, more than one axis, a value that is not finite, or
        replicates that are all equal.
    """
    x = np.asarray(replicates, dtype=float)
    if x.ndim != 1:
        raise ValueError(f"replicates has shape {x.shape}; give one number a replicate, shape [r]")
    if len(x) < MIN_REPLICATES:
        raise ValueError(
            f"replicates holds {len(x)} numbers; at least {MIN_REPLICATES} independent ones are "
            "needed for an error that can be trusted: run more keys"
        )
    if not np.all(np.isfinite(x)):
        bad = int(np.flatnonzero(~np.isfinite(x))[0])
        raise ValueError(f"replicates[{bad}] is {x[bad]}; find out why before averaging over it")
    return Estimate(float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x))), len(x) - 1)


def pseudo_values(
    statistic: Callable[[Float[np.ndarray, ...]], float], replicates: ArrayLike
) -> Float[np.ndarray, " replicates"]:
    r"""The jackknife: replicates of a curved function of a mean.

    .. math:: R\,f(\bar x) - (R - 1)\,f(\bar x_{(r)})

    with :math:`\bar x_{(r)}` the mean without replicate r. Their :func:`mean` is an estimate of f
    at the true mean, free of bias to order 1/R, with an error that knows of all correlations.

    Args:
      statistic: f, smooth, from the mean of the replicates, shape ``[...]``, to a number.
      replicates: shape ``[replicates, ...]``, each from its own random key.

    Returns:
      One number for each replicate; NaN where the statistic is NaN.

    Raises:
      ValueError: fewer than two replicates.
    """
    x = np.asarray(replicates, dtype=float)
    count = len(x) if x.ndim else 0
    if count < 2:
        raise ValueError(f"replicates has shape {x.shape}; the jackknife needs at least two")
    without_one = (x.sum(axis=0) - x) / (count - 1)
    whole = float(statistic(x.mean(axis=0)))
    return np.array([count * whole - (count - 1) * float(statistic(one)) for one in without_one])


def loglog_slope(x: ArrayLike, y: ArrayLike) -> Estimate:
    r"""Exponent of a power law, fitted to each replicate separately.

    .. math:: \log y_r(x) = \text{const}_r + s_r \log x, \qquad s = \tfrac1R\sum_r s_r

    One least-squares slope a replicate, then their mean: the replicates are independent, so the
    error needs no model of the scatter about the line, nor of correlations between the points.

    Args:
      x: shape ``[n]``, positive, at least two different values.
      y: shape ``[replicates, n]``, positive.

    Returns:
      The mean slope, dimensionless, with its standard error over replicates.

    Raises:
      ValueError: shapes that do not match, or values that are not positive (a noisy estimate that
        crosses zero has no logarithm: measure it better, or fit it on a linear scale).
    """
    return mean(_slopes(_logs(x), y))


def exact_loglog_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Slope that :func:`loglog_slope` would find in noiseless data.

    A power law that holds asymptotically has another slope where it is measured. Its distance from
    the asymptotic one, computed from the theory's values at the same x, is the systematic
    allowance of the claim.

    Args:
      x: shape ``[n]``, positive, at least two different values.
      y: shape ``[n]``, positive.

    Returns:
      The least-squares slope of log y against log x, dimensionless.

    Raises:
      ValueError: as :func:`loglog_slope`.
    """
    return float(_slopes(_logs(x), np.asarray(y, dtype=float)[None])[0])


def semilog_slope(x: ArrayLike, y: ArrayLike) -> Estimate:
    r"""Rate of an exponential law, fitted to each replicate separately.

    .. math:: \log y_r(x) = \text{const}_r + s_r\, x, \qquad s = \tfrac1R\sum_r s_r

    Args:
      x: shape ``[n]``, at least two different values, such as layers.
      y: shape ``[replicates, n]``, positive.

    Returns:
      The mean slope, in units of 1/x, with its standard error over replicates.

    Raises:
      ValueError: as :func:`loglog_slope`, for y.
    """
    return mean(_slopes(x, y))


def exact_semilog_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Slope that :func:`semilog_slope` would find in noiseless data.

    Args:
      x: shape ``[n]``, at least two different values.
      y: shape ``[n]``, positive.

    Returns:
      The least-squares slope of log y against x, in units of 1/x.

    Raises:
      ValueError: as :func:`semilog_slope`.
    """
    return float(_slopes(x, np.asarray(y, dtype=float)[None])[0])


def _logs(x):
    x = np.asarray(x, dtype=float)
    _check_positive("x", x)
    return np.log(x)


def _check_positive(name, values):
    if not (np.all(values > 0) and np.all(np.isfinite(values))):
        bad = values[~((values > 0) & np.isfinite(values))].flat[0]
        raise ValueError(f"{name} holds {bad}; its logarithm needs finite positive values")


def _slopes(x, y):
    """Least-squares slopes of log y against x, one a replicate."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or y.ndim != 2 or y.shape[1] != len(x):
        raise ValueError(f"x has shape {x.shape} and y {y.shape}; give x [n] and y [replicates, n]")
    if not np.all(np.isfinite(x)):
        raise ValueError(f"x holds {x[~np.isfinite(x)][0]}; a slope needs finite values")
    if len(np.unique(x)) < 2:
        raise ValueError("x needs at least two different values: a slope has no other meaning")
    _check_positive("y", y)
    centred = x - x.mean()
    return np.log(y) @ centred / (centred @ centred)
