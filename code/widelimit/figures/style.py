"""The book's figure style: one look, and colours that mean the same thing in every chapter.

Theory is a dark line, experiment is blue points with error bars, a rival (a wrong law, drawn to be
rejected) is a dashed orange line, a guide to the eye is thin and grey. In grey print the four still
differ: by mark and by dash, and by lightness.
"""

import io
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.colors import to_hex
from matplotlib.ticker import NullLocator

#: Colour of what is predicted.
THEORY = "#1a1a1a"
#: Colour of what is measured.
EXPERIMENT = "#0072b2"
#: Colour of a wrong law, drawn to be rejected.
RIVAL = "#d55e00"
#: Colour of a guide to the eye.
GUIDE = "#8c8c8c"
#: Okabe & Ito's palette for kinds that are not one of the four above, such as activations; its
#: yellow is left out, too faint on white.
KINDS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")

#: Matplotlib's settings for every figure of the book.
RC: dict[str, Any] = {
    "figure.figsize": (6.4, 3.6),  # inches; a phone shows this at about half size, still legible
    "figure.constrained_layout.use": True,
    # A page shows the figure as an image, on light and on dark alike: it brings its own paper.
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=KINDS),
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "errorbar.capsize": 2.5,
    "image.cmap": "cividis",
    # Glyphs as outlines: the same picture wherever it is read, and the same bytes wherever the
    # same versions draw it. Text as text would depend on the reader's fonts.
    "svg.fonttype": "path",
    "svg.hashsalt": "widelimit",
}


def apply() -> None:
    """Make the book's style the current one, by updating ``matplotlib.rcParams`` with `RC`."""
    matplotlib.rcParams.update(RC)


def width_colors(n: int) -> list[str]:
    """Colours for a growing quantity such as width: the larger, the darker, towards theory's line.

    Args:
      n: number of colours, ≥ 1.

    Returns:
      ``n`` hexadecimal colours, lightness falling evenly, readable in grey.

    Raises:
      ValueError: n < 1.
    """
    if n < 1:
        raise ValueError(f"n={n}: ask for at least one colour")
    # The ends of the map are left out: the lightest is faint on white, the darkest is THEORY's.
    shades = [0.75 - 0.65 * i / (n - 1) for i in range(n)] if n > 1 else [0.1]
    return [to_hex(matplotlib.colormaps["viridis"](shade)) for shade in shades]


def width_axis(axis: Any, widths: Any) -> None:
    """Label a logarithmic axis of hidden units with the widths themselves.

    Args:
      axis: matplotlib axes.
      widths: where to put ticks, whole numbers.
    """
    axis.set_xticks(widths, [f"{width:,}" for width in widths])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("hidden units H")


def svg_bytes(figure: Any) -> bytes:
    """Render a figure to SVG, the same bytes each time, and close it.

    Args:
      figure: a ``matplotlib.figure.Figure``.

    Returns:
      The SVG document, UTF-8. Equal figures give equal bytes under equal versions of Matplotlib,
      whether or not `apply` was called, up to what the figure itself took from it.
    """
    # Not imported with the module: importing the figures must not choose a drawing backend.
    from matplotlib import pyplot

    stable = {key: RC[key] for key in ("svg.fonttype", "svg.hashsalt", "savefig.facecolor")}
    buffer = io.BytesIO()
    try:
        with matplotlib.rc_context(stable):
            figure.savefig(buffer, format="svg", metadata={"Date": None})
    finally:
        pyplot.close(figure)
    return buffer.getvalue()
