"""Schoenholz et al. 2017: with dropout equal inputs part, and no depth scale diverges any more."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import ledger
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import draw_points, each
from widelimit.figures.schoenholz2017 import (
    BIAS_VAR,
    GROUP,
    equally_correlated,
    fitted,
    group_moments,
)
from widelimit.figures.schoenholz2017_gradients import INPUTS, logarithms, one_input
from widelimit.figures.tanh_networks import TANH, many_networks
from widelimit.lab import passes
from widelimit.theory import fluctuations, gradient_growth, phases

#: Keep probabilities ρ of the lines, and those that are measured.
KEEP_PROBS, MEASURED = (1.0, 0.98, 0.9, 0.8), (0.9,)
#: σ_w² of the networks, the edge without dropout in the middle.
WEIGHT_VARS = (1.3, 1.761, 2.5)
#: Correlations c¹ of two groups of inputs.
STARTS = (0.3, 0.98)
#: Hidden layers; those of the fit of ξ_c, and from which on correlations count as settled.
DEPTH, FITTED, SETTLED = 40, np.arange(2, 9), 30
#: Networks in a replicate; one case is measured better, and so are its gradients.
NETWORKS, MORE_NETWORKS, GRADIENT_NETWORKS = 4, 12, 64
#: Layers over which the growth of gradients is fitted.
GROWN = np.arange(9, 32)


def _groups(made):
    network, x, masks = made
    moments = lambda h: jnp.stack(group_moments(h))  # noqa: E731
    return passes.by_layer(moments, network.preactivations(x, masks)[:-1])


def parted(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Correlations of inputs in networks with dropout, each input with masks of its own.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``width``; ``weight_vars``, ``[n]``, and for each ρ of ``KEEP_PROBS`` the lines ``line_ρ_c``
      and ``line_ρ_xi``; for each measured ρ and σ_w² P: ``P_square``, ``P_products``, of the two
      groups, ``[20, depth, 2]``; ``P_theory`` and ``P_drift``, the limits and the 1/n terms of the
      products, ``[depth, 2]``, and ``P_length``, those of the square. ``gradient_logarithm``,
      ``[20, depth]``, at the middle of ``WEIGHT_VARS`` and the first measured ρ, and
      ``gradient_growth``, its limit and its prediction at the width.

    Source: Schoenholz et al. 2017; chapter 4, equations (4.10) to (4.12).
    """
    width = {"chapter": 100, "paper": 300}[scale]
    found = {"width": np.array(width), "weight_vars": np.linspace(0.8, 3.5, 109)}
    for keep_prob in KEEP_PROBS:
        line = phases.phase_diagram(TANH, found["weight_vars"], BIAS_VAR, keep_prob)
        found[f"line_{keep_prob}_c"] = line.correlation
        found[f"line_{keep_prob}_xi"] = np.asarray(line.xi_c)
    cases = [(keep_prob, w) for keep_prob in MEASURED for w in WEIGHT_VARS]
    for (keep_prob, w), one in each(cases, key, "dropout"):
        q = float(phases.phase_diagram(TANH, w, BIAS_VAR, keep_prob).var)
        best = (keep_prob, w) == (MEASURED[0], WEIGHT_VARS[1])
        name, shared = f"{keep_prob}_{w}", q - BIAS_VAR
        x = np.concatenate(
            [equally_correlated((c * q - BIAS_VAR) / shared, GROUP, GROUP + 1) for c in STARTS]
        )
        of_groups, of_gradients = jax.random.split(one)
        drawn = many_networks(
            _groups,
            (GROUP + 1, *[width] * DEPTH, 1),
            w,
            np.sqrt(shared / w) * x,
            of_groups,
            MORE_NETWORKS if best else NETWORKS,
            BIAS_VAR,
            keep_prob,
        )
        found[f"{name}_square"], found[f"{name}_products"] = drawn[:, :, 0], drawn[:, :, 1]
        low, high = (
            fluctuations.by_layer(TANH, q, q, c, DEPTH, w, BIAS_VAR, keep_prob) for c in STARTS
        )
        found[f"{name}_theory"] = np.stack([low.state[:, 2], high.state[:, 2]], axis=1)
        found[f"{name}_drift"] = np.stack([low.shift[:, 2], high.shift[:, 2]], axis=1)
        found[f"{name}_length"] = np.array([q, low.shift[-1, 0]])
        if best:
            found["gradient_logarithm"] = many_networks(
                logarithms,
                (INPUTS, *[width] * DEPTH, 1),
                w,
                one_input(w, q),
                of_gradients,
                GRADIENT_NETWORKS,
                BIAS_VAR,
                keep_prob,
            )
            terms = gradient_growth.at_fixed_point(TANH, q, w, BIAS_VAR, keep_prob)
            found["gradient_growth"] = np.array([terms.limit, terms.at_width(width)])
    return found


