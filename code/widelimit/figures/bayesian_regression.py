"""Regression with a Bayesian network: its posterior, and what the data teach its hidden units."""

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
from widelimit.lab import posterior as lab_posterior
from widelimit.theory import regression
from widelimit.theory import shallow as theory

#: Inputs of the four data.
DATA_X = np.array([-1.0, -0.35, 0.3, 0.9])
#: Their targets.
DATA_Y = np.array([-0.6, -0.9, 0.5, 1.0])
#: Variance of the targets' noise, σ_ε².
NOISE_VAR = 0.04
#: The prior of figures 1.7 and 1.9.
REGRESSION = ShallowPrior(activations.get("tanh"), 3.0, 3.0)


def posterior(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Posterior of a network of four hidden units beside that of its Gaussian limit.

    Args:
      key: a random key.
      scale: sets the number of hidden layers drawn.

    Returns:
      ``x``: ``[49]``; ``mean``, ``std``: of the finite network; ``mean_limit``, ``std_limit``: of
      the Gaussian process; ``effective_fraction``: of the sample, one number.
    """
    draws = {"chapter": 10_000, "paper": 100_000}[scale]
    x = np.linspace(-2, 2, 49)
    finite = lab_posterior.sample_posterior(
        REGRESSION, key, draws, 4, DATA_X[:, None], DATA_Y, x[:, None], NOISE_VAR
    )
    limit = _limit(x)
    return {
        "x": x,
        "mean": np.asarray(finite.mean),
        "std": np.asarray(finite.std),
        "mean_limit": np.asarray(limit.mean),
        "std_limit": np.sqrt(np.diagonal(limit.covariance)),
        "effective_fraction": np.asarray(finite.effective_fraction),
    }


def _limit(x):
    n, inputs = len(DATA_X), jnp.asarray(np.concatenate([DATA_X, x]))[:, None]
    k = theory.kernel(REGRESSION, inputs, inputs)
    return regression.condition(k[:n, :n], k[:n, n:], k[n:, n:], jnp.asarray(DATA_Y), NOISE_VAR)


def draw_posterior(data: dict[str, np.ndarray]) -> Canvas:
    """Means and two-standard-deviation bands of :func:`posterior`."""
    figure, axes = plt.subplots(2, 1, figsize=(6.0, 5.6), sharex=True, sharey=True)
    x = data["x"]
    panels = (
        ("", "finite network, H = 4 (sampled)", style.EXPERIMENT),
        ("_limit", "Gaussian process, H → ∞ (exact)", style.THEORY),
    )
    for axis, (suffix, title, color) in zip(axes, panels, strict=True):
        mean, std = data[f"mean{suffix}"], data[f"std{suffix}"]
        axis.fill_between(x, mean - 2 * std, mean + 2 * std, color=color, alpha=0.18, lw=0)
        axis.plot(x, mean, color=color)
        axis.plot(DATA_X, DATA_Y, "k+", ms=9, mew=2)
        axis.set(title=title, ylabel="f(x)")
    axes[0].plot(x, data["mean_limit"], color=style.THEORY, lw=0.9)
    axes[-1].set_xlabel("x")
    return figure


def learning_shift(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """What the data teach the hidden units of a Bayesian network, against its width.

    Args:
      key: a random key.
      scale: sets the number of hidden layers a replicate.

    Returns:
      ``widths``: ``[n]``; ``shift``: prior minus posterior mean of the network's own kernel
      between the second and the third input, ``[20, n]``; ``spread``: the prior standard
      deviation of that entry from network to network, ``[20, n]``.
    """
    draws = {"chapter": 3_000, "paper": 100_000}[scale]
    widths = np.array([64, 128, 256, 512])

    def measure(key):
        rows = []
        for index, width in enumerate(widths):
            one = jax.random.fold_in(key, index)
            sample = lab_posterior.sample_posterior(
                REGRESSION,
                one,
                draws,
                int(width),
                DATA_X[:, None],
                DATA_Y,
                np.ones((1, 1)),
                NOISE_VAR,
            )
            entry = np.asarray(sample.covariances[:, 1, 2], float)
            weights = np.asarray(sample.weights, float)
            rows.append([entry.mean() - weights @ entry, entry.std(ddof=1)])
        return np.array(rows).T

    measured = replicate(key, measure, "what hidden units learn")
    return {"widths": widths, "shift": measured[:, 0], "spread": measured[:, 1]}


def draw_learning_shift(data: dict[str, np.ndarray]) -> Canvas:
    """The shift and the spread of :func:`learning_shift`, with guides of slope −1 and −½."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    widths = data["widths"]
    draw_points(axis, widths, data["shift"], "moved by the data")
    draw_points(axis, widths, data["spread"], "varies from network to network", "s", style.KINDS[1])
    for name, slope in (("shift", -1.0), ("spread", -0.5)):
        line = data[name].mean(0)[0] * (widths / widths[0]) ** slope
        axis.loglog(widths, line, ":", color=style.GUIDE)
    axis.set_ylabel("change of a kernel entry")
    axis.set_yticks([0.003, 0.01, 0.03, 0.1], ["0.003", "0.01", "0.03", "0.1"])
    style.width_axis(axis, widths)
    axis.legend()
    return figure


FIGURES = (
    Figure(
        name="neal1996-posterior",
        paper="neal1996",
        number="ours",
        chapter="01-neal",
        title="Posterior of a finite Bayesian network and of its Gaussian limit",
        compute=posterior,
        draw=draw_posterior,
        seconds={"chapter": 4, "paper": 12},
    ),
    Figure(
        name="neal1996-learning-shift",
        paper="neal1996",
        number="ours",
        chapter="01-neal",
        title="How far the data move the hidden units, against the width",
        compute=learning_shift,
        draw=draw_learning_shift,
        seconds={"chapter": 5, "paper": 77},
    ),
)
