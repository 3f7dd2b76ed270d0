"""Schoenholz et al. 2017: how fast what a network was told fades, and the depth scales."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import ledger
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import draw_points, each
from widelimit.figures.tanh_networks import TANH, many_networks
from widelimit.lab import passes
from widelimit.theory import fluctuations, phases, signal

#: σ_b² of all networks of the chapter.
BIAS_VAR = 0.05
#: The σ_w² at which signals are followed; the edge is at 1.761.
WEIGHT_VARS = (1.0, 1.3, 1.5, 1.7, 2.0, 2.5, 4.0)
#: Correlations c¹ of two groups of inputs whose difference is followed. In the ordered phase the
#: second group is one input. They lie so that the difference fades by the same factor at once.
STARTS = {
    1.0: (0.95, 1.0),
    1.3: (0.97, 1.0),
    1.5: (0.985, 1.0),
    1.7: (0.99, 1.0),
    2.0: (0.08, 0.95),
    2.5: (0.05, 0.7),
    4.0: (0.03, 0.4),
}
#: Layers over which a rate is fitted: from this one, where lengths have settled, to the last.
FIRST, LAST = 3, {1.0: 12, 1.3: 22, 1.5: 40, 1.7: 40, 2.0: 40, 2.5: 20, 4.0: 12}
#: Networks in a replicate: more where the rate is small.
NETWORKS = {1.0: 4, 1.3: 4, 1.5: 8, 1.7: 24, 2.0: 48, 2.5: 32, 4.0: 12}
#: What is measured, its limit, and n times the distance of its mean from that.
PARTS = ("", "_theory", "_drift")
#: Inputs in a group.
GROUP = 8
#: Two lengths q¹, over q*, whose difference is followed, and the layers of the fit.
LENGTHS, LENGTH_LAYERS = (1.3, 0.6), np.arange(1, 6)
#: Correlations of inputs with a third one, followed by layer from wherever they start.
TOLD = (0.0, 0.8)


@cache
def fixed_points() -> phases.PhaseDiagram:
    """The fixed points at each of ``WEIGHT_VARS``.

    Returns:
      The diagram, seven points.
    """
    return phases.phase_diagram(TANH, np.array(WEIGHT_VARS), BIAS_VAR)


def equally_correlated(correlation: float, count: int, dimension: int) -> np.ndarray:
    """Inputs of which each two have the same correlation, with mean square 1.

    Args:
      correlation: in [0, 1].
      count: how many, below the dimension.
      dimension: of the inputs.

    Returns:
      Inputs, ``[count, dimension]``: a common part along the first coordinate, and a part of its
      own along one of the others.
    """
    own = np.eye(count, dimension, 1)
    own[:, 0] = 1
    parts = np.full(dimension, np.sqrt(1 - correlation))
    parts[0] = np.sqrt(correlation)
    return np.sqrt(dimension) * own * parts


def _inputs(weight_var, q):
    """Two groups, two inputs that differ in length, two that know a third, and the third."""
    dimension = GROUP + 1
    shared = q - BIAS_VAR  # what the weights make of q*
    groups = [
        equally_correlated((c * q - BIAS_VAR) / shared, GROUP, dimension)
        for c in STARTS[weight_var]
    ]
    third = equally_correlated(1.0, 1, dimension)
    scaled = [np.sqrt((ratio * q - BIAS_VAR) / shared) * third for ratio in LENGTHS]
    one = np.sqrt(dimension) * np.eye(1, dimension, 1)
    told = [c * third + np.sqrt(1 - c**2) * one for c in TOLD]
    return np.sqrt(shared / weight_var) * np.concatenate([*groups, *scaled, *told, third])


def group_moments(h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean square of two groups of signals, and mean product of two signals of a group.

    Args:
      h: a layer's values, ``[2·GROUP, width]``.

    Returns:
      Both for each group, ``[2]``; the mean product is over pairs of different signals.
    """
    groups = h.reshape(2, GROUP, -1)
    square = jnp.mean(groups**2, axis=(1, 2))
    everything = jnp.mean(groups.mean(axis=1) ** 2, axis=-1)
    return square, (GROUP * everything - square) / (GROUP - 1)


def _layer(h):
    square, product = group_moments(h[: 2 * GROUP])
    longer, shorter, *told, third = h[2 * GROUP :]
    mean = lambda a, b: jnp.mean(a * b)  # noqa: E731
    return {
        "square": square,
        "product": product,
        "length": mean(longer, longer) - mean(shorter, shorter),
        "told": jnp.stack([mean(one, third) for one in told]),
        "told_square": jnp.stack([mean(one, one) for one in told]),
        "third_square": mean(third, third),
    }


