"""Whether what is legible in a picture in the light theme still is in the dark one."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation

KEPT = 0.9  # of the legible pixels; the rest are the soft edges of letters and lines

# Contrasts with the background that WCAG 2 asks of text and, at the least, of large letters.
_TEXT, _LARGE = 4.5, 3.0
_SRGB = np.arange(256) / 255
# The light of each of a channel's 256 values, as WCAG 2 defines it.
_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4)


def _contrast(picture: Image.Image) -> np.ndarray:
    """Each pixel's contrast with the most frequent luminance, at least 1."""
    ink = _LINEAR[np.asarray(picture)] @ np.array([0.2126, 0.7152, 0.0722])
    values, counts = np.unique(ink, return_counts=True)
    paper = values[counts.argmax()]
    return (np.maximum(ink, paper) + 0.05) / (np.minimum(ink, paper) + 0.05)


def kept(light: bytes, dark: bytes) -> float:
    """The share of the pixels legible in the light theme that are legible in the dark one.

    The dark theme puts a rim around pictures, which may shift and shrink them a little: a neighbour
    will do for a pixel, and the contrast of large letters for that of text.

    Args:
      light: a screenshot of a picture, PNG.
      dark: the same picture in the dark theme, PNG.

    Returns:
      between 0 and 1; 0 if nothing was legible in the light theme.
    """
    first, second = (Image.open(io.BytesIO(png)).convert("RGB") for png in (light, dark))
    read = _contrast(first) >= _TEXT
    near = binary_dilation(_contrast(second.resize(first.size)) >= _LARGE, np.ones((3, 3)))
    return float(near[read].mean()) if read.any() else 0.0
