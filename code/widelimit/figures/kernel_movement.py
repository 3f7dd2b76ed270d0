"""How far training moves the parameters of a wide network, and its tangent kernel."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.jacot2018 import TRAIN_AT
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, by_column, draw_points, each, in_groups
from widelimit.figures.tangent_networks import maker, on_circle
from widelimit.lab import descent, passes, tangent
from widelimit.theory import kernels, kink

#: The activations: one smooth, one with a kink.
ERF, RELU = activations.get("erf"), activations.get("relu")
#: Number of hidden layers, σ_w² and σ_b² of the deep networks.
DEPTH, WEIGHT_VAR, BIAS_VAR = 2, 1.5, 0.1
#: Targets of the four examples on the circle.
TARGETS = np.array([1.0, -0.5, 0.3, 0.8])
#: Widths of the deep networks.
WIDTHS = np.array([64, 128, 256, 512])
#: Widths of the shallow ones, which learn one example; their σ_w², without biases.
SHALLOW, SHALLOW_VAR = np.array([256, 4096, 16384]), 2.0
#: Angle between the example and the input beside it, in degrees.
BESIDE = 60
#: Steps of gradient descent, at half the critical rate of the limit.
STEPS = 60


def movement(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Tangent kernels at initialization and after training, and how far parameters moved.

    Args:
      key: a random key.
      scale: sets the number of networks.

    Returns:
      ``square``: mean square of the relative distance of Θ̂ from Θ before training, ``[20,
      widths]``; ``kernel``: mean relative change of Θ̂ by training; ``input``, ``hidden``,
      ``readout``: those of the weights; ``operator``: that of the hidden weights in the operator
      norm, over 2√n. All other distances are in the Frobenius norm.
    """
    count = {"chapter": 8, "paper": 100}[scale]
    x = on_circle(TRAIN_AT)
    theta = np.asarray(kernels.ntk(fully_connected(DEPTH, ERF, WEIGHT_VAR, BIAS_VAR), x))
    rate = 1 / np.linalg.eigvalsh(theta)[-1]
    size = np.linalg.norm(theta)

    def measure(network):
        trained, _ = descent.descend(network, x, TARGETS[:, None], rate, STEPS)
        before, after = (tangent.by_layers(one, x, x)[:, :, 0, 0] for one in (network, trained))
        weights = [[part.kernel[...] for part in one.layers] for one in (network, trained)]
        moved = descent.relative_change([before, *weights[0]], [after, *weights[1]])
        hidden = weights[1][1][0] - weights[0][1][0]
        # Of a square Gaussian matrix the operator norm is 2√n, up to a relative n^(−2/3).
        operator = descent.operator_norm(hidden) / (2 * len(hidden) ** 0.5)
        error = jnp.sum((before - theta.astype(np.float32)) ** 2) / size.astype(np.float32) ** 2
        return jnp.stack([error, *moved, operator])

    columns = []
    for width, one in each(WIDTHS, key, "movement of kernels"):
        make = maker((2, *[int(width)] * DEPTH, 1), ERF, BIAS_VAR, WEIGHT_VAR)
        keys = jax.random.split(one, REPLICATES * count)
        found = np.asarray(passes.measured(make, measure, keys, together=4), float)
        columns.append(in_groups(found).mean(axis=1))
    names = ("square", "kernel", "input", "hidden", "readout", "operator")
    return dict(zip(names, np.stack(columns, axis=-1).transpose(1, 0, 2), strict=True))