def _followed(made):
    network, x = made
    return passes.by_layer(_layer, network.preactivations(x)[:-1])


def _predicted(weight_var, q, depth):
    """The limit and n times the distance of the mean from it: of both differences, by layer."""
    low, high = STARTS[weight_var]
    followed = [
        fluctuations.by_layer(TANH, q, q, c, depth, weight_var, BIAS_VAR)
        for c in ((low,) if high == 1 else (low, high))
    ]
    apart, lengths = followed[-1], [ratio * q for ratio in LENGTHS]
    two = fluctuations.by_layer(TANH, *lengths, 0.0, depth, weight_var, BIAS_VAR)
    found = {}
    for what, of in (("theory", "state"), ("drift", "shift")):
        s, other, long = (getattr(one, of) for one in (followed[0], apart, two))
        found[f"difference_{what}"] = (s[:, 0] if high == 1 else other[:, 2]) - s[:, 2]
        found[f"length_{what}"] = long[:, 0] - long[:, 1]
    return found


def _lines():
    """The three depth scales close to the edge on both sides, and not on it."""
    edge = float(phases.critical_weight_var(TANH, BIAS_VAR))
    above, below = np.geomspace(1e-3, 2.5, 60), np.geomspace(edge - 0.3, 1e-3, 60)
    weight_vars = np.concatenate([edge - below, edge + above])
    found = phases.phase_diagram(TANH, weight_vars, BIAS_VAR)
    return {
        "weight_vars": weight_vars,
        "xi_q": np.asarray(found.xi_q),
        "xi_c": np.asarray(found.xi_c),
        "xi_grad": np.abs(np.asarray(found.xi_grad)),
    }


