"""The site as ``make site`` built it: its pages, and where their addresses lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from bs4 import BeautifulSoup

from pipeline.book import Book

# What the pages are made from; the API reference is made from the package.
_SOURCES = ("_config.yml", "_toc.yml", "references.bib", "book", "chapters", "code/widelimit")

# Elements that make a browser fetch something, and the attribute that names it.
_FETCHING = {
    "script": "src",
    "link": "href",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "embed": "src",
    "object": "data",
    "audio": "src",
    "video": "src",
    "image": "href",
    "use": "href",
}
# These relations of a <link> are statements, and nothing is fetched for them.
_STATED = {"alternate", "author", "canonical", "index", "license", "next", "prev", "search"}
_IN_CSS = re.compile(r"""@import\s*["']([^"']+)|url\(\s*["']?([^"')]+)""")


@cache
def _parsed(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def _anchors(path: Path) -> set[str]:
    found = _parsed(path).select("[id], a[name]")
    return {tag.get("id") or tag["name"] for tag in found}


def in_css(text: str) -> list[str]:
    """The addresses that a style sheet makes a browser fetch."""
    return [(imported or url).strip() for imported, url in _IN_CSS.findall(text)]


@dataclass(frozen=True)
class Built:
    """The built site of a book."""

    book: Book

    @property
    def root(self) -> Path:
        """The folder that is published."""
        return self.book.root / "_build" / "html"

    # The book reads its configuration each time it is asked; pages have thousands of addresses.
    @cached_property
    def site(self) -> str:
        """The address of the public site, with a final slash."""
        return self.book.site

    @cached_property
    def prefix(self) -> str:
        """The path under which the public site has its pages, with both slashes."""
        return urlsplit(self.site).path

    @cached_property
    def _views(self) -> list[str]:
        """How the repository's addresses of its files begin, in Colab's too, which hold them."""
        name, branch = urlsplit(self.book.repository).path, self.book.branch
        return [f"{name}/{view}/{branch}/" for view in ("blob", "edit", "raw", "tree")]

    def not_current(self) -> str:
        """Why the site is not that of these sources; empty if it is.

        ``make site`` touches ``_build/site.stamp`` when it has built one.
        """
        stamp = self.book.root / "_build" / "site.stamp"
        if not stamp.is_file():
            return "no site is built"
        built = stamp.stat().st_mtime
        for top in (self.book.root / name for name in _SOURCES):
            for path in [top, *top.rglob("*")]:
                if path.is_file() and path.suffix != ".pyc" and path.stat().st_mtime > built:
                    return f"{path.relative_to(self.book.root)} is newer than the built site"
        return ""

    def pages(self) -> list[str]:
        """Every page, by its path in the site, the largest first: two workers then end together.

        What only sends on to another page is none.
        """
        found = [
            path
            for path in self.root.rglob("*.html")
            if path.relative_to(self.root).parts[0] != "_static"
            and b'http-equiv="refresh"' not in path.read_bytes()[:200].lower()
        ]
        found.sort(key=lambda path: (-path.stat().st_size, path))
        return [path.relative_to(self.root).as_posix() for path in found]

    def to_visit(self) -> list[str]:
        """The pages that a browser is to read.

        Listings of code are all made alike: the longest stands for them.
        """
        listings = [page for page in self.pages() if page.startswith("_modules/")]
        return [page for page in self.pages() if page not in listings[1:]]

    def written(self) -> list[str]:
        """The pages that somebody wrote; Sphinx makes the index and the like of itself."""
        texts = self.root / "_sources"
        made = {p.relative_to(texts).with_suffix(".html").as_posix() for p in texts.rglob("*.*")}
        return [page for page in self.pages() if page in made]

    def soup(self, page: str) -> BeautifulSoup:
        """A page, parsed; not to be changed."""
        return _parsed(self.root / page)

    def address(self, page: str) -> str:
        """Where the public site has a page."""
        return urljoin(self.site, page)

    def fetched(self, page: str) -> Iterator[str]:
        """Every address that the page makes a browser fetch, as it stands in the page."""
        for tag in self.soup(page).find_all(_FETCHING):
            if tag.name == "link" and _STATED.intersection(tag.get("rel", [])):
                continue
            if address := tag.get(_FETCHING[tag.name]):
                yield address
            for candidate in tag.get("srcset", "").split(","):
                yield from candidate.split()[:1]
        for tag in self.soup(page).find_all("style"):
            yield from in_css(tag.get_text())
        for tag in self.soup(page).select("[style]"):
            yield from in_css(tag["style"])

    def leads_nowhere(self, page: str, address: str) -> bool:
        """Whether an address in a page is one of this site or repository, and nothing is there."""
        target, fragment = urldefrag(urljoin(self.address(page), address))
        if target.startswith(self.site):
            path = self.root / unquote(urlsplit(target).path.removeprefix(self.prefix))
            path = path / "index.html" if path.is_dir() else path
            if not path.is_file():
                return True
            is_page = path.suffix == ".html" and fragment not in ("", "top")
            return is_page and unquote(fragment) not in _anchors(path)
        in_repository = [target.partition(view)[2] for view in self._views if view in target]
        return any(not (self.book.root / unquote(path)).exists() for path in in_repository)
