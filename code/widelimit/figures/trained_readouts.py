"""Networks of which only the readout is trained: draws from the posterior of a Gaussian process."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style, tangent_networks
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES
from widelimit.lab import passes, readout
from widelimit.theory import dynamics, kernels, regression

#: The activation.
ERF = activations.get("erf")
#: Number of hidden layers, σ_w² and σ_b².
DEPTH, WEIGHT_VAR, BIAS_VAR = 2, 2.0, 0.2
#: Angles of the training inputs on the circle, in degrees, and their targets.
TRAIN_AT, TARGETS = np.array([-120.0, -60.0, -20.0, 50.0, 100.0]), np.array([1, 0.2, -0.8, 0.6, 0])
#: Angles of the test inputs.
TEST_AT = np.linspace(-180, 180, 61)


def on_circle(degrees: np.ndarray) -> np.ndarray:
    """Inputs of mean square 1.

    Args:
      degrees: angles.

    Returns:
      Shape ``[inputs, 2]``.
    """
    return 2**0.5 * tangent_networks.on_circle(np.radians(degrees))


def _on_the_circle(network):
    x, y = on_circle(TRAIN_AT), jnp.asarray(TARGETS)[:, None]
    return readout.trained(network, x, y, on_circle(TEST_AT))[:, 0]


def ensemble(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Outputs of networks whose readout was trained, and what the limits predict.

    Args:
      key: a random key.
      scale: sets the width and the number of networks.

    Returns:
      ``width``; ``outputs``: at ``TEST_AT``, ``[20, networks, 61]``; ``mean``, ``std``: of the
      posterior of the NNGP, ``[61]``; ``ntk_mean``, ``ntk_std``: of wide networks all of whose
      layers are trained.
    """
    width, count = {"chapter": (256, 160), "paper": (4096, 50)}[scale]
    x = on_circle(np.concatenate([TRAIN_AT, TEST_AT]))
    both = kernels.nngp_and_ntk(fully_connected(DEPTH, ERF, WEIGHT_VAR, BIAS_VAR), x)
    nngp, ntk = (dynamics.Gram.cut(kernel, len(TRAIN_AT)) for kernel in both)
    posterior = regression.condition(*nngp, jnp.asarray(TARGETS), 0.0)
    trained = dynamics.of(ntk, nngp, jnp.asarray(TARGETS)).flow(np.inf)
    keys = jax.random.split(key, REPLICATES * count)
    outputs = passes.measured(
        tangent_networks.maker((2, *[width] * DEPTH, 1), ERF, BIAS_VAR, WEIGHT_VAR),
        _on_the_circle,
        keys,
        together=2,
    )
    return {
        "width": np.array(width),
        "outputs": np.asarray(outputs, float).reshape(REPLICATES, count, -1),
        "mean": np.asarray(posterior.mean),
        "std": spread(posterior.covariance),
        "ntk_mean": np.asarray(trained.mean),
        "ntk_std": spread(trained.covariance),
    }


def spread(covariance: jax.Array) -> np.ndarray:
    """Standard deviations.

    Args:
      covariance: shape ``[m, m]``.

    Returns:
      Shape ``[m]``; 0 where a variance is negative by rounding, as it may be at a training input.
    """
    return np.sqrt(np.maximum(np.diagonal(covariance), 0))


def draw_ensemble(data: dict[str, np.ndarray]) -> Canvas:
    """Some trained networks, their mean and spread, and the posterior."""
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.8), sharey=True)
    networks_drawn = data["outputs"].reshape(-1, len(TEST_AT))
    mean, std = data["mean"], data["std"]
    axes[0].plot(TEST_AT, networks_drawn[:12].T, color=style.EXPERIMENT, lw=0.9, alpha=0.6)
    axes[0].set_title("twelve networks")
    axes[1].fill_between(TEST_AT, mean - 2 * std, mean + 2 * std, color=style.GUIDE, alpha=0.3)
    axes[1].plot(TEST_AT, mean, color=style.THEORY, label="posterior")
    shown = slice(None, None, 4)
    axes[1].errorbar(
        TEST_AT[shown],
        networks_drawn.mean(0)[shown],
        2 * networks_drawn.std(0, ddof=1)[shown],
        fmt="o",
        color=style.EXPERIMENT,
        label="networks",
    )
    axes[1].set_title("mean ± 2 standard deviations")
    for axis in axes:
        axis.plot(TRAIN_AT, TARGETS, "k+", ms=9, mew=2)
        axis.set(xlabel="angle of the input", xticks=[-180, -90, 0, 90, 180])
        axis.set_xticklabels(["−180°", "", "0°", "", "180°"])
    axes[0].set_ylabel("output")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


FIGURES = (
    Figure(
        "lee2018-readouts",
        "lee2018",
        "ours",
        "06-nngp",
        "Networks whose readout alone is trained, and the posterior of the Gaussian process",
        ensemble,
        draw_ensemble,
        {"chapter": 8, "paper": 300},
    ),
)