def fading(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Follow differences of correlations and of lengths through the layers.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``width``; for each σ_w² W: ``W_difference``, of the covariances of the two groups, and
      ``W_length``, of two lengths, ``[20, layers]``; both with ``_theory``, the limit, and
      ``_drift``, n times the distance of the mean at width n from it; ``W_correlations``, of inputs
      with a third one, ``[20, layers, 2]``, and ``W_correlations_theory``. For lines over σ_w²:
      ``weight_vars``, ``[n]``, with ``xi_q``, ``xi_c`` and the size of ``xi_grad``, ``[n]``.

    Source: Schoenholz et al. 2017; chapter 4, equations (4.1) to (4.5) and (4.7).
    """
    width = {"chapter": 100, "paper": 300}[scale]
    depth = max(LAST.values())  # for all, as each depth compiles anew
    found = {"width": np.array(width), **_lines()}
    points = zip(WEIGHT_VARS, fixed_points().var, strict=True)
    for (weight_var, q), one in each(points, key, "differences"):
        x = _inputs(weight_var, q)
        widths, count = (x.shape[1], *[width] * depth, 1), NETWORKS[weight_var]
        drawn = many_networks(_followed, widths, weight_var, x, one, count, BIAS_VAR)
        ordered = STARTS[weight_var][1] == 1
        first = drawn["square"][..., 0] if ordered else drawn["product"][..., 1]
        sizes = np.sqrt(drawn["told_square"] * drawn["third_square"][..., None])
        start = ((q - BIAS_VAR) * np.array(TOLD) + BIAS_VAR) / q
        limits = signal.correlations(TANH, q, q, start, depth, weight_var, BIAS_VAR)
        of_these = {
            "difference": first - drawn["product"][..., 0],
            "length": drawn["length"],
            "correlations": drawn["told"] / sizes,
            "correlations_theory": np.asarray(limits).T,
        }
        of_these |= _predicted(weight_var, q, depth)
        found |= {f"{weight_var}_{name}": value for name, value in of_these.items()}
    return found


def depth_scale(
    data: dict[str, np.ndarray], weight_var: float, what: str, rate: bool = False
) -> tuple[float, float, np.ndarray]:
    """A depth scale, fitted to a difference over the layers.

    Args:
      data: from :func:`fading`.
      weight_var: one of ``WEIGHT_VARS``.
      what: ``"difference"``, of covariances, or ``"length"``.
      rate: give 1/ξ, the slope itself, in place of ξ.

    Returns:
      −1/slope of the logarithm of the difference: of the limit, of the limit with its 1/n term, and
      of the measured mean, as the jackknife's pseudo-values, ``[20]``.
    """
    layers = np.arange(FIRST, LAST[weight_var] + 1) if what == "difference" else LENGTH_LAYERS
    parts = (data[f"{weight_var}_{what}{part}"][..., layers - 1] for part in PARTS)
    return fitted(layers, *parts, int(data["width"]), rate)


def fitted(
    layers: np.ndarray,
    measured: np.ndarray,
    limit: np.ndarray,
    drift: np.ndarray,
    width: int,
    rate: bool = False,
) -> tuple[float, float, np.ndarray]:
    """A depth scale, fitted to what falls exponentially over some layers.

    Args:
      layers: of the fit.
      measured: replicates, ``[20, layers]``.
      limit: what they tend to as n grows, ``[layers]``.
      drift: n times the distance of their mean from it, ``[layers]``.
      width: n.
      rate: as for :func:`depth_scale`.

    Returns:
      As :func:`depth_scale`.
    """

    def scale(falling):
        slope = -ledger.exact_semilog_slope(layers, falling)
        return slope if rate else 1 / slope

    return scale(limit), scale(limit + drift / width), ledger.pseudo_values(scale, measured)


def draw_fading(data: dict[str, np.ndarray]) -> Canvas:
    """Correlations by layer in three networks; differences by layer in all seven."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 4.2))
    for weight_var, color, marker in zip((1.3, 1.7, 2.5), style.KINDS, "os^", strict=False):
        measured, theory = (data[f"{weight_var}_correlations{part}"] for part in ("", "_theory"))
        shown = np.array([1, 2, 4, 7, 11, 16, 22, 30, 40])
        for start in range(len(TOLD)):
            axes[0].plot(np.arange(1, 41), theory[:40, start], color=style.THEORY, lw=1)
            label = f"σ_w² = {weight_var}" if start == 0 else None
            points = measured[:, shown - 1, start]
            draw_points(axes[0], shown, points, label, marker, color)
    axes[0].set(xlabel="layer l", ylabel="correlation c", title="from two starts", ylim=(0, 1.03))
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=1)
    for weight_var, color in zip(WEIGHT_VARS, style.width_colors(len(WEIGHT_VARS)), strict=True):
        layers = np.arange(1, LAST[weight_var] + 1)
        shown = layers[:: max(1, len(layers) // 8)]
        measured, limit, drift = (data[f"{weight_var}_difference{part}"] for part in PARTS)
        expected = (limit + drift / int(data["width"])) / limit[0]
        axes[1].plot(layers, expected[layers - 1], color=style.THEORY, lw=1)
        points = measured[:, shown - 1] / limit[0]
        draw_points(axes[1], shown, points, f"{weight_var}", "o", color)
    axes[1].set(xlabel="layer l", ylabel="difference, over that of layer 1", yscale="log")
    axes[1].set(title="how fast a difference fades", xlim=(0, 45), ylim=(0.02, 1.3))
    axes[1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, title="σ_w²")
    return figure


def draw_scales(data: dict[str, np.ndarray]) -> Canvas:
    """Depth scales: theory as lines, fits as points."""
    figure, axis = plt.subplots(figsize=(6.4, 4.0))
    looks = {
        "xi_c": ("-", "ξ_c, of correlations", "difference", "o"),
        "xi_q": ("-.", "ξ_q, of lengths", "length", "s"),
        "xi_grad": (":", "|ξ_∇|, of gradients", None, None),
    }
    for name, (dash, label, what, marker) in looks.items():
        axis.plot(data["weight_vars"], data[name], dash, color=style.THEORY, lw=1.5, label=label)
        if what is None:
            continue
        _, predicted, found = zip(*(depth_scale(data, w, what) for w in WEIGHT_VARS), strict=True)
        draw_points(
            axis, np.array(WEIGHT_VARS), np.stack(found, axis=1), f"measured, {label[:3]}", marker
        )
        label = "predicted at this width" if what == "difference" else None
        axis.plot(WEIGHT_VARS, predicted, "_", color=style.KINDS[2], ms=13, mew=1.6, label=label)
    axis.set(yscale="log", ylim=(0.5, 400), xlabel="σ_w²", ylabel="layers")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


FIGURES = (
    Figure(
        "schoenholz2017-fading",
        "schoenholz2017",
        "section 3",
        "04-propagation",
        "Correlations by layer, and how fast differences fade",
        fading,
        draw_fading,
        {"chapter": 14, "paper": 120},
    ),
    Figure(
        "schoenholz2017-scales",
        "schoenholz2017",
        "the depth scales",
        "04-propagation",
        "The three depth scales over the weight variance, predicted and measured",
        fading,
        draw_scales,
        {"chapter": 14, "paper": 120},
        data_of="schoenholz2017-fading",
    ),
)
