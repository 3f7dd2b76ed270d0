"""Every page, read in Chromium in two themes, on a laptop and on a phone."""

import pytest

from visit import KINDS, visit


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wrong_with_a_page(browser, served, visited, width):
    """Among the rest: no request leaves the machine, and axe finds no serious violation."""
    seen = visit(browser, served, visited, width)
    wrong = [f"{kind}: {line}" for kind in KINDS for line in getattr(seen, kind)]
    assert not wrong, "\n".join(["", *wrong])
