"""What a layer answers when its input is pushed a little: the slopes of Poole et al. 2016.

Deep inside a network lengths and correlations have come to their fixed points. There an input is
pushed in three ways: along itself, towards another input, and at random. The answers of the next
layer measure the slope of the length map, that of the correlation map, χ₁ and χ₂.
"""

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
from widelimit.figures.replicates import REPLICATES, draw_points, each, in_groups
from widelimit.figures.tanh_networks import BIAS_VAR, TANH, WEIGHT_STDS, fixed_points
from widelimit.lab import networks, passes
from widelimit.theory import fluctuations, gaussian, signal, susceptibility

#: Layers in which answers are averaged: from this one to the last but one.
FIRST, DEPTH = 24, 32
#: Independent inputs, and how far a near copy of each is from it, relative to its length.
INPUTS, NEARNESS = 16, 0.1
#: Where χ₁ < 1 two inputs become equal slowly: the layer in which we look.
LAST = 160
#: The six numbers, in the order of the figure.
NUMBERS = {
    "length": "q*",
    "chi_1": "χ₁",
    "chi_2": "χ₂",
    "correlation": "c*",
    "xi_q": "ξ_q",
    "xi_c": "ξ_c",
}

#: Depth scales are measured as the slopes of which they are −1/log.
MEASURED_AS = {"xi_q": "length_slope", "xi_c": "correlation_slope"}


@cache
def _maker(width, depth=DEPTH):
    """From a key and σ_w² to a network, random inputs with a near copy of each, and a key."""

    def make(key, weight_var):
        of_network, of_inputs, of_pushes = jax.random.split(key, 3)
        widths = (*[width] * (depth + 1), 1)
        network = networks.FullyConnected(
            of_network, widths, TANH, weight_var=weight_var, bias_var=BIAS_VAR
        )
        x, moved = jax.random.normal(of_inputs, (2, INPUTS, width), jnp.float32)
        return network, jnp.concatenate([x, x + NEARNESS * moved]), of_pushes

    return make


def _mean(a, b):
    return jnp.mean(a * b)


def _answers(made):
    """Averages over late layers: of the signals, and of what becomes of small pushes."""
    network, x, key = made
    first, hidden, _ = network.preactivations(x)
    h = jnp.concatenate([first, hidden])[FIRST - 1 : -1]
    layers = network.layers[1]
    matrices, offsets = layers.matrices()[FIRST - 1 :], layers.offsets()[FIRST - 1 :]
    pushes = jax.random.normal(key, (len(h), INPUTS, h.shape[-1]), jnp.float32)

    def layer(h, matrix, offset, push):
        h, near = h[:INPUTS], h[INPUTS:]

        def image(h):
            return jnp.matmul(network.activation(h), matrix, precision="highest") + offset

        def answer(push):
            return jax.jvp(image, (h,), (push,))

        after, stretched = answer(h)
        moved, bent = jax.jvp(lambda h: jax.jvp(image, (h,), (push,))[1], (h,), (push,))
        apart, before = (jnp.mean(x**2, axis=1) for x in (image(near) - after, near - h))
        found = {
            "square": _mean(h, h),
            "stretched": _mean(after, stretched),
            "moved": _mean(moved, moved),
            "bent": _mean(bent, bent),
            "near": jnp.mean(apart / before),
        }

        def pair(shift):  # each input with the one so many places on
            other, other_after = (jnp.roll(x, -shift, axis=0) for x in (h, after))
            return {
                "product": _mean(h, other),
                "towards": _mean(answer(other)[1], other_after),
                "along": _mean(stretched, other_after),
            }

        return found | jax.tree.map(jnp.mean, jax.vmap(pair)(jnp.arange(1, INPUTS)))

    return jax.tree.map(jnp.mean, jax.vmap(layer)(h, matrices, offsets, pushes))


def _last_correlation(made):
    """The correlation of two inputs in the last hidden layer."""
    network, x, _ = made
    h = network.preactivations(x[:2])[-2][-1]
    return _mean(h[0], h[1]) / jnp.sqrt(_mean(h[0], h[0]) * _mean(h[1], h[1]))


def _slopes(square, product, stretched, towards, along):
    """Slopes of the length map and of the correlation map at the fixed point, from averages.

    A push along the input changes its length alone, and the part of another input that is
    perpendicular to it changes their product alone: v = h′ − (P/Q)·h.
    """
    share = product / square
    turned = (towards - share * along) / (square - share * product)
    return stretched / square, turned


