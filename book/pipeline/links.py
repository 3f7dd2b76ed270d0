"""A Sphinx extension: which external links ``make links`` asks, and where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from pipeline.book import Book

_DOI = "https://doi.org/"


def _ask_the_registry(app: Sphinx, uri: str) -> str | None:
    """Look a DOI up where it is registered: many publishers turn programs away from its page."""
    return uri.replace(_DOI, f"{_DOI}api/handles/", 1) if uri.startswith(_DOI) else None


def _spare_the_placeholder(app: Sphinx, config: Config) -> None:
    """Ask for nothing of the book's own while nobody has said where it is published."""
    book = Book(Path(app.confdir))
    if book.has_placeholder_repository:
        own = [re.escape(address) for address in (book.repository, book.site)]
        config.linkcheck_ignore = [*config.linkcheck_ignore, *own]


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.connect("config-inited", _spare_the_placeholder)
    app.connect("linkcheck-process-uri", _ask_the_registry)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
