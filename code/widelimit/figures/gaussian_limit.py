"""How fast the Gaussian limit is reached: what Neal's text implies and does not plot.

Each ``measure`` function sets theory beside measurement; the chapter's claims and its figures read
the same data. Measurements come as replicates along the first axis, each from its own key.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from scipy.stats import levy_stable

from widelimit import activations
from widelimit.architectures import ShallowPrior
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each, in_groups, replicate
from widelimit.lab import mixtures
from widelimit.lab import shallow as lab
from widelimit.theory import finite_width
from widelimit.theory import shallow as theory

#: The prior of the rates.
TANH = ShallowPrior(activations.get("tanh"))
#: Their one input.
X = np.array([1.0])


def convergence(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Distance of f(x) − b from its Gaussian limit against the width, tanh units, x = 1.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``widths``: ``[n]``; ``kurtosis``, ``kolmogorov``, ``mmd``: measured by conditioning on the
      hidden units, ``[20, n]``; the same names with ``_theory``: exact at finite width, ``[n]``;
      ``sampled_widths``, ``sampled_kurtosis``: from sampled outputs alone, ``[20, 3]``.
    """
    draws = {"chapter": 4_000, "paper": 200_000}[scale]
    widths, sampled_widths = np.array([8, 16, 32, 64, 128, 256]), np.array([1, 2, 4])
    measures = {
        "kurtosis": (mixtures.excess_kurtosis, finite_width.excess_kurtosis),
        "kolmogorov": (mixtures.kolmogorov_distance, finite_width.kolmogorov_distance),
        "mmd": (mixtures.mmd, finite_width.mmd),
    }
    key_conditioned, key_sampled = jax.random.split(key)
    variances = [
        lab.conditional_covariance(TANH, one, REPLICATES * draws, int(width), X[None])
        for width, one in each(widths, key_conditioned, "conditional variances")
    ]
    outputs = [
        lab.outputs(TANH, one, REPLICATES * 25 * draws, int(width), X[None])
        for width, one in each(sampled_widths, key_sampled, "outputs")
    ]
    data = {"widths": widths, "sampled_widths": sampled_widths}
    data["sampled_kurtosis"] = np.stack([_kurtosis(in_groups(f)) for f in outputs], axis=1)
    for name, (measure, formula) in measures.items():
        groups = [jax.vmap(measure)(in_groups(v)) for v in variances]
        data[name] = np.stack([np.asarray(group) for group in groups], axis=1)
        data[f"{name}_theory"] = np.array([float(formula(TANH, X, int(w))) for w in widths])
    return data


def _kurtosis(f):
    f = np.asarray(f, float)
    return np.mean(f**4, axis=1) / np.mean(f**2, axis=1) ** 2 - 3


