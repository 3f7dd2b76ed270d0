"""The tangent kernel of deep networks: it saturates, grows with the depth, or explodes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, by_column, draw_points, each, in_groups
from widelimit.figures.tangent_networks import maker
from widelimit.lab import passes, tangent
from widelimit.theory import kernels, phases

#: The activation and σ_b².
ERF, BIAS_VAR = activations.get("erf"), 0.1
#: σ_w² in order, on the edge and in chaos, in units of that on the edge.
TIMES_CRITICAL = {"order": 0.5, "edge": 1.0, "chaos": 2.0}
#: Numbers of hidden layers of networks, and of the limit, which costs nothing.
DEPTHS, ALL_DEPTHS = np.array([1, 4, 16]), np.array([1, 2, 4, 8, 16, 32, 64, 128])
#: Two inputs of mean square 1 at a right angle.
INPUTS = 2**0.5 * np.eye(2)


def weight_vars() -> np.ndarray:
    """σ_w² of the three kinds.

    Returns:
      In order, on the edge, in chaos.
    """
    critical = float(phases.critical_weight_var(ERF, BIAS_VAR))
    return critical * np.array(list(TIMES_CRITICAL.values()))


def _kernels(network):
    return tangent.by_layers(network, INPUTS, INPUTS)[0, :, 0, 0]


def growth(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Tangent kernels of networks of many depths, and their limits.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``width``; ``networks``: mean of Θ̂(x, x) and Θ̂(x, x′), ``[20, kinds, depths, 2]``;
      ``limits``: Θ at ``ALL_DEPTHS``, ``[kinds, depths, 2]``; ``chi_1``, ``var``: χ₁ and q*.
    """
    width, count = {"chapter": (256, 2), "paper": (2048, 10)}[scale]
    of_kinds = weight_vars()
    found = np.zeros((REPLICATES, len(of_kinds), len(DEPTHS), 2))
    for (column, depth), one in each(enumerate(DEPTHS), key, "deep tangent kernels"):
        make = maker((2, *[width] * int(depth), 1), ERF, BIAS_VAR)
        for row, weight_var in enumerate(of_kinds):
            keys = jax.random.split(jax.random.fold_in(one, row), REPLICATES * count)
            settings = keys, jnp.full(len(keys), weight_var, jnp.float32)
            values = passes.measured(make, _kernels, *settings, together=4)
            found[:, row, column] = in_groups(np.asarray(values, float)).mean(axis=1)
    deep = [[fully_connected(int(d), ERF, w, BIAS_VAR) for d in ALL_DEPTHS] for w in of_kinds]
    limits = [[np.asarray(kernels.ntk(one, INPUTS)[0]) for one in row] for row in deep]
    point = phases.phase_diagram(ERF, of_kinds, BIAS_VAR)
    return {
        "width": np.array(width),
        "networks": found,
        "limits": np.array(limits),
        "chi_1": np.asarray(point.chi_1),
        "var": np.asarray(point.var),
    }


def draw_growth(data: dict[str, np.ndarray]) -> Canvas:
    """Θ at equal inputs, and its ratio at different ones, against depth."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.8))
    for row, kind in enumerate(TIMES_CRITICAL):
        color, marker = style.KINDS[row], "os^"[row]
        both = data["networks"][:, row]
        ratio = by_column(lambda mean: mean[1] / mean[0], both)
        limit = data["limits"][row]
        axes[0].loglog(ALL_DEPTHS, limit[:, 0], color=style.THEORY, lw=1.2)
        draw_points(axes[0], DEPTHS, both[..., 0], kind, marker, color)
        axes[1].semilogx(ALL_DEPTHS, limit[:, 1] / limit[:, 0], color=style.THEORY, lw=1.2)
        draw_points(axes[1], DEPTHS, ratio, None, marker, color)
    axes[1].axhline(1 / 3, color=style.GUIDE, lw=1, ls=":")
    for axis, title in zip(axes, ("Θ(x, x)", "Θ(x, x′) / Θ(x, x)"), strict=True):
        style.width_axis(axis, ALL_DEPTHS[::2])
        axis.set(title=title, xlabel="hidden layers L")
    axes[0].set_ylim(top=1e6)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


FIGURES = (
    Figure(
        "jacot2018-depth",
        "jacot2018",
        "ours",
        "07-ntk",
        "The tangent kernel in order, on the edge and in chaos",
        growth,
        draw_growth,
        {"chapter": 12, "paper": 600},
    ),
)
