"""Lee et al. 2018: how far the Gaussian process's uncertainty says how wrong it is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.architectures import fully_connected
from widelimit.figures import digit_kernels, style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each
from widelimit.figures.trained_readouts import ERF
from widelimit.lab import networks, passes
from widelimit.theory import kernels, regression

#: Number of hidden layers, σ_w² and σ_b².
DEPTH, WEIGHT_VAR, BIAS_VAR = 3, 2.0, 0.2
#: Training and test images, and how many test images are averaged over.
TRAIN, TEST, BIN = 200, 1500, 100
#: Width of the networks that give targets.
WIDTH = 512


def _prior(key, x):
    """A network of the prior, and inputs."""
    widths = (x.shape[1], *[WIDTH] * DEPTH, digit_kernels.CLASSES)
    return networks.FullyConnected(key, widths, ERF, weight_var=WEIGHT_VAR, bias_var=BIAS_VAR), x


def _outputs(made):
    network, x = made
    return network(x)


def uncertainty(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Squared errors of the posterior mean beside the posterior variance.

    Args:
      key: a random key.
      scale: sets the number of training images.

    Returns:
      ``variance``: the posterior's, in bins of test images in its order, ``[20, bins]``;
      ``digits``, ``networks``: mean squared errors over outputs in these bins, for the targets of
      the digits and for those that random networks give; ``scale``: γ, by which the kernel must be
      multiplied for the evidence of the digits to be largest, ``[20]``; ``prior_variance``: of an
      output, one number.

    Source: chapter 6, equation (6.5) for the posterior, and exercise 6.3 for γ.
    """
    train = {"chapter": TRAIN, "paper": 250}[scale]
    data = digit_kernels.digits()
    whole = kernels.nngp(fully_connected(DEPTH, ERF, WEIGHT_VAR, BIAS_VAR), data.x)
    splits_key, networks_key = jax.random.split(key)
    x = jnp.tile(jnp.asarray(data.x, jnp.float32), (REPLICATES, 1, 1))
    functions = passes.measured(_prior, _outputs, jax.random.split(networks_key, REPLICATES), x)
    rows = []
    for index, one in each(range(REPLICATES), splits_key, "uncertainty"):
        split = digit_kernels.problem(one, train, TEST)
        function = np.asarray(functions[index], float)
        inside, outside = split.train, split.test
        targets = np.concatenate([split.targets, function[inside]], axis=1)
        truth = np.concatenate([split.test_targets, function[outside]], axis=1)
        posterior = regression.condition(
            whole[np.ix_(inside, inside)],
            whole[np.ix_(inside, outside)],
            whole[np.ix_(outside, outside)],
            jnp.asarray(targets),
            0.0,
        )
        variance = np.diagonal(posterior.covariance)
        order = np.argsort(variance)
        squares = (np.asarray(posterior.mean) - truth) ** 2
        errors = [np.mean(part, axis=1) for part in np.split(squares, 2, axis=1)]
        binned = [a[order].reshape(-1, BIN).mean(axis=1) for a in (variance, *errors)]
        rows.append([*binned, _scale(whole[np.ix_(inside, inside)], split.targets)])
    names = ("variance", "digits", "networks", "scale")
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    prior = {"prior_variance": np.asarray(whole[0, 0])}
    return {**dict(zip(names, columns, strict=True)), **prior}


def _scale(kernel, targets):
    return np.mean(targets * np.linalg.solve(kernel, targets))


def draw_uncertainty(data: dict[str, np.ndarray]) -> Canvas:
    """Errors against variances, for both kinds of targets."""
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.8))
    for axis, name in zip(axes, ("networks", "digits"), strict=True):
        variance, error = data["variance"].mean(0), data[name]
        factor = 1.0 if name == "networks" else data["scale"].mean()
        axis.loglog(variance, factor * variance, color=style.THEORY, label="predicted")
        draw_points(axis, variance, error, "measured")
        axis.set(title=f"targets of {name}", xlabel="posterior variance")
        axis.set_xticks([0.1, 0.2, 0.3], ["0.1", "0.2", "0.3"])
        ticks = [0.1, 0.2, 0.3] if name == "networks" else [0.002, 0.005, 0.01, 0.02, 0.05]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    axes[0].set_ylabel("mean squared error")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


FIGURES = (
    Figure(
        "lee2018-uncertainty",
        "lee2018",
        "figure 2",
        "06-nngp",
        "Errors of the posterior mean against the posterior variance",
        uncertainty,
        draw_uncertainty,
        {"chapter": 8, "paper": 15},
    ),
)