def draw_movement(data: dict[str, np.ndarray]) -> Canvas:
    """The kernel's distance from Θ and its movement, and that of the weights, against width."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 4.2))
    data = {**data, "distance": by_column(np.sqrt, data["square"])}
    panels = (
        (("distance", "from Θ, before training", -0.5), ("kernel", "change by training", -1)),
        (
            ("readout", "readout", -0.5),
            ("input", "input weights", -0.5),
            ("operator", "hidden, operator norm", -0.5),
            ("hidden", "hidden, Frobenius norm", -1),
        ),
    )
    for axis, curves, title in zip(axes, panels, ("kernel", "weights"), strict=True):
        for row, (name, label, slope) in enumerate(curves):
            found = data[name]
            line = found.mean(0)[-1] * (WIDTHS / WIDTHS[-1]) ** slope
            axis.loglog(WIDTHS, line, color=style.GUIDE, lw=1)
            draw_points(axis, WIDTHS, found, label, "os^D"[row], style.KINDS[row])
        style.width_axis(axis, WIDTHS)
        axis.set(title=title, xlabel="width n")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22))
    axes[0].set_ylabel("relative size")
    return figure


def one_example(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    r"""How training on one example changes the tangent kernel there, for a smooth φ and for ReLU.

    One hidden layer, no biases, an example of mean square 1 with target 0, and a second input,
    ``BESIDE`` degrees away, which is not learned.

    Args:
      key: a random key.
      scale: sets the number of networks.

    Returns:
      ``relu``, ``erf``: mean change of Θ̂ over the mean of \|f₀\|, which training removes: at the
      example, between it and the other input, and at this, ``[20, widths, 3]``; ``relu_square``,
      ``erf_square``: mean square of the change at the example, ``[20, widths]``;
      ``relu_before``, ``erf_before``: relative variance there before training.
    """
    count = {"chapter": 48, "paper": 2000}[scale]
    two = 2**0.5 * on_circle(np.radians([0, BESIDE]))
    x = two[:1]

    def measure(network):
        trained, lacking = descent.descend(network, x, np.zeros((1, 1)), 0.1, 40)
        both = [tangent.by_layers(one, two, two)[:, :, 0, 0] for one in (network, trained)]
        pairs = jnp.stack([both[0], both[1] - both[0]])[:, [0, 0, 1], [0, 1, 1]]
        return jnp.concatenate([pairs[0, :1], pairs[1], jnp.abs(lacking[0, 0])])

    found: dict[str, list[np.ndarray]] = {}
    for activation, of_kind in each((RELU, ERF), key, "one example"):
        limit = float(kernels.ntk(fully_connected(1, activation, SHALLOW_VAR), x)[0, 0])
        for width, one in each(SHALLOW, of_kind, activation.name):
            make = maker((2, int(width), 1), activation, 0.0, SHALLOW_VAR)
            keys = jax.random.split(one, REPLICATES * count)
            values = in_groups(np.asarray(passes.measured(make, measure, keys, together=16), float))
            before, change, missing = values[..., 0], values[..., 1:4], values[..., 4]
            columns = {
                "": change.mean(axis=1) / missing.mean(axis=1)[:, None],
                "_square": np.mean(change[..., 0] ** 2, axis=1),
                "_before": np.mean((before / limit - 1) ** 2, axis=1),
            }
            for name, column in columns.items():
                found.setdefault(activation.name + name, []).append(column)
    return {name: np.stack(columns, axis=1) for name, columns in found.items()}


def draw_one_example(data: dict[str, np.ndarray]) -> Canvas:
    """Root mean square change of the kernel at the example, against width."""
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    first, theta = SHALLOW_VAR, 2 * SHALLOW_VAR
    # Mean and scatter for |f₀| = 1, then the mean over f₀, whose variance is K = K¹ = first.
    mean = kink.kernel_change(SHALLOW_VAR, first, theta, 1.0)
    scatter = kink.kernel_scatter(SHALLOW_VAR, first, theta, 1.0)
    squares = mean**2 * first / SHALLOW + scatter**2 * (2 * first / np.pi) ** 0.5 / SHALLOW**1.5
    size = {k: by_column(np.sqrt, data[f"{k}_square"]) for k in ("relu", "erf")}
    axis.loglog(SHALLOW, np.sqrt(squares), color=style.THEORY, lw=1.2, label="the kink")
    smooth = size["erf"].mean(0)[-1] * SHALLOW[-1] / SHALLOW
    axis.loglog(SHALLOW, smooth, color=style.GUIDE, lw=1.2, label="slope −1")
    draw_points(axis, SHALLOW, size["relu"], "ReLU", "o", style.KINDS[0])
    draw_points(axis, SHALLOW, size["erf"], "erf", "s", style.KINDS[1])
    style.width_axis(axis, SHALLOW)
    axis.set(xlabel="width n", ylabel="change of Θ̂(x, x)")
    figure.legend(loc="outside upper center", ncols=4)
    return figure


FIGURES = (
    Figure(
        "jacot2018-movement",
        "jacot2018",
        "ours",
        "07-ntk",
        "How far training moves a wide network's kernel and its weights",
        movement,
        draw_movement,
        {"chapter": 8, "paper": 120},
    ),
    Figure(
        "jacot2018-kink",
        "jacot2018",
        "ours",
        "07-ntk",
        "What the kink of ReLU adds to the movement of the kernel at the examples",
        one_example,
        draw_one_example,
        {"chapter": 10, "paper": 250},
    ),
)
