"""The comparison of a picture in two themes, on pictures of known colours."""

import io

import numpy as np
import pytest
from PIL import Image

from legible import KEPT, kept

WHITE, BLACK, NIGHT, GREY = (255, 255, 255), (0, 0, 0), (20, 24, 29), (200, 200, 200)


def picture(paper, ink, line):
    """A sheet of paper with a block of ink and a line of another colour."""
    pixels = np.full((40, 60, 3), paper, dtype=np.uint8)
    pixels[5:15, 5:25] = ink
    pixels[30, :] = line
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG")
    return png.getvalue()


LIGHT = picture(WHITE, BLACK, (0, 90, 160))


@pytest.mark.parametrize(
    "dark",
    [LIGHT, picture(GREY, BLACK, (0, 60, 120)), picture(NIGHT, WHITE, (120, 190, 250))],
    ids=["as it was", "on grey", "inverted"],
)
def test_a_picture_that_stays_legible(dark):
    assert kept(LIGHT, dark) == 1


def test_black_letters_on_a_dark_page_are_lost():
    assert kept(LIGHT, picture(NIGHT, BLACK, (120, 190, 250))) < KEPT


def test_an_empty_picture_is_not_legible():
    assert kept(picture(WHITE, WHITE, WHITE), LIGHT) == 0
