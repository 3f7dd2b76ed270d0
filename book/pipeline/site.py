"""The book's own Sphinx extension: addresses, generated pages, links that work in three places.

``_config.yml`` loads it. It adds what no option of Jupyter Book can say: everything that follows
from the repository's URL, and pages made from data.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from pipeline.book import Book
from pipeline.pages import api, citation, curriculum, ledger, line
from widelimit.ledger import collect

_LOG = logging.getLogger(__name__)

_NOT_FOUND = """\
<h1>No such page</h1>
<p>Nothing stands at this address. The page may have been renamed, or the link may be mistyped.</p>
<p><a href="{root}book/index.html">The beginning of the book</a> lists its chapters, and the search
looks through all of them.</p>
"""

# A page says where generated text goes by an HTML comment, which reads as nothing elsewhere.
_GENERATED: dict[str, dict[str, Callable[[Book], str]]] = {
    "book/index": {"line": line.figure},
    "book/curriculum": {"curriculum": curriculum.markdown},
    "book/ledger": {"ledger": ledger.markdown},
    "book/cite": {"citation": citation.markdown, "report": citation.report},
    "book/api": {"contents": lambda _: api.contents(), "equations": api.equation_table},
    **{
        f"book/api/{area}": {"modules": lambda _, area=area: api.area_page(area)}
        for area in api.AREAS
    },
}


def _set_addresses(app: Sphinx, config: Config) -> None:
    """All that follows from the repository's URL, which stands in ``_config.yml`` alone."""
    book = Book(Path(app.confdir))
    config.html_baseurl = book.site
    config.ogp_site_url = book.site
    root = urlsplit(book.site).path
    config.notfound_urls_prefix = root
    config.notfound_context = {"title": "No such page", "body": _NOT_FOUND.format(root=root)}


def _write_generated(app: Sphinx, docname: str, source: list[str]) -> None:
    for name, make in _GENERATED.get(docname, {}).items():
        mark = f"<!-- generated: {name} -->"
        if source[0].count(mark) != 1:
            _LOG.warning("%s needs the line %r once", docname, mark, location=docname)
        source[0] = source[0].replace(mark, make(Book(Path(app.confdir))))


def _always_read(app: Sphinx, env: Any, added: set, changed: set, removed: set) -> list[str]:
    """Generated pages: what they are made from is not a file that Sphinx watches."""
    return [name for name in _GENERATED if name in env.found_docs]


def _anchor_equations(app: Sphinx, doctree: nodes.document) -> None:
    """Give every numbered equation a place that a link can lead to."""
    for node in doctree.findall(nodes.math_block):
        for number in re.findall(r"\\tag\{([0-9.]+)\}", node.astext()):
            node["ids"].append(api.equation_anchor(number))


def _anchors(app: Sphinx, docname: str) -> set[str]:
    """The places of a page that a link can lead to."""
    elements = app.env.get_doctree(docname).findall(nodes.Element)
    return {anchor for element in elements for anchor in element["ids"]}


def _link_locally(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn links to the published book, which notebooks need in Colab, into links of this build."""
    base = app.config.html_baseurl
    for node in doctree.findall(nodes.reference):
        address = node.get("refuri", "")
        if not address.startswith(base) or address == base:
            continue
        page, _, anchor = address.removeprefix(base).partition("#")
        target = page.removesuffix(".html")
        if target not in app.env.found_docs:
            _LOG.warning("%s leads to no page of the book", address, location=node)
            continue
        if anchor and anchor not in _anchors(app, target):
            _LOG.warning("%s leads to no place of its page", address, location=node)
        local = app.builder.get_relative_uri(docname, target)
        node["refuri"] = f"{local}#{anchor}" if anchor else local
        node["internal"] = True


def _write_ledger(app: Sphinx, error: Exception | None) -> None:
    """Put the ledger beside its page as data."""
    if error is None and app.builder.format == "html":
        claims = collect.collect(Path(app.confdir) / "chapters")
        folder = Path(app.outdir) / "book"
        for ending, write in (("json", collect.as_json), ("csv", collect.as_csv)):
            (folder / f"ledger.{ending}").write_text(write(claims) + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    # Early: other extensions read the addresses when the configuration is done.
    app.connect("config-inited", _set_addresses, priority=100)
    app.connect("source-read", _write_generated)
    app.connect("doctree-read", _anchor_equations)
    app.connect("env-get-outdated", _always_read)
    # Every page is written each time: sphinx-sitemap lists those that were.
    app.connect("env-updated", lambda app, env: sorted(env.found_docs))
    app.connect("doctree-resolved", _link_locally)
    app.connect("build-finished", _write_ledger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
