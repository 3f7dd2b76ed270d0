"""Lee et al. 2019: the distribution of a wide network's outputs at every time of its training."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.lee2019 import DEPTH, images
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, in_groups
from widelimit.figures.tangent_networks import maker
from widelimit.figures.trained_readouts import spread
from widelimit.lab import descent, passes
from widelimit.theory import dynamics, kernels

#: The activation, σ_w²; no biases.
TANH, WEIGHT_VAR = activations.get("tanh"), 1.5
#: Positions on the line through two training images, the first of which is odd and the other even.
ALPHAS = np.linspace(-0.25, 1.25, 31)
#: Steps, of rate 1/λ₁ of the limit, after which outputs are looked at, and once more at the end,
#: when e^(−5) is left along the slowest component of the limit.
STEPS = (0, 2, 8)


def line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Inputs on the line through the first image of each kind.

    Args:
      x: images, shape ``[images, d]``.
      y: 1 or −1.

    Returns:
      αx⁽¹⁾ + (1 − α)x⁽²⁾ at ``ALPHAS``, shape ``[31, d]``.
    """
    odd, even = (x[np.flatnonzero(y == kind)[0]] for kind in (1, -1))
    return ALPHAS[:, None] * odd + (1 - ALPHAS[:, None]) * even


def ensemble(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Outputs of networks on a line between two images, and what the limits predict.

    Args:
      key: a random key.
      scale: sets the width, the number of networks and that of images.

    Returns:
      ``width``; ``examples``: P; ``steps``: after which outputs are looked at, ``[4]``;
      ``outputs``: then, at ``ALPHAS``, ``[20, networks, 4, 31]``; ``mean``, ``std``: of the limit,
      ``[4, 31]``; ``readout_mean``, ``readout_std``: of wide networks whose readout alone is
      trained, by as many steps of the same rate, but at the end for ever, which is the posterior of
      the NNGP; ``posterior_std``: of a process with covariance Θ, at the end, ``[31]``.
    """
    width, count, examples = {"chapter": (160, 40, 16), "paper": (8192, 5, 128)}[scale]
    x, y = images(examples)
    between = line(x, y)
    both = kernels.nngp_and_ntk(
        fully_connected(DEPTH, TANH, WEIGHT_VAR, 0.0), np.concatenate([x, between])
    )
    nngp, ntk = (dynamics.Gram.cut(kernel, examples) for kernel in both)
    targets = jnp.asarray(y)
    training, readout = dynamics.of(ntk, nngp, targets), dynamics.of(nngp, nngp, targets)
    rate = 1 / float(training.rates[-1])
    steps = np.array([*STEPS, math.ceil(5 / (rate * float(training.rates[0])))])

    def measure(network):
        watch = lambda network: network(jnp.asarray(between, jnp.float32))[:, 0]  # noqa: E731
        # What is watched is seen before each step, the last time before one more.
        last = int(steps[-1]) + 1
        _, seen = descent.descend(network, x, y[:, None], rate, last, watch)
        return seen[steps]

    make = maker((x.shape[1], *[width] * DEPTH, 1), TANH, 0.0, WEIGHT_VAR)
    keys = jax.random.split(key, REPLICATES * count)
    together = {"chapter": 4, "paper": 1}[scale]
    outputs = passes.measured(make, measure, keys, together=together)
    limits = [training.descent(rate, int(step)) for step in steps]
    readouts = [readout.descent(rate, int(step)) for step in steps[:-1]] + [readout.flow(np.inf)]
    return {
        "width": np.array(width),
        "examples": np.array(examples),
        "steps": steps,
        "outputs": in_groups(np.asarray(outputs, float)),
        "mean": np.stack([one.mean for one in limits]),
        "std": np.stack([spread(one.covariance) for one in limits]),
        "readout_mean": np.stack([one.mean for one in readouts]),
        "readout_std": np.stack([spread(one.covariance) for one in readouts]),
        "posterior_std": spread(dynamics.of(ntk, ntk, targets).flow(np.inf).covariance),
    }


def draw_ensemble(data: dict[str, np.ndarray]) -> Canvas:
    """Mean and two standard deviations on the line, at four times."""
    figure, axes = plt.subplots(2, 2, figsize=(6.8, 5.4), sharex=True, sharey=True)
    networks = data["outputs"].reshape(-1, *data["mean"].shape)
    names = [*(f"after {step} steps" for step in STEPS), "at the end"]
    shown = slice(1, None, 3)
    for row, (axis, name) in enumerate(zip(axes.flat, names, strict=True)):
        mean, std = data["readout_mean"][row], data["readout_std"][row]
        axis.fill_between(ALPHAS, mean - 2 * std, mean + 2 * std, color=style.RIVAL, alpha=0.2)
        axis.plot(ALPHAS, mean, "--", color=style.RIVAL, label="readout alone")
        mean, std = data["mean"][row], data["std"][row]
        for sign in (-2, 2):
            axis.plot(ALPHAS, mean + sign * std, color=style.THEORY, lw=1)
        axis.plot(ALPHAS, mean, color=style.THEORY, lw=2, label="limit")
        axis.errorbar(
            ALPHAS[shown],
            networks[:, row, shown].mean(0),
            2 * networks[:, row, shown].std(0, ddof=1),
            fmt="o",
            ms=4,
            color=style.EXPERIMENT,
            label="networks",
        )
        axis.plot([0, 1], [-1, 1], "k+", ms=9, mew=2)
        axis.set(title=name)
    for axis in axes[1]:
        axis.set_xlabel("position α between two images")
    for axis in axes[:, 0]:
        axis.set_ylabel("output")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


FIGURES = (
    Figure(
        "lee2019-fig2",
        "lee2019",
        "Figure 2",
        "08-linear",
        "Outputs of an ensemble between two images, at four times of the training",
        ensemble,
        draw_ensemble,
        {"chapter": 14, "paper": 100_000},
    ),
)