def draw_convergence(data: dict[str, np.ndarray]) -> Canvas:
    """Three panels of :func:`convergence`, each with the rival slope −½."""
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 3.4))
    titles = {"kurtosis": "excess kurtosis", "kolmogorov": "Kolmogorov distance", "mmd": "MMD"}
    widths = data["widths"]
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        exact = data[f"{name}_theory"]
        axis.loglog(widths, exact, color=style.THEORY, label="exact at width H")
        draw_points(axis, widths, data[name], "measured")
        rival = exact[0] * (widths / widths[0]) ** -0.5
        axis.loglog(widths, rival, "--", color=style.RIVAL, label="slope −½")
        axis.set_title(title)
        style.width_axis(axis, widths[::2])
    small = data["sampled_widths"]
    # κ_H is exactly proportional to 1/H, so its line goes on to the left.
    left = np.append(small, widths[0])
    axes[0].loglog(left, data["kurtosis_theory"][0] * widths[0] / left, color=style.THEORY)
    draw_points(axes[0], small, data["sampled_kurtosis"], "from outputs alone", marker="s")
    style.width_axis(axes[0], [1, 8, 64, 256])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def two_outputs(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Covariance of the squares of two outputs that share their hidden units.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``widths``: ``[n]``; ``covariance``: of f₁² and f₂², sampled, ``[20, n]``;
      ``covariance_theory``: ``[n]``; ``correlation``: of f₁ and f₂ themselves, ``[20, n]``.

    Source: chapter 1, equation (1.8).
    """
    draws = {"chapter": 60_000, "paper": 2_000_000}[scale]
    widths = np.array([1, 2, 4])

    covariance, correlation = [], []
    for width, one in each(widths, key, "two outputs"):
        f = lab.outputs(TANH, one, REPLICATES * draws, int(width), X[None], outputs=2)
        groups = np.asarray(in_groups(f), float)
        covariance.append([np.cov(g.T**2)[0, 1] for g in groups])
        correlation.append([np.corrcoef(g.T)[0, 1] for g in groups])
    variance = float(theory.kernel(TANH, X[None], X[None])[0, 0])
    exact = [variance**2 / 3 * float(finite_width.excess_kurtosis(TANH, X, int(w))) for w in widths]
    return {
        "widths": widths,
        "covariance": np.array(covariance).T,
        "correlation": np.array(correlation).T,
        "covariance_theory": np.array(exact),
    }


#: The separations δ of figure 1.10.
SEPARATIONS = np.logspace(-3, 1, 9)
#: Its priors, by name.
PRIORS = {
    "step": ShallowPrior(activations.get("sign"), 1.0, 1.0),
    "tanh_5": ShallowPrior(activations.get("tanh"), 5.0, 5.0),
    "tanh_100": ShallowPrior(activations.get("tanh"), 100.0, 100.0),
}


def increments(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Mean squared increment E(f(δ) − f(0))² against δ: step units, and tanh units at two scales.

    Args:
      key: a random key.
      scale: sets the number of hidden units a replicate.

    Returns:
      ``separations``: ``[9]``; ``step``, ``tanh_5``, ``tanh_100`` (σ_u = σ_a = 5, 100):
      ``[20, 9]``; the same names with ``_theory``: ``[9]``.
    """
    # A step unit rarely moves at small separations, so it takes more of them.
    draws = {"chapter": 400, "paper": 10_000}[scale]
    data = {"separations": SEPARATIONS}
    origin = jnp.zeros(1)
    for (name, prior), one in each(PRIORS.items(), key, "increments"):
        measure = lambda k, p=prior: lab.squared_increments(  # noqa: E731
            p, k, draws * (10 if p is PRIORS["step"] else 1), 100, origin, SEPARATIONS[:, None]
        )
        data[name] = replicate(one, measure, f"increments, {name}")
        data[f"{name}_theory"] = np.asarray(
            theory.increments(prior, origin, jnp.asarray(SEPARATIONS)[:, None])
        )
    return data


def draw_increments(data: dict[str, np.ndarray]) -> Canvas:
    """The three laws of :func:`increments` with guides of slope 1 and 2."""
    figure, axis = plt.subplots(figsize=(6.4, 4.0))
    x = data["separations"]
    labels = {"step": "step units", "tanh_100": "tanh, σᵤ = 100", "tanh_5": "tanh, σᵤ = 5"}
    for index, ((name, label), marker) in enumerate(zip(labels.items(), "s^o", strict=True)):
        axis.loglog(x, data[f"{name}_theory"], color=style.THEORY, lw=1.4)
        draw_points(axis, x, data[name], label, marker, style.KINDS[index])
    low = np.array([1e-3, 3e-2])
    for name, slope, shift in (("step", 1, 2.5), ("tanh_5", 2, 0.35)):
        guide = shift * data[f"{name}_theory"][0] * (low / low[0]) ** slope
        axis.loglog(low, guide, ":", color=style.GUIDE)
        middle = np.sqrt(low[0] * low[1]), np.sqrt(guide[0] * guide[1])
        place = {"step": (-6, 6), "tanh_5": (6, -14)}[name]
        axis.annotate(
            f"slope {slope}",
            middle,
            place,
            textcoords="offset points",
            ha="right" if slope == 1 else "left",
            color=style.GUIDE,
        )
    axis.set(xlabel="separation δ", ylabel="E (f(δ) − f(0))²")
    axis.legend()
    return figure


#: The indices α of figure 1.11.
STABLE_INDICES = (0.8, 1.0, 1.5)


def stable_scaling(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Growth of the sum Σ v_j h_j with the width, v_j α-stable of unit scale, tanh units.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``widths``: ``[n]``; ``median_A``: median of \\|Σ v_j h_j\\|, ``[20, n]`` for each index A;
      ``median_A_theory``: of the stable limit, ``[n]``.
    """
    draws = {"chapter": 1_500, "paper": 40_000}[scale]
    widths = np.array([16, 64, 256])
    data = {"widths": widths}
    for alpha, key_alpha in each(STABLE_INDICES, key, "stable sums"):
        medians = []
        for width, one in each(widths, key_alpha, f"α = {alpha}"):
            sums = lab.outputs(
                TANH, one, REPLICATES * draws, int(width), X[None], alpha=alpha, exponent=0.0
            )
            medians.append(np.median(np.abs(in_groups(sums)), axis=1))
        data[f"median_{alpha}"] = np.stack(medians, axis=1)
        # Median of |X| for X α-stable of scale 1.
        unit = levy_stable.ppf(0.75, alpha, 0.0)
        limit = unit * float(theory.stable_scale(TANH, X, alpha))
        data[f"median_{alpha}_theory"] = limit * widths ** (1 / alpha)
    return data


def draw_stable_scaling(data: dict[str, np.ndarray]) -> Canvas:
    """Medians of :func:`stable_scaling` with their limits, and the Gaussian's ½."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    widths = data["widths"]
    for alpha, marker in zip(STABLE_INDICES, "os^", strict=True):
        median = data[f"median_{alpha}"]
        axis.loglog(widths, data[f"median_{alpha}_theory"], color=style.THEORY)
        draw_points(axis, widths, median, f"α = {alpha}", marker)
    rival = data["median_1.5"].mean(0)[0] * (widths / widths[0]) ** 0.5
    axis.loglog(widths, rival, "--", color=style.RIVAL, label="slope ½, from α = 1.5")
    axis.set_ylabel("median of |Σ vⱼhⱼ|")
    style.width_axis(axis, widths)
    axis.legend()
    return figure


def _figure(name, title, compute, draw, seconds):
    return Figure(name, "neal1996", "ours", "01-neal", title, compute, draw, seconds)


FIGURES = (
    _figure(
        "neal1996-convergence",
        "Kurtosis, Kolmogorov distance and MMD against the width",
        convergence,
        draw_convergence,
        {"chapter": 6, "paper": 115},
    ),
    _figure(
        "neal1996-increments",
        "Squared increments: step units are Brownian, tanh units smooth",
        increments,
        draw_increments,
        {"chapter": 4, "paper": 8},
    ),
    _figure(
        "neal1996-stable-scaling",
        "Sums of heavy-tailed weights grow as H^(1/α)",
        stable_scaling,
        draw_stable_scaling,
        {"chapter": 4, "paper": 39},
    ),
)
