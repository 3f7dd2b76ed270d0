"""Neal 1994: what networks with one hidden layer look like when drawn from their prior.

The original figures could not be consulted. What is known of their settings, and from where, is
said in the chapter; the settings here are the ones written below.
"""

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
from widelimit.lab import shallow as lab
from widelimit.theory import shallow as theory

#: The two inputs of figure 1.1.
POINTS = (-0.2, 0.4)
#: Its prior.
SMALL = ShallowPrior(activations.get("tanh"), 5.0, 5.0, 1.0, 0.1)
#: The prior of figure 1.2.
STEP = ShallowPrior(activations.get("sign"), 1.0, 1.0, 1.0, 1.0)


def joint_prior(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Values of f at −0.2 and 0.4 for many tanh networks of 1, 3, 10 and 100 hidden units.

    Args:
      key: a random key.
      scale: ``"chapter"`` or ``"paper"``; sets the number of networks.

    Returns:
      ``width_H``: ``[draws, 2]`` for each H; ``covariance``: of the limit, ``[2, 2]``.
    """
    x = jnp.asarray(POINTS)[:, None]
    draws = {"chapter": 600, "paper": 5000}[scale]
    data = {"covariance": np.asarray(theory.kernel(SMALL, x, x))}
    for width, one in zip((1, 3, 10, 100), jax.random.split(key, 4), strict=True):
        data[f"width_{width}"] = np.asarray(lab.outputs(SMALL, one, draws, width, x)[:, 0])
    return data


def draw_joint_prior(data: dict[str, np.ndarray]) -> Canvas:
    """Scatter plots of :func:`joint_prior`, with contours of the Gaussian limit."""
    figure, grid = plt.subplots(2, 2, figsize=(5.4, 5.4), sharex=True, sharey=True)
    axes = grid.ravel()
    turn = np.linspace(0, 2 * np.pi, 100)
    factor = np.linalg.cholesky(data["covariance"])
    for axis, width in zip(axes, (1, 3, 10, 100), strict=True):
        f = data[f"width_{width}"]
        axis.plot(*f.T, ".", ms=2.2, color=style.EXPERIMENT, alpha=0.6, rasterized=True)
        for level in (1, 2):
            axis.plot(*(level * factor @ [np.cos(turn), np.sin(turn)]), color=style.THEORY, lw=1.2)
        axis.set(title=f"H = {width}", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))
        axis.set_aspect("equal")
    for axis in grid[:, 0]:
        axis.set_ylabel("f(0.4)")
    for axis in grid[1]:
        axis.set_xlabel("f(−0.2)")
    return figure


def _paths(key, prior, widths, x, count=3, alpha=None):
    x = jnp.asarray(x, jnp.float32)[:, None]
    keys = jax.random.split(key, len(widths))
    return [
        np.asarray(lab.outputs(prior, one, count, width, x, alpha=alpha)[:, 0])
        for one, width in zip(keys, widths, strict=True)
    ]


def step_paths(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Three functions each from networks of 300 and of 10,000 step units, σ_u = σ_a = 1.

    Args:
      key: a random key.
      scale: sets the number of grid points.

    Returns:
      ``x``: ``[n]``; ``few`` and ``many``: ``[3, n]``; ``x_zoom`` and ``zoom``: one of the
      functions of 10,000 units on a thousandth of the interval.
    """
    points = {"chapter": 600, "paper": 6000}[scale]
    x, zoom = np.linspace(-6, 6, points), np.linspace(-0.006, 0.006, points)
    few, many = _paths(key, STEP, (300, 10_000), np.concatenate([x, zoom]))
    return {
        "x": x,
        "few": few[:, :points],
        "many": many[:, :points],
        "x_zoom": zoom,
        "zoom": many[:1, points:],
    }


def draw_step_paths(data: dict[str, np.ndarray]) -> Canvas:
    """Paths of :func:`step_paths`, and one of them magnified a thousand times."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 6.6))
    panels = (
        ("x", "few", "H = 300"),
        ("x", "many", "H = 10,000"),
        ("x_zoom", "zoom", "magnified 1000 times"),
    )
    for axis, (x, paths, title) in zip(axes, panels, strict=True):
        axis.plot(data[x], data[paths].T, lw=0.8, drawstyle="steps-mid")
        axis.set(title=title, ylabel="f(x)")
    axes[-1].set_xlabel("x")
    return figure


def tanh_paths(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Functions from tanh networks, 30 and 10,000 units, input scales σ_u = σ_a = 5 and 20.

    Args:
      key: a random key.
      scale: sets the number of grid points.

    Returns:
      ``x``: ``[n]``; ``few_5``, ``many_5``, ``few_20``, ``many_20``: ``[3, n]``.
    """
    x = np.linspace(-1, 1, {"chapter": 500, "paper": 5000}[scale])
    data = {"x": x}
    for std, one in zip((5, 20), jax.random.split(key), strict=True):
        prior = ShallowPrior(activations.get("tanh"), std, std, 1.0, 1.0)
        data[f"few_{std}"], data[f"many_{std}"] = _paths(one, prior, (30, 10_000), x)
    return data


def draw_tanh_paths(data: dict[str, np.ndarray]) -> Canvas:
    """Paths of :func:`tanh_paths`: rows are numbers of units, columns input scales."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.4), sharex=True)
    for column, std in enumerate((5, 20)):
        for row, (size, width) in enumerate((("few", "30"), ("many", "10,000"))):
            axes[row, column].plot(data["x"], data[f"{size}_{std}"].T, lw=1.1)
            axes[row, column].set_title(f"H = {width}, σᵤ = σₐ = {std}")
        axes[1, column].set_xlabel("x")
        axes[column, 0].set_ylabel("f(x)")
    return figure


#: The indices α of figure 1.4, with their names.
STABLE = {2.0: "Gaussian (α = 2)", 1.5: "α = 1.5", 1.0: "Cauchy (α = 1)"}


def stable_paths(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Step-unit networks whose output weights are α-stable: 150 and 10,000 units.

    Args:
      key: a random key.
      scale: sets the number of grid points.

    Returns:
      ``x``: ``[n]``; ``few_A`` and ``many_A``: ``[2, n]`` for each index A.
    """
    x = np.linspace(-6, 6, {"chapter": 600, "paper": 6000}[scale])
    prior = ShallowPrior(activations.get("sign"), 1.0, 1.0, 1.0, 0.0)
    data = {"x": x}
    for alpha, one in zip(STABLE, jax.random.split(key, 3), strict=True):
        few, many = _paths(one, prior, (150, 10_000), x, count=2, alpha=alpha)
        data[f"few_{alpha}"], data[f"many_{alpha}"] = few, many
    return data


def draw_stable_paths(data: dict[str, np.ndarray]) -> Canvas:
    """Paths of :func:`stable_paths`: rows are indices α, columns numbers of units."""
    figure, axes = plt.subplots(3, 2, figsize=(6.4, 6.2), sharex=True)
    for row, (alpha, name) in enumerate(STABLE.items()):
        for column, (size, width) in enumerate((("few", "150"), ("many", "10,000"))):
            paths = data[f"{size}_{alpha}"].T
            axes[row, column].plot(data["x"], paths, lw=0.9, drawstyle="steps-mid")
            axes[row, column].set_title(f"{name}, H = {width}")
        axes[row, 0].set_ylabel("f(x) − b")
    for axis in axes[-1]:
        axis.set_xlabel("x")
    return figure


FIGURES = (
    Figure(
        name="neal1994-fig2",
        paper="neal1994",
        number="joint prior (number unconfirmed)",
        chapter="01-neal",
        title="Joint prior of f(−0.2) and f(0.4) as the hidden layer grows",
        compute=joint_prior,
        draw=draw_joint_prior,
        seconds={"chapter": 3, "paper": 2},
    ),
    Figure(
        name="neal1994-step",
        paper="neal1994",
        number="step-unit functions (number unconfirmed)",
        chapter="01-neal",
        title="Functions from the prior, step units: Brownian in the limit",
        compute=step_paths,
        draw=draw_step_paths,
        seconds={"chapter": 2, "paper": 2},
    ),
    Figure(
        name="neal1994-tanh",
        paper="neal1994",
        number="tanh-unit functions (number unconfirmed)",
        chapter="01-neal",
        title="Functions from the prior, tanh units at two input scales",
        compute=tanh_paths,
        draw=draw_tanh_paths,
        seconds={"chapter": 2, "paper": 2},
    ),
    Figure(
        name="neal1994-stable",
        paper="neal1994",
        number="Cauchy-prior functions (number unconfirmed)",
        chapter="01-neal",
        title="Functions from the prior, Gaussian and heavy-tailed output weights",
        compute=stable_paths,
        draw=draw_stable_paths,
        seconds={"chapter": 2, "paper": 2},
    ),
)
