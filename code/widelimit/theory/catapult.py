r"""What becomes of the tangent kernel when the learning rate is above the critical one.

One hidden layer without biases in the neural tangent parametrization, one example with target 0,
square loss, gradient descent. What matters is the sharpness :math:`k = \eta\,\hat\Theta(x, x)`, the
learning rate times the tangent kernel, whose critical value is 2. Above it the output grows until
it is of order √n, which changes the kernel by a finite fraction at every width n, and falls again
once k is below 2: the catapult of Lewkowycz et al. 2020. Limits as n → ∞.
"""

from __future__ import annotations

import math

#: Beyond this sharpness the end depends on where the output starts.
MOST = 3.0
# Where k²f² starts, in units of n, and a number of steps that is more than enough from 2.001 on.
_START, _STEPS = 1e-12, 100_000


def linear_units(sharpness: float) -> float:
    r"""The sharpness after training, for linear units.

    .. math:: z \to z\,(1 - k + z)^2, \qquad k \to k - z\,(4 - k),

    with :math:`z = \eta^2\sigma_w^2 K^1 f^2/n`, is iterated from a very small z.

    Args:
      sharpness: k before training, positive, at most ``MOST``.

    Returns:
      k after training: what it was, up to 2; above, 4 − k up to the square of the excess over 2.
      From 2.8 on it varies with the start, at 3 by ±0.03.

    Raises:
      ValueError: a sharpness out of range, or above 2 by less than 0.001, where it takes too long.

    Source: Lewkowycz et al. 2020; chapter 8, equation (8.12).
    """
    if not 0 < sharpness <= MOST:
        raise ValueError(
            f"sharpness={sharpness}; give a positive number of at most {MOST:g}, beyond which the "
            "end depends on the start"
        )
    if sharpness <= 2:
        return float(sharpness)
    if sharpness < 2.001:
        raise ValueError(f"sharpness={sharpness} is too near to 2; from 2.001 on it is computed")
    k, z = float(sharpness), _START
    for _ in range(_STEPS):
        k, z = k - z * (4 - k), z * (1 - k + z) ** 2
        if k < 2 and z < _START:
            break
    return k


def relu_units(sharpness: float) -> float:
    r"""The sharpness after training just above the critical rate, for ReLU units.

    Units that the swings of the output switch off stay off, so that less is left to be undone:
    from :math:`2 + \epsilon` it ends at

    .. math:: 2 - e^{-(\pi/2 - \psi)\tan\psi}\,\epsilon + O(\epsilon^2),
        \qquad \sin\psi = \frac{1}{\sqrt 2\,\pi}

    Args:
      sharpness: k before training, at least 2.

    Returns:
      k after training, to first order in the excess over 2; the factor is 0.733.

    Raises:
      ValueError: a sharpness below 2, or infinite.

    Source: chapter 8, equation (8.13).
    """
    if not 2 <= sharpness < math.inf:
        raise ValueError(f"sharpness={sharpness}; give one of at least 2, the critical value")
    psi = math.asin(1 / (math.sqrt(2) * math.pi))
    return 2 - math.exp(-(math.pi / 2 - psi) * math.tan(psi)) * (sharpness - 2)