def measured(answers: dict[str, np.ndarray], weight_std: float) -> dict[str, np.ndarray]:
    """The six numbers, as answers give them.

    Args:
      answers: averages by name, one row a replicate.
      weight_std: σ_w; at the first of ``WEIGHT_STDS`` signals become equal, so the correlation is
        that of the last layer and pairs are the near copies.

    Returns:
      ``length``, ``chi_1``, ``chi_2``, ``correlation``, ``length_slope``, ``correlation_slope``.
    """
    names = ("square", "product", "stretched", "towards", "along")
    length_slope, turned = _slopes(*(answers[name] for name in names))
    ordered = weight_std == WEIGHT_STDS[0]
    correlation = answers["last"] if ordered else answers["product"] / answers["square"]
    return {
        "length": answers["square"],
        "chi_1": answers["moved"],
        "chi_2": answers["bent"] / 3,
        "correlation": correlation,
        "length_slope": length_slope,
        "correlation_slope": answers["near"] if ordered else turned,
    }


def answers(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Measure the six numbers of each network, and predict them to order 1/n.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``width``; for each network S and number N of :func:`measured`: ``S_N``, ``[20]``;
      ``S_N_theory``, the limit; ``S_N_drift``, n times the distance of the mean at width n from it.

    Source: Poole et al. 2016; chapter 3, equations (3.5), (3.8), (3.10), (3.11) and (3.13).
    """
    width, count = {"chapter": (100, 8), "paper": (1000, 8)}[scale]
    found = {"width": np.array(width)}
    for std, one in each(WEIGHT_STDS, key, "answers"):
        keys = jax.random.split(one, REPLICATES * count)
        variances = jnp.full(len(keys), std**2, jnp.float32)
        drawn = passes.measured(_maker(width), _answers, keys, variances)
        if std == WEIGHT_STDS[0]:
            few = jax.random.split(jax.random.fold_in(one, 1), REPLICATES), variances[:REPLICATES]
            last = passes.measured(_maker(width, LAST), _last_correlation, *few)
            drawn["last"] = jnp.repeat(last, count)
        drawn = {k: np.asarray(in_groups(v), float).mean(axis=1) for k, v in drawn.items()}
        found |= {f"{std}_{name}": value for name, value in measured(drawn, std).items()}
        for name, (limit, drift) in predicted(std).items():
            found[f"{std}_{name}_theory"] = np.array(limit)
            found[f"{std}_{name}_drift"] = np.array(drift)
    return found


@cache
def predicted(weight_std: float) -> dict[str, tuple[float, float]]:
    """The six numbers of one network: their limits, and the 1/n terms of the measurement.

    Args:
      weight_std: σ_w, one of ``WEIGHT_STDS``.

    Returns:
      By name as in :func:`measured`: the limit, and n times the distance of the mean from it.
    """
    index, w = WEIGHT_STDS.index(weight_std), weight_std**2
    point = fixed_points()
    q, c = float(point.var[index]), float(point.correlation[index])
    chi_1, chi_2 = (
        lambda q1, q2, p, chi=chi: chi(TANH, q1, w)
        for chi in (susceptibility.chi_1, susceptibility.chi_2)
    )
    means = {
        "square": lambda q1, q2, p: q1,
        "product": lambda q1, q2, p: p,
        "stretched": lambda q1, q2, p: q1 * signal.length_slope(TANH, q1, w),
    }

    def slope(q1, q2, p):
        return susceptibility.covariance_slope(TANH, q1, q2, p, w)

    def shear(q1, q2, p):  # σ_w²·E[φ″(u)φ(v)]
        return 2 * w * gaussian.variance_derivative(TANH, TANH, q1, q2, p)

    means["towards"] = lambda q1, q2, p: q2 * slope(q1, q2, p) + p * shear(q1, q2, p)
    means["along"] = lambda q1, q2, p: p * slope(q1, q2, p) + q1 * shear(q1, q2, p)
    ordered = c == 1
    stray = fluctuations.at_fixed_point(TANH, q, 0.0 if ordered else c, w)
    means = {name: stray.mean(fn) for name, fn in means.items()}
    limits = {name: limit for name, (limit, _) in means.items()}

    def change(combine):  # of a function of the means, to first order
        step = 1e-5
        moved = {name: limit + step * drift for name, (limit, drift) in means.items()}
        return (combine(moved) - combine(limits)) / step

    found = {
        "length": means["square"],
        "chi_1": stray.mean(chi_1),
        "chi_2": stray.mean(chi_2),
        "length_slope": (
            float(point.length_slope[index]),
            change(lambda m: _slopes(**m)[0]),
        ),
    }
    if ordered:
        found["correlation"] = (1.0, 0.0)
        found["correlation_slope"] = (found["chi_1"][0], found["chi_1"][1] + _leaning(q, w))
    else:
        found["correlation"] = (c, change(lambda m: m["product"] / m["square"]))
        found["correlation_slope"] = (
            float(point.correlation_slope[index]),
            change(lambda m: _slopes(**m)[1]),
        )
    return found


def _leaning(q, w):
    """n times what χ₁ gains because a small difference of two signals leans towards them.

    Between the difference Δ and the signal h each layer makes a covariance r anew, of variance
    σ_w⁴·E[φ²φ′²]·E[Δ²]/n, and passes on V′ of what was there. While E[Δ²] falls by χ₁ a layer,
    r²/E[Δ²] settles, and E[φ′(h)²Δ²]/E[Δ²] has r²/(q·E[Δ²]) times E[φ′²(h²/q − 1)] more.
    """

    def mean(fn):
        return w * float(gaussian.expectation(fn, q))

    chi_1, length_slope = (
        float(susceptibility.chi_1(TANH, q, w)),
        float(signal.length_slope(TANH, q, w)),
    )
    made = w * mean(lambda u: (TANH(u) * TANH.derivative(u)) ** 2)
    share = made / (chi_1 - length_slope**2) / q
    return share * mean(lambda u: TANH.derivative(u) ** 2 * (u**2 / q - 1))


def compared(
    data: dict[str, np.ndarray], weight_std: float, number: str
) -> tuple[float, float, np.ndarray, float]:
    """One of the six numbers: its limit, its prediction, its measurement, and what is allowed.

    Args:
      data: from :func:`answers`.
      weight_std: σ_w, one of ``WEIGHT_STDS``.
      number: one of ``NUMBERS``.

    Returns:
      The limit; the limit and the 1/n term; the measured replicates, ``[20]``; and by how much
      their mean may be off: a tenth of the 1/n term for the next order, and what has not settled of
      a correlation. A depth scale is a curved function of a mean slope: its replicates are the
      jackknife's pseudo-values.
    """
    slope = MEASURED_AS.get(number, number)
    limit, found, drift = (
        data[f"{weight_std}_{slope}{what}"] for what in ("_theory", "", "_drift")
    )
    limit, term = float(limit), float(drift) / int(data["width"])
    predicted, allowed = limit + term, abs(term) / 10
    if number == "correlation":
        rate = float(data[f"{weight_std}_correlation_slope_theory"])
        # Signals start unrelated, and float32 knows a correlation of 1 to 1e-6.
        allowed += limit * rate ** ((LAST if limit == 1 else FIRST) - 1) + 1e-6
    if slope == number:
        return limit, predicted, found, allowed
    allowed /= predicted * np.log(predicted) ** 2
    pseudo = ledger.pseudo_values(lambda slope: -1 / np.log(slope), found)
    return -1 / np.log(limit), -1 / np.log(predicted), pseudo, allowed


def draw_answers(data: dict[str, np.ndarray]) -> Canvas:
    """What was measured over what is predicted, for each number and network."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 5.4), sharex=True)
    places = np.arange(len(NUMBERS))
    for axis, std in zip(axes, WEIGHT_STDS, strict=True):
        axis.axhline(1, color=style.THEORY, lw=1.2)
        limits, expected, found, _ = zip(*(compared(data, std, n) for n in NUMBERS), strict=True)
        draw_points(axis, places, np.stack(found, axis=1) / np.array(limits))
        axis.plot(places, np.divide(expected, limits), "_", color=style.THEORY, ms=16, mew=1.8)
        axis.set(ylabel="over the limit", xticks=places, xlim=(-0.5, len(places) - 0.5))
        axis.set_xticklabels(NUMBERS.values())
        axis.set_title(f"σ_w = {std}")
    axes[-1].set_xlabel("number")
    return figure


FIGURES = (
    Figure(
        "poole2016-answers",
        "poole2016",
        "ours",
        "03-chaos",
        "The fixed points and slopes of both maps, measured by small pushes",
        answers,
        draw_answers,
        {"chapter": 9, "paper": 500},
    ),
)
