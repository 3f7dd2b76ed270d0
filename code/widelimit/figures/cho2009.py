"""Cho & Saul 2009: the arc-cosine kernels, one for each power of a rectified unit."""

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

#: relu(z)², the unit of degree 2.
SQUARED_RELU = activations.Activation(
    name="squared relu",
    fn=lambda x: jnp.maximum(x, 0) ** 2,
    derivative=lambda x: 2 * jnp.maximum(x, 0),
    kinks=(0.0,),
    jumps=(0.0,),
    degree=2,
)
#: The units of degree 0, 1 and 2.
UNITS = (activations.get("step"), activations.get("relu"), SQUARED_RELU)


def angular_part(degree: int, theta: np.ndarray) -> np.ndarray | np.floating:
    r"""The angular function J_n of the arc-cosine kernel :math:`|x|^n |y|^n J_n(\theta) / \pi`.

    Args:
      degree: n, one of 0, 1, 2.
      theta: angle between the inputs, in [0, π] radians, any shape.

    Returns:
      J_n(θ), same shape; exact.

    Source: Cho & Saul 2009, section 2.
    """
    sine, cosine, rest = np.sin(theta), np.cos(theta), np.pi - theta
    return (rest, sine + rest * cosine, 3 * sine * cosine + rest * (1 + 2 * cosine**2))[degree]


def arc_cosine(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Kernels of degree 0, 1, 2 against the angle of two unit inputs, in Cho and Saul's scale.

    Args:
      key: a random key.
      scale: sets the number of networks of 100 units a replicate.

    Returns:
      ``theta``: ``[13]``; ``measured``: twice the average of h(x)h(y), ``[20, 3, 13]``;
      ``theory``: J_n(θ)/π, ``[3, 13]``.
    """
    draws = {"chapter": 200, "paper": 20_000}[scale]
    theta = np.linspace(0, np.pi, 13)
    points = jnp.asarray(np.stack([np.cos(theta), np.sin(theta)], axis=1))

    def measure(key):
        rows = [
            # ω_v = √2 is the factor 2 in front of Cho and Saul's integral.
            lab.conditional_covariance(ShallowPrior(h, 1.0, 0.0, 2**0.5), one, draws, 100, points)
            for h, one in zip(UNITS, jax.random.split(key, 3), strict=True)
        ]
        return jnp.stack([jnp.mean(row, axis=0)[0] for row in rows])

    return {
        "theta": theta,
        "measured": replicate(key, measure, "arc-cosine kernels"),
        "theory": np.stack([angular_part(n, theta) for n in range(3)]) / np.pi,
    }


def draw_arc_cosine(data: dict[str, np.ndarray]) -> Canvas:
    """The three kernels of :func:`arc_cosine`, each divided by its value at angle 0."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    fine = np.linspace(0, np.pi, 200)
    for n, marker in enumerate("os^"):
        norm = angular_part(n, np.zeros(()))
        axis.plot(fine, angular_part(n, fine) / norm, color=style.THEORY, lw=1.4)
        measured, color = data["measured"][:, n] * np.pi / norm, style.KINDS[n]
        draw_points(axis, data["theta"], measured, f"n = {n}", marker, color)
    axis.set(xlabel="angle θ between x and y", ylabel="Jₙ(θ) / Jₙ(0)")
    axis.set_xticks([0, np.pi / 2, np.pi], ["0", "π/2", "π"])
    axis.legend()
    return figure


FIGURES = (
    Figure(
        name="cho2009-arc-cosine",
        paper="cho2009",
        number="ours",
        chapter="01-neal",
        title="Arc-cosine kernels of degree 0, 1 and 2 against simulation",
        compute=arc_cosine,
        draw=draw_arc_cosine,
        seconds={"chapter": 2, "paper": 8},
    ),
)
