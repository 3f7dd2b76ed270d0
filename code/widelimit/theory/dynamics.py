r"""Training of infinitely wide networks under the square loss, solved: a linear equation.

The loss is :math:`\tfrac12 \sum_{i=1}^P (f(x_i) - y_i)^2`, summed, not averaged. In the kernel
limit Θ stays what it is, so gradient flow is linear in the outputs on the training inputs,

.. math:: \dot f = -\Theta\,(f - y), \qquad f_t = y + e^{-\Theta t} (f_0 - y),

and gradient descent with rate η has :math:`(1 - \eta\Theta)^s` after s steps where the flow has
:math:`e^{-\Theta t}`. **The unit of t** is rate times steps: t = ηs. With a loss that is averaged
over the P examples it is ηs/P.

**A network and the ensemble.** One trained network is one draw: at a test input it has moved by
:math:`A_t (y - f_0)` with :math:`A_t = \Theta_*^\top \Theta^{-1}(1 - e^{-\Theta t})`, from an f₀
that is a draw of the NNGP. Over draws the outputs are Gaussian at every t, with

.. math:: \bar f_t = A_t\, y, \qquad
    \Sigma_t = K_{**} + A_t K A_t^\top - A_t K_* - K_*^\top A_t^\top .

As t → ∞ this is no posterior: with Θ for K it would be one, and so it is where only the last layer
is trained.

**Errors.** Everything is computed in the eigenvectors of Θ, in which (1 − e^(−λt))/λ has no
difficulty at small λ: relative errors of 1e-15 times λ_max·min(t, 1/λ_min).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Gram(NamedTuple):
    """One kernel among training and test inputs.

    Attributes:
      train: among the training inputs, ``[P, P]``.
      cross: between training (rows) and test inputs (columns), ``[P, m]``.
      test: among the test inputs, ``[m, m]``.
    """

    train: Float[Array, "P P"]
    cross: Float[Array, "P m"]
    test: Float[Array, "m m"]

    @classmethod
    def cut(cls, kernel: Float[Array, "all all"], count: int) -> Gram:
        """The blocks of a kernel matrix.

        Args:
          kernel: among training and test inputs, training inputs first.
          count: P.

        Returns:
          The blocks.
        """
        return cls(kernel[:count, :count], kernel[:count, count:], kernel[count:, count:])


class Ensemble(NamedTuple):
    """Outputs of trained networks at the test inputs, over initializations.

    Attributes:
      mean: ``[m]``, or ``[m, outputs]``.
      covariance: of one output, ``[m, m]``; different outputs are independent.
    """

    mean: Float[Array, "m ..."]
    covariance: Float[Array, "m m"]


class LinearTraining(NamedTuple):
    """The training of infinitely wide networks on one set of examples; from :func:`of`.

    Attributes:
      rates: λ, eigenvalues of Θ among the training inputs, rising, ``[P]``: what f lacks along an
        eigenvector falls as e^(−λt).
      modes: the eigenvectors, in columns, ``[P, P]``.
      targets: y in the eigenvectors, ``[P]``, or ``[P, outputs]``.
      ntk: Θ between the eigenvectors (rows) and the test inputs, ``[P, m]``.
      nngp: K among the eigenvectors, between them and the test inputs, and among these.
    """

    rates: Float[Array, " P"]
    modes: Float[Array, "P P"]
    targets: Float[Array, "P ..."]
    ntk: Float[Array, "P m"]
    nngp: Gram

    @property
    def critical_rate(self) -> float:
        """2/λ_max: gradient descent converges at rates below it and diverges above."""
        most = float(self.rates[-1])
        return 2 / most if most > 0 else math.inf

    def flow(self, time: float) -> Ensemble:
        """The ensemble after gradient flow.

        Args:
          time: t ≥ 0, rate times steps; may be infinite.

        Returns:
          Mean and covariance at the test inputs.

        Raises:
          ValueError: t negative or NaN; t infinite where Θ is singular to rounding.
        """
        if not time >= 0:
            raise ValueError(f"time={time}; training takes a time of at least 0")
        if math.isinf(time):
            return self._ensemble(1 / self._positive_rates("time=inf"))
        safe = jnp.where(self.rates > 0, self.rates, 1)
        return self._ensemble(jnp.where(self.rates > 0, -jnp.expm1(-safe * time) / safe, time))

    def descent(self, rate: float, steps: int) -> Ensemble:
        """The ensemble after gradient descent.

        Args:
          rate: η > 0; above :attr:`critical_rate` the result grows without bound, and at last
            to infinity.
          steps: s ≥ 0.

        Returns:
          Mean and covariance at the test inputs.

        Raises:
          ValueError: a rate that is not positive and finite, steps that are no whole number ≥ 0.
        """
        if not 0 < rate < math.inf:
            raise ValueError(f"rate={rate}; a learning rate is positive and finite")
        whole = isinstance(steps, int | np.integer) and not isinstance(steps, bool)
        if not (whole and steps >= 0):
            raise ValueError(f"steps={steps}; give a whole number of at least 0")
        return self._ensemble(_gain_of_descent(self.rates, rate, steps))

    def _positive_rates(self, what):
        least, most = float(self.rates[0]), float(self.rates[-1])
        floor = len(self.rates) * float(jnp.finfo(self.rates.dtype).eps) * most
        if least <= floor:
            raise ValueError(
                f"{what}: the smallest eigenvalue of the NTK, {least:.3g}, is not above rounding, "
                f"{floor:.3g}; take out repeated inputs, or a finite time"
            )
        return self.rates

    def _ensemble(self, gain):
        """What comes of (1 − e^(−λt))/λ along each eigenvector."""
        motion = self.ntk * gain[:, None]
        moved = motion.T @ self.nngp.train @ motion
        met = motion.T @ self.nngp.cross
        covariance = self.nngp.test + moved - met - met.T
        # A matrix product need not round (i, j) as it rounds (j, i).
        return Ensemble(motion.T @ self.targets, (covariance + covariance.T) / 2)


def trajectory(
    columns: Float[Array, "all P"],
    start: Float[Array, " all"],
    y: Float[Array, " P"],
    rate: float | Float[Array, ""],
    steps: Int[Array, " times"],
) -> Float[Array, "times all"]:
    r"""One model that is linear in its parameters, under gradient descent.

    .. math:: f_s(x) = f_0(x) - \Theta_{xX}\, \Theta^{-1}
        \bigl(1 - (1 - \eta\Theta)^s\bigr)\, (f_0(X) - y)

    With the kernel of one network, which its linearization keeps, it is that linearization; with
    the limit's, an infinitely wide network that began with the same outputs. It may be traced, and
    has the precision of its arguments.

    Args:
      columns: Θ(x, xᵢ) between all inputs and the training inputs, these first, symmetric and
        positive semidefinite among them.
      start: f₀ at all inputs.
      y: targets.
      rate: η > 0, of the summed loss.
      steps: whole numbers s ≥ 0, at which times.

    Returns:
      The outputs at all inputs. Above 2/λ_max they grow, and where numbers end are infinite or NaN.

    Raises:
      ValueError: columns that do not fit the start and the targets; a rate or steps out of range,
        where these are not traced.

    Source: Lee et al. 2019, section 2.2.
    """
    shapes = columns.shape, start.shape, y.shape
    if shapes != ((len(start), len(y)), (len(start),), (len(y),)) or len(start) < len(y):
        raise ValueError(
            f"columns, start and y have shapes {shapes}; they are [all, P], [all] and [P]"
        )
    if not isinstance(rate, jax.core.Tracer) and not 0 < float(rate) < math.inf:
        raise ValueError(f"rate={rate}; a learning rate is positive and finite")
    if not isinstance(steps, jax.core.Tracer) and bool(jnp.any(steps < 0)):
        raise ValueError(f"steps={steps}; give whole numbers of at least 0")
    rate = jnp.asarray(rate, columns.dtype)
    rates, modes = jnp.linalg.eigh((columns[: len(y)] + columns[: len(y)].T) / 2)
    lacking, motion = modes.T @ (start[: len(y)] - y), columns @ modes
    at = lambda step: start - motion @ (_gain_of_descent(rates, rate, step) * lacking)  # noqa: E731
    return jax.vmap(at)(steps)


def _gain_of_descent(rates, rate, steps):
    """(1 − (1 − ηλ)^s)/λ for each λ, without cancellation where ηλ is small."""
    safe = jnp.where(rates > 0, rates, 1)
    slow = rate * safe < 0.5
    count = jnp.asarray(steps, rates.dtype)
    small = -jnp.expm1(count * jnp.log1p(-rate * jnp.where(slow, safe, 0)))
    # What is raised to the power is negative above 1/λ.
    kept = 1 - rate * safe
    large = 1 - jnp.where((kept < 0) & (steps % 2 == 1), -1, 1) * jnp.abs(kept) ** count
    return jnp.where(rates > 0, jnp.where(slow, small, large) / safe, rate * count)


def of(ntk: Gram, nngp: Gram, y: Float[Array, "P ..."]) -> LinearTraining:
    """Prepare the training of infinitely wide networks.

    Args:
      ntk: Θ.
      nngp: K, the covariance of the outputs before training.
      y: targets, one or more outputs.

    Returns:
      The training; its methods give ensembles. For outputs on the training inputs give these as
      test inputs.

    Raises:
      ValueError: matrices whose shapes do not fit y or one another; Θ that is not symmetric, or has
        eigenvalues well below 0.

    Source: Jacot et al. 2018 for the flow; Lee et al. 2019 for the ensemble.
    """
    tests = ntk.cross.shape[1]
    for name, one in (("ntk", ntk), ("nngp", nngp)):
        shapes = tuple(block.shape for block in one)
        if shapes[:2] != ((len(y), len(y)), (len(y), tests)) or one.test.shape != (tests, tests):
            raise ValueError(
                f"{name} has blocks of shapes {shapes} for {len(y)} targets; they are "
                "[P, P], [P, m] and [m, m]"
            )
        if not all(bool(jnp.all(jnp.isfinite(block))) for block in one):
            raise ValueError(f"{name} holds NaN or infinite numbers")
        scale = float(jnp.max(jnp.abs(one.train)))
        if float(jnp.max(jnp.abs(one.train - one.train.T))) > 1e-5 * scale:
            raise ValueError(f"{name}.train is not symmetric")
    if not bool(jnp.all(jnp.isfinite(y))):
        raise ValueError("y holds NaN or infinite numbers")
    rates, modes = jnp.linalg.eigh((ntk.train + ntk.train.T) / 2)
    if float(rates[0]) < -1e-5 * float(rates[-1]):
        raise ValueError(
            f"ntk.train has the eigenvalue {float(rates[0]):.3g}; a kernel has none < 0"
        )
    return LinearTraining(
        rates,
        modes,
        modes.T @ y,
        modes.T @ ntk.cross,
        Gram(modes.T @ nngp.train @ modes, modes.T @ nngp.cross, nngp.test),
    )
