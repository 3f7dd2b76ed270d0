"""``make links``: what is asked of the world, and what is not."""

import re
from types import SimpleNamespace

import pytest

from pipeline import links

LEFT_OUT = "https://example.org/left-out"


@pytest.fixture
def handlers() -> dict:
    """What the extension asks Sphinx to call, by event."""
    found: dict = {}
    links.setup(SimpleNamespace(connect=found.__setitem__))
    return found


def test_a_doi_is_asked_of_its_registry(handlers):
    ask = handlers["linkcheck-process-uri"]
    assert ask(None, "https://doi.org/10.1000/182") == "https://doi.org/api/handles/10.1000/182"
    assert ask(None, "https://arxiv.org/abs/1711.00165") is None


@pytest.mark.parametrize(("owner", "spared"), [("OWNER", True), ("someone", False)])
def test_only_a_placeholder_is_spared(handlers, book, owner, spared):
    config = book.root / "_config.yml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(book.repository, f"https://github.com/{owner}/b"), "utf-8")
    sphinx = SimpleNamespace(linkcheck_ignore=[re.escape(LEFT_OUT)])
    handlers["config-inited"](SimpleNamespace(confdir=book.root), sphinx)

    def is_asked(address: str) -> bool:
        return not any(re.match(pattern, address) for pattern in sphinx.linkcheck_ignore)

    assert is_asked(f"https://github.com/{owner}/b/issues") is not spared
    assert is_asked(f"https://{owner.lower()}.github.io/b/") is not spared
    assert is_asked("https://github.com/another/b")
    assert not is_asked(LEFT_OUT)
