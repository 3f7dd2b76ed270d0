"""Williams 1997: the covariance function of infinitely many erf units, in closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import ShallowPrior
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import draw_points, replicate
from widelimit.lab import shallow as lab
from widelimit.theory import shallow as theory

#: The prior of figure 1.5.
ERF = ShallowPrior(activations.get("erf"), 2.0, 1.0)
#: Its three anchors x′.
ANCHORS = (-1.0, 0.0, 1.5)


def erf_kernel(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """K(x, x′) of erf units, σ_u = 2 and σ_a = 1, for x′ = −1, 0 and 1.5.

    Args:
      key: a random key.
      scale: sets the number of networks of 100 units a replicate.

    Returns:
      ``x``: ``[n]``; ``measured``: average of h(x)h(x′) over hidden units, ``[20, 3, n]``;
      ``theory``: ``[3, n]``.
    """
    draws = {"chapter": 200, "paper": 20_000}[scale]
    x = np.linspace(-4, 4, 65)
    points = jnp.asarray(np.concatenate([ANCHORS, x]))[:, None]
    rows = slice(0, len(ANCHORS)), slice(len(ANCHORS), None)

    def measure(key):
        return jnp.mean(lab.conditional_covariance(ERF, key, draws, 100, points), axis=0)[rows]

    return {
        "x": x,
        "measured": replicate(key, measure, "the erf kernel"),
        "theory": np.asarray(theory.kernel(ERF, points, points)[rows]),
    }


def draw_erf_kernel(data: dict[str, np.ndarray]) -> Canvas:
    """Slices of :func:`erf_kernel`, one anchor a line."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    for index, (anchor, marker) in enumerate(zip(ANCHORS, "os^", strict=True)):
        axis.plot(data["x"], data["theory"][index], color=style.THEORY, lw=1.4)
        measured, color = data["measured"][:, index, ::4], style.KINDS[index]
        label = f"x′ = {anchor:g}".replace("-", "−")
        draw_points(axis, data["x"][::4], measured, label, marker, color)
    axis.set(xlabel="x", ylabel="K(x, x′)")
    axis.legend()
    return figure


FIGURES = (
    Figure(
        name="williams1997-erf-kernel",
        paper="williams1997",
        number="ours",
        chapter="01-neal",
        title="Covariance of infinitely many erf units against simulation",
        compute=erf_kernel,
        draw=draw_erf_kernel,
        seconds={"chapter": 2, "paper": 32},
    ),
)
