r"""What gradient flow finds in a diagonal linear network with two layers.

The model is linear in x and not in its parameters, :math:`f(x) = \beta\cdot x` with
:math:`\beta_i = u_i^2 - v_i^2`, and starts at :math:`u_i = v_i = \alpha`, so that β = 0. With fewer
examples than coefficients many β fit. Gradient flow on the square loss finds the one with

.. math:: \min_{X\beta = y}\ Q_\alpha(\beta), \qquad
    Q_\alpha(\beta) = \alpha^2 \sum_i q(\beta_i/\alpha^2), \qquad
    q(z) = 2 - \sqrt{4 + z^2} + z\,\operatorname{arcsinh}(z/2)

The reason is a conserved quantity. u moves by :math:`-2 u\, X^\top r` and v by
:math:`2 v\, X^\top r`, with r = Xβ − y. So the product uv stays what it is, and
:math:`\operatorname{arcsinh}(\beta/2\alpha^2)` stays among the combinations of the examples, which
is the condition for a minimum of Q.

Where α is large Q is :math:`|\beta|^2/4\alpha^2`: the kernel regime, the fit of least Euclidean
length. As α → 0 it is :math:`\log(1/\alpha^2) \sum_i |\beta_i|` to leading order: the rich regime,
the fit of least :math:`\ell_1` norm.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Newton steps. While β is small against its end each multiplies it by a factor, and some tens do.
_STEPS = 400


def potential(beta: Float[Array, " d"], scale: float | Float[Array, " d"]) -> Float[Array, ""]:
    """Q_α, whose minimum among all fits gradient flow finds.

    Args:
      beta: β.
      scale: α > 0, one for all coefficients or one for each.

    Returns:
      Q_α(β) ≥ 0, to rounding relative to it.

    Raises:
      ValueError: a scale that is not positive and finite.

    Source: Woodworth et al. 2020, theorem 1.
    """
    square = _square(scale)
    z = jnp.asarray(beta) / square
    # 2 − √(4 + z²) without cancellation at small z.
    return jnp.sum(square * (z * jnp.arcsinh(z / 2) - z**2 / (2 + jnp.sqrt(4 + z**2))))


def limit_of_flow(
    x: Float[Array, "P d"], y: Float[Array, " P"], scale: float | Float[Array, " d"]
) -> Float[Array, " d"]:
    r"""The β at which gradient flow ends.

    Newton's method on the dual problem, for ν in :math:`\beta = 2\alpha^2\sinh(X^\top\nu)`.

    Args:
      x: examples, linearly independent, at most as many as coefficients.
      y: targets.
      scale: α > 0, one for all coefficients or one for each.

    Returns:
      β in float64, with \|Xβ − y\| below 1e-12 of \|y\|.

    Raises:
      ValueError: shapes that do not fit, examples that are not independent, numbers that are not
        finite, a scale that is not positive and finite.
      ArithmeticError: no convergence, as at an α too small for float64.

    Source: Woodworth et al. 2020, theorem 1.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"x and y have shapes {x.shape} and {y.shape}; they are [P, d] and [P]")
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise ValueError("x or y holds NaN or infinite numbers")
    if np.linalg.matrix_rank(x) < len(x):
        raise ValueError(
            f"the {len(x)} examples are not linearly independent: give others, or fewer"
        )
    square = np.asarray(_square(scale), float) * np.ones(x.shape[1])
    size = np.linalg.norm(y)
    if size == 0:
        return jnp.zeros(x.shape[1])

    def dual(nu):
        with np.errstate(over="ignore"):
            return np.sum(2 * square * np.cosh(x.T @ nu)) - y @ nu

    nu = np.zeros(len(x))
    for _ in range(_STEPS):
        beta = 2 * square * np.sinh(x.T @ nu)
        missing = y - x @ beta
        if np.linalg.norm(missing) <= 1e-12 * size:
            return jnp.asarray(beta)
        step = np.linalg.solve((x * np.sqrt(4 * square**2 + beta**2)) @ x.T, missing)
        fall, now = missing @ step, dual(nu)
        length = 1.0
        # Where the dual is known to rounding only, Newton's own step is the best there is.
        if fall > 1e-12 * abs(now):
            while not dual(nu + length * step) <= now - 1e-4 * length * fall:
                length /= 2
        nu = nu + length * step
    raise ArithmeticError(
        f"no convergence in {_STEPS} steps at scale={scale}: {np.linalg.norm(missing):.3g} of y is "
        "missing; take a larger scale"
    )


def _square(scale):
    scale = jnp.asarray(scale)
    if not bool(jnp.all((scale > 0) & jnp.isfinite(scale))):
        raise ValueError(f"scale={scale}; an initial scale is positive and finite")
    return scale**2
