"""Every key figure of the book, found by looking through this package.

A module of `widelimit.figures` declares its figures at module level::

    FIGURES = (Figure(name="neal1994-fig2", paper="neal1994", number="Figure 2", ...), ...)
"""

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import widelimit.figures

#: How large a figure is: ``"chapter"`` takes seconds, ``"paper"`` has the published sizes.
SCALES = ("chapter", "paper")


@dataclass(frozen=True)
class Figure:
    """One figure of one paper: how to compute its data and how to draw them.

    Args:
      name: what the command line calls it: words of ``a-z0-9`` joined by hyphens.
      paper: the paper's key in ``references.bib``.
      number: the figure's number in the paper, such as ``"Figure 2"``.
      chapter: the chapter that shows it, such as ``"01-neal"``.
      title: what it shows, in one line.
      compute: ``compute(key, scale)``, from a JAX random key and one of `SCALES` to a flat
        ``dict[str, array]``. It runs in 64 bits and chooses its precision explicitly.
      draw: ``draw(data)``, from exactly that dictionary to a ``matplotlib.figure.Figure``.
      seconds: how long ``compute`` takes at each of `SCALES`, > 0, in seconds of wall time,
        measured once on two CPU cores, compilation included.
      data_of: the name of another figure, where this one draws that one's data; their random key is
        then the same.

    Raises:
      ValueError: ``name`` is not of that form, or ``seconds`` does not give a positive number for
        exactly the scales.
    """

    name: str
    paper: str
    number: str
    chapter: str
    title: str
    compute: Callable[[Any, str], dict[str, Any]]
    draw: Callable[[dict[str, Any]], Any]
    seconds: Mapping[str, int | float]
    data_of: str | None = None

    def __post_init__(self):
        # The name becomes three file names, so nothing in it may need quoting.
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"name={self.name!r}: use words of a-z0-9 joined by hyphens")
        if set(self.seconds) != set(SCALES) or not all(s > 0 for s in self.seconds.values()):
            raise ValueError(
                f"seconds={dict(self.seconds)!r} of figure {self.name!r}: give a positive number "
                f"for each of {', '.join(SCALES)} and nothing else"
            )


def figures() -> dict[str, Figure]:
    """Find every figure.

    Returns:
      Name → figure, by chapter; within a chapter by module, and in a module as declared.

    Raises:
      ValueError: two figures share a name; the message names both modules.
      TypeError: an entry of a module's ``FIGURES`` is not a `Figure`.
      ImportError: a module of `widelimit.figures` cannot be imported.
    """
    found: dict[str, Figure] = {}
    home: dict[str, str] = {}
    for info in pkgutil.iter_modules(widelimit.figures.__path__, "widelimit.figures."):
        for figure in getattr(importlib.import_module(info.name), "FIGURES", ()):
            if not isinstance(figure, Figure):
                raise TypeError(f"{info.name}.FIGURES holds {figure!r}, which is not a Figure")
            if figure.name in found:
                raise ValueError(
                    f"two figures are called {figure.name!r}: "
                    f"one in {home[figure.name]}, one in {info.name}"
                )
            found[figure.name], home[figure.name] = figure, info.name
    return dict(sorted(found.items(), key=lambda item: item[1].chapter))


def get(name: str) -> Figure:
    """Look one figure up.

    Args:
      name: the figure's name, such as ``"neal1994-fig2"``.

    Returns:
      The figure.

    Raises:
      ValueError: no figure has that name; the message suggests the nearest name there is.
      TypeError, ImportError: as `figures`.
    """
    known = figures()
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.0)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "there are none yet"
    raise ValueError(f"no figure is called {name!r}; {hint}")
