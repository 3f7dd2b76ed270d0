"""Lee et al. 2019: how far wide networks move, and how near they stay to linear models."""

from __future__ import annotations

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each
from widelimit.figures.tangent_networks import maker
from widelimit.lab import data, descent, passes, tangent
from widelimit.theory import dynamics, kernels

#: Number of hidden layers.
DEPTH = 3
#: The activations, one with a kink and one smooth, with σ_w² and σ_b².
ACTIVATIONS = {
    "relu": (activations.get("relu"), 2.0, 0.1),
    "erf": (activations.get("erf"), 1.5, 0.1),
}
#: How figures call them.
LABELS = {"relu": "ReLU", "erf": "erf"}
#: Number of training images, and of test images.
EXAMPLES = 16
#: Widths.
WIDTHS = np.array([64, 192, 512])
#: As many steps as, at rate 1/λ₁, leave e^(−TIME) along the slowest component of the limit.
TIME = 6


@cache
def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits, centred, each in units in which its mean square is 1, and whether they are odd.

    Args:
      count: how many, at most 1797, the same ones in every run.

    Returns:
      Shapes ``[count, 64]`` and ``[count]``, the latter 1 for odd digits and −1 for even ones; they
      cannot be written to.

    Raises:
      ValueError: more images than there are, or none.
    """
    digits = data.load("digits")
    centred = np.asarray(digits.x, float)
    if not 1 <= count <= len(centred):
        raise ValueError(f"count={count}; there are {len(centred)} images")
    centred = centred - centred.mean(axis=0)
    kept = np.random.default_rng(2019).permutation(len(centred))[:count]
    x = centred[kept] / np.sqrt(np.mean(centred[kept] ** 2, axis=1, keepdims=True))
    y = np.where(np.asarray(digits.y)[kept] % 2, 1.0, -1.0)
    for one in (x, y):
        one.flags.writeable = False
    return x, y


def distances(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """How far training moves networks, and how far they stray from two linear models.

    Args:
      key: a random key.
      scale: sets the number of networks, of images and the widths.

    Returns:
      ``widths``; ``examples``: P; for each activation, such as ``erf_own``, ``[20, widths]``:
      ``own``, ``own_test``: the largest distance, over training, between the outputs of a network
      and those of its linearization, a root mean square over training or test images, in units of
      the root mean square of f₀ − y over training images; ``limit``, ``limit_test``: between the
      network and an infinitely wide one with the same start; relative changes by training: ``ntk``,
      of Θ̂ among training images; ``nngp``, of K̂ there; ``input``, ``hidden``, ``readout``, of the
      weights; ``operator``, of hidden weights in the operator norm. All other norms are Frobenius
      norms.
    """
    examples, widths, counts = {
        "chapter": (EXAMPLES, WIDTHS, (6, 4, 2)),
        "paper": (128, 2 ** np.arange(8, 13), (2,) * 5),
    }[scale]
    x, y = images(2 * examples)
    train, targets = x[:examples], y[:examples]
    found = {"widths": widths, "examples": np.array(examples)}
    for name, one in each(ACTIVATIONS, key, "distances from linear models"):
        activation, weight_var, bias_var = ACTIVATIONS[name]
        theta = kernels.ntk(fully_connected(DEPTH, activation, weight_var, bias_var), x)
        rates = np.linalg.eigvalsh(theta[:examples, :examples])
        steps = math.ceil(TIME * rates[-1] / rates[0])

        def measure(network, most=rates[-1], steps=steps):
            own = tangent.by_layers(network, x, x)[:, :, 0, 0]
            # λ₁ of a narrow network may be more than twice the limit's: its tangent would diverge.
            rate = 1 / jnp.maximum(most, jnp.linalg.eigvalsh(own[:examples, :examples])[-1])
            watch = lambda network: network(jnp.asarray(x, jnp.float32))[:, 0]  # noqa: E731
            trained, seen = descent.descend(network, train, targets[:, None], rate, steps, watch)
            pair = (network, trained)
            weights = [[part.kernel[...] for part in one.layers] for one in pair]
            # Hidden layers stand in one stack, whose norm is that of all of them together.
            moved = descent.relative_change(*weights)
            added = jax.vmap(descent.operator_norm)(weights[1][1] - weights[0][1])
            # Of a square Gaussian matrix the operator norm is 2√n, up to a relative n^(−2/3).
            moved.append(jnp.mean(added) / (2 * weights[0][1].shape[-1] ** 0.5))
            return {
                "outputs": seen,
                "rate": rate,
                "ntk": [own, tangent.by_layers(trained, x, x)[:, :, 0, 0]],
                "nngp": [_readout_kernel(one, train) for one in pair],
                "moved": jnp.stack(moved),
            }

        columns = []
        for (width, count), of_width in each(zip(widths, counts, strict=True), one, name):
            make = maker((x.shape[1], *[int(width)] * DEPTH, 1), activation, bias_var, weight_var)
            keys = jax.random.split(of_width, REPLICATES * count)
            trained = passes.measured(make, measure, keys, together=4)
            columns.append(_sizes(trained, np.asarray(theta), targets))
        for what in columns[0]:
            means = [column[what].reshape(REPLICATES, -1).mean(axis=1) for column in columns]
            found[f"{name}_{what}"] = np.stack(means, axis=1)
    return found


def _readout_kernel(network, x):
    """K̂, the tangent kernel of the readout alone."""
    last, readout = network.activation(network.preactivations(x)[1][-1]), network.layers[-1]
    variance = readout.bias_multiplier[...] ** 2
    return readout.kernel_multiplier[...] ** 2 * last @ last.T + variance


# Linear models, one for each kernel and start.
_followed = jax.jit(jax.vmap(dynamics.trajectory, in_axes=(0, 0, None, 0, None)))


def _sizes(trained, theta, targets):
    """How far each network moved, and how far it strayed from linear models."""
    count = len(targets)
    seen = trained["outputs"].astype(float)
    own, own_after = (one.astype(float) for one in trained["ntk"])
    change = jax.vmap(descent.relative_change)
    steps = jnp.arange(seen.shape[1])
    found = dict(zip(("input", "hidden", "readout", "operator"), trained["moved"].T, strict=True))
    found["ntk"] = change(own[:, :count, :count], own_after[:, :count, :count])
    found["nngp"] = change(*trained["nngp"])
    unit = jnp.sqrt(jnp.mean((seen[:, 0, :count] - targets) ** 2, axis=1))
    for name, kernel in (("own", own), ("limit", jnp.broadcast_to(theta, own.shape))):
        linear = _followed(kernel[:, :, :count], seen[:, 0], targets, trained["rate"], steps)
        apart = (seen - linear) ** 2
        for suffix, inputs in (("", apart[..., :count]), ("_test", apart[..., count:])):
            found[name + suffix] = jnp.sqrt(jnp.max(jnp.mean(inputs, axis=2), axis=1)) / unit
    return {name: np.asarray(value, float) for name, value in found.items()}


def draw_movement(data: dict[str, np.ndarray]) -> Canvas:
    """Relative changes of kernels and weights by training, against width."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 4.4), sharey=True)
    curves = (
        ("readout", "readout", -0.5),
        ("input", "input weights", -0.5),
        ("hidden", "hidden weights", -1),
        ("ntk", "kernel Θ̂", -1),
        ("nngp", "kernel K̂", -1),
    )
    widths = data["widths"]
    for axis, name in zip(axes, ACTIVATIONS, strict=True):
        for row, (what, label, slope) in enumerate(curves):
            found = data[f"{name}_{what}"]
            line = found.mean(0)[-1] * (widths / widths[-1]) ** slope
            axis.loglog(widths, line, color=style.GUIDE, lw=1)
            draw_points(axis, widths, found, label, "os^Dv"[row], style.KINDS[row])
        style.width_axis(axis, widths)
        axis.set(title=LABELS[name], xlabel="width n")
    axes[0].set_ylabel("relative change by training")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def draw_distances(data: dict[str, np.ndarray]) -> Canvas:
    """Largest distances over training between networks and two linear models, against width."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 4.2), sharey=True)
    widths = data["widths"]
    curves = (("limit", "kernel of the limit", -0.5), ("own", "own kernel", -1))
    for axis, name in zip(axes, ACTIVATIONS, strict=True):
        for row, (what, label, slope) in enumerate(curves):
            found = data[f"{name}_{what}"]
            line = found.mean(0)[-1] * (widths / widths[-1]) ** slope
            axis.loglog(widths, line, color=style.GUIDE, lw=1)
            # Test inputs stand a little to the right, so that neither hides the other.
            for suffix, where, marker, shift in (
                ("", "training", "o", 1),
                ("_test", "test", "s", 1.1),
            ):
                found = data[f"{name}_{what}{suffix}"]
                name_of = f"{label}, {where} inputs"
                draw_points(axis, widths * shift, found, name_of, marker, style.KINDS[row])
        style.width_axis(axis, widths)
        axis.set(title=LABELS[name], xlabel="width n")
    axes[0].set_ylabel("largest distance / error at the start")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


FIGURES = (
    Figure(
        "lee2019-fig1",
        "lee2019",
        "Figure 1",
        "08-linear",
        "How far training moves weights and kernels, against width",
        distances,
        draw_movement,
        {"chapter": 20, "paper": 60_000},
    ),
    Figure(
        "lee2019-distances",
        "lee2019",
        "ours",
        "08-linear",
        "How far networks stray from their linearization and from the limit",
        distances,
        draw_distances,
        {"chapter": 20, "paper": 60_000},
        data_of="lee2019-fig1",
    ),
)