def settled(
    data: dict[str, np.ndarray], keep_prob: float, weight_var: float
) -> tuple[float, float, np.ndarray]:
    """The correlation that inputs come to.

    Args:
      data: from :func:`parted`.
      keep_prob: one of ``MEASURED``.
      weight_var: one of ``WEIGHT_VARS``.

    Returns:
      The limit; the ratio of the means of product and square with their 1/n terms; the measured
      ratio of means, as the jackknife's pseudo-values, ``[20]``.
    """
    name, width, late = f"{keep_prob}_{weight_var}", int(data["width"]), slice(SETTLED - 1, None)
    means = [data[f"{name}_{what}"][:, late].mean(axis=(1, 2)) for what in ("products", "square")]
    measured = ledger.pseudo_values(lambda mean: mean[0] / mean[1], np.stack(means, axis=1))
    q, shift = data[f"{name}_length"]
    limit, drift = (data[f"{name}_{what}"][late].mean() for what in ("theory", "drift"))
    return limit / q, (limit + drift / width) / (q + shift / width), measured


def depth_scale(
    data: dict[str, np.ndarray], keep_prob: float, weight_var: float
) -> tuple[float, float, np.ndarray]:
    """ξ_c, fitted to the difference of the two groups.

    Args:
      data: from :func:`parted`.
      keep_prob: one of ``MEASURED``.
      weight_var: one of ``WEIGHT_VARS``.

    Returns:
      As :func:`widelimit.figures.schoenholz2017.depth_scale`.
    """
    parts = (
        np.diff(data[f"{keep_prob}_{weight_var}_{what}"][..., FITTED - 1, :], axis=-1)[..., 0]
        for what in ("products", "theory", "drift")
    )
    return fitted(FITTED, *parts, int(data["width"]))


def draw_parted(data: dict[str, np.ndarray]) -> Canvas:
    """c* and ξ_c over σ_w² for several keep probabilities."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.8))
    colors = dict(
        zip(KEEP_PROBS, (style.THEORY, style.KINDS[0], style.KINDS[1], style.KINDS[3]), strict=True)
    )
    for keep_prob, color in colors.items():
        label = f"ρ = {keep_prob:g}"
        axes[0].plot(data["weight_vars"], data[f"line_{keep_prob}_c"], color=color, label=label)
        axes[1].plot(data["weight_vars"], data[f"line_{keep_prob}_xi"], color=color)
    for keep_prob, marker in zip(MEASURED, "o^s", strict=False):
        for axis, measure in zip(axes, (settled, depth_scale), strict=True):
            cases = [measure(data, keep_prob, w) for w in WEIGHT_VARS]
            _, predicted, found = zip(*cases, strict=True)
            points = np.stack(found, axis=1)
            draw_points(axis, np.array(WEIGHT_VARS), points, None, marker, colors[keep_prob])
            axis.plot(WEIGHT_VARS, predicted, "_", color=style.KINDS[2], ms=13, mew=1.6)
    axes[0].plot([], [], "_", color=style.KINDS[2], ms=13, mew=1.6, label="predicted, this width")
    axes[0].set(xlabel="σ_w²", ylabel="c*", ylim=(0, 1.05), title="where correlations end")
    axes[1].set(xlabel="σ_w²", ylabel="ξ_c", yscale="log", ylim=(1, 200), title="how fast")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


FIGURES = (
    Figure(
        "schoenholz2017-dropout",
        "schoenholz2017",
        "with dropout",
        "04-propagation",
        "With dropout c* is below 1 and no depth scale diverges",
        parted,
        draw_parted,
        {"chapter": 10, "paper": 90},
    ),
)
