"""Reading a built site, on a small one."""

import os

import pytest

from built import Built, in_css
from pipeline.book import Book

CONFIG = "repository:\n  url: https://github.com/someone/a-book\n"
BRANCH = "https://github.com/someone/a-book/edit/main"


@pytest.fixture
def small(tmp_path):
    """A site of two pages, one of them written, that is as new as its sources."""
    files = {
        "_config.yml": CONFIG,
        "book/index.md": "# A book",
        "_build/html/index.html": '<meta http-equiv="Refresh" content="0; url=book/index.html">',
        "_build/html/book/index.html": '<h1 id="a-book">A book</h1>',
        "_build/html/_sources/book/index.md": "# A book",
        "_build/html/search.html": "<p>Search</p>",
        "_build/html/_static/part.html": "<p>No page</p>",
        "_build/site.stamp": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        os.utime(path, (1000, 1000))
    return Built(Book(tmp_path))


def test_pages_are_those_one_can_read(small):
    assert small.pages() == ["book/index.html", "search.html"]
    assert small.written() == ["book/index.html"]
    assert small.address("search.html") == "https://someone.github.io/a-book/search.html"


def test_one_listing_of_code_stands_for_all(small):
    for name, length in (("a", 1), ("b", 9), ("c", 2)):
        path = small.root / "_modules" / f"{name}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text("x" * length, encoding="utf-8")
    assert len(small.pages()) == 5
    assert [page for page in small.to_visit() if page.startswith("_")] == ["_modules/b.html"]


def test_a_site_is_current_until_a_source_changes(small):
    assert small.not_current() == ""
    os.utime(small.book.root / "book" / "index.md", (1001, 1001))
    assert small.not_current() == "book/index.md is newer than the built site"
    (small.book.root / "_build" / "site.stamp").unlink()
    assert small.not_current() == "no site is built"


@pytest.mark.parametrize(
    "address",
    [
        "../search.html?q=word",
        "#a-book",
        "#",
        "",
        "index.html#a-book",
        "/a-book/search.html",
        "https://someone.github.io/a-book/book/",
        f"{BRANCH}/book/index.md",
        "https://colab.research.google.com/github/someone/a-book/blob/main/book/index.md",
        "https://github.com/someone/a-book/issues/new?title=x",
        "https://example.org/nothing",
        "mailto:a@example.org",
        "data:,x",
    ],
)
def test_an_address_that_leads_somewhere(small, address):
    assert not small.leads_nowhere("book/index.html", address)


@pytest.mark.parametrize(
    "address",
    [
        "search.html",
        "#another",
        "../search.html#a-book",
        "/a-book/book/other.html",
        "https://someone.github.io/a-book/other/",
        f"{BRANCH}/book/other.md",
        "https://colab.research.google.com/github/someone/a-book/blob/main/book/other.ipynb",
    ],
)
def test_an_address_that_leads_nowhere(small, address):
    assert small.leads_nowhere("book/index.html", address)


def test_what_a_page_fetches(small):
    (small.root / "page.html").write_text(
        """
        <link rel="canonical" href="not this"><link rel="stylesheet" href="1">
        <link rel="preconnect" href="2"><script src="3"></script><script>"not this"</script>
        <a href="not this"><img src="4" srcset="5 1x, 6 2x"></a><p style="background: url(7)"></p>
        <style>@import "8"; p { background: url('9') }</style>
        """,
        encoding="utf-8",
    )
    assert sorted(small.fetched("page.html")) == list("123456789")


def test_what_a_style_sheet_fetches():
    sheet = '@import url("a.css"); @import "b.css"; p { background: url( c.png ) url(data:,x) }'
    assert in_css(sheet) == ["a.css", "b.css", "c.png", "data:,x"]
