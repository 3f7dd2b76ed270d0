"""What every chapter calls once: precision, figure style, seed, scale; and figures with words."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import jax
import numpy as np

from widelimit.figures import style
from widelimit.figures.registry import SCALES


@dataclass(frozen=True)
class Run:
    """One run of a chapter: where its random keys come from, and how large it is.

    Args:
      seed: moves every random key of the chapter; from ``WIDELIMIT_SEED``, default 0.
      scale: ``"chapter"`` or ``"paper"``; from ``WIDELIMIT_SCALE``.
      draws_figures: whether figures are drawn; ``WIDELIMIT_DRAW=0`` leaves them out.
    """

    seed: int
    scale: str
    draws_figures: bool

    def key(self, name: str) -> jax.Array:
        """Random key of an experiment: the same however cells are ordered.

        Args:
          name: what the experiment is called; another name gives an independent key.
        """
        digest = hashlib.sha256(name.encode()).digest()
        return jax.random.fold_in(
            jax.random.key(self.seed), np.uint32(int.from_bytes(digest[:4], "little"))
        )

    def keys(self, name: str, count: int) -> jax.Array:
        """Independent keys for the replicates of an experiment, independent of its key too.

        Args:
          name: what the experiment is called.
          count: how many keys.
        """
        # Not split from key(name): splitting a key and folding into it give the same keys.
        return jax.random.split(self.key(f"{name}: replicates"), count)

    def show(
        self, draw: Callable[[Any], Any], data: Any, *, number: str, caption: str, alt: str
    ) -> None:
        """Draw a figure under its caption, as one output that a screen reader can read.

        Args:
          draw: takes ``data`` and returns a matplotlib figure.
          data: what the figure shows.
          number: the figure's number in the book, as ``"1.2"``.
          caption: what the figure shows, in words; plain text.
          alt: what a person would see, for one who cannot.

        Raises:
          ValueError: a number not of the form 1.2, or a caption or an alternative text that is
            empty.
        """
        if not re.fullmatch(r"[0-9]+\.[0-9]+", number):
            raise ValueError(f"number is {number!r}; write chapter and place, as '1.2'")
        for name, text in (("caption", caption), ("alt", alt)):
            if not text.strip():
                raise ValueError(f"figure {number}: {name} is empty; say it in a sentence")
        if not self.draws_figures:
            return
        from IPython.display import display

        svg = style.svg_bytes(draw(data))
        html = (
            f'<figure class="wl-figure" id="figure-{number.replace(".", "-")}" '
            'style="margin:1em 0"><img style="max-width:100%" '
            f'alt="{escape(alt, quote=True)}" '
            f'src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">'
            '<figcaption style="text-align:left;line-height:1.4;color:inherit">'
            f"<strong>Figure {number}.</strong> {escape(caption)}</figcaption></figure>"
        )
        text = f"Figure {number}. {caption}\n[{alt}]"
        about = {"number": number, "caption": caption, "alt": alt, "bytes": len(svg)}
        display(
            {"text/html": html, "text/plain": text},
            raw=True,
            metadata={"widelimit": {"figure": about}},
        )


def setup() -> Run:
    """Set a chapter up: 64-bit theory, the book's figure style, and the seed and scale asked for.

    Running it again does no harm. Networks choose float32 themselves, so 64-bit numbers reach only
    the theory.

    Returns:
      The run: its seed and scale from the environment variables ``WIDELIMIT_SEED`` (an integer,
      default 0) and ``WIDELIMIT_SCALE`` (``chapter`` by default, or ``paper``).

    Raises:
      ValueError: a variable whose value is not one of those.
    """
    seed = os.environ.get("WIDELIMIT_SEED") or "0"
    scale = os.environ.get("WIDELIMIT_SCALE") or "chapter"
    # 32 bits: JAX reads no more of a seed unless 64-bit mode is on.
    if not re.fullmatch(r"[0-9]{1,10}", seed) or int(seed) >= 2**32:
        raise ValueError(
            f"WIDELIMIT_SEED is {seed!r}; set it to a whole number from 0 to 2^32 - 1, or unset it"
        )
    if scale not in SCALES:
        raise ValueError(f"WIDELIMIT_SCALE is {scale!r}; set it to one of {', '.join(SCALES)}")
    jax.config.update("jax_enable_x64", True)
    style.apply()
    return Run(int(seed), scale, os.environ.get("WIDELIMIT_DRAW", "1") != "0")
