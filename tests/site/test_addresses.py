"""What the built pages say, and where they lead, read without a browser."""

import re
from urllib.parse import urlsplit
from xml.etree import ElementTree

from built import in_css

NAMESPACE = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}


def is_elsewhere(address):
    return bool(urlsplit(address).netloc)


def hrefs(soup, selector):
    return [tag["href"] for tag in soup.select(selector)]


def test_a_page_fetches_nothing_from_elsewhere(built, page):
    assert [address for address in built.fetched(page) if is_elsewhere(address)] == []


def test_a_style_sheet_fetches_nothing_from_elsewhere(built):
    sheets = list(built.root.rglob("*.css"))
    assert sheets
    wrong = [
        (sheet.name, address)
        for sheet in sheets
        for address in in_css(sheet.read_text(encoding="utf-8"))
        if is_elsewhere(address)
    ]
    assert wrong == []


def test_scripts_of_others_carry_their_licences(built):
    for name in ("mathjax", "tippy"):
        assert list((built.root / "_static" / name).glob("LICENSE*"))


def test_what_a_page_names_is_there(built, page):
    links = hrefs(built.soup(page), "a[href], area[href]")
    assert links
    wrong = {a for a in [*links, *built.fetched(page)] if built.leads_nowhere(page, a)}
    assert sorted(wrong) == []


def test_a_page_has_an_icon(built, page):
    assert built.soup(page).select("link[rel~=icon][href]")


def test_a_shared_link_shows_what_it_is(built, written):
    soup = built.soup(written)
    said = {tag["property"]: tag["content"] for tag in soup.select("meta[property^='og:']")}
    named = {tag["name"]: tag["content"] for tag in soup.select("meta[name][content]")}
    assert said["og:title"].strip()
    assert said["og:description"].strip()
    assert said["og:site_name"] == "The Wide Limit"
    assert said["og:url"] == built.address(written)
    assert named["description"].strip()
    assert named["twitter:card"].startswith("summary")
    image = said["og:image"]
    assert image.startswith(built.site)
    assert image.endswith((".png", ".jpg"))  # few readers of links draw an SVG
    assert not built.leads_nowhere(written, image)


def test_the_site_map_lists_every_page_once(built):
    tree = ElementTree.parse(built.root / "sitemap.xml")
    listed = [tag.text for tag in tree.iterfind("s:url/s:loc", NAMESPACE)]
    assert len(listed) == len(set(listed))
    assert {built.address(page) for page in built.written()} <= set(listed)
    assert [address for address in listed if not address.startswith(built.site)] == []
    assert [address for address in listed if built.leads_nowhere("index.html", address)] == []
    assert built.address("404.html") not in listed


def test_the_edit_button_opens_the_text(built, written):
    (address,) = hrefs(built.soup(written), "a.btn-source-edit-button")
    text = f"{written.removesuffix('.html')}.md"
    assert address == f"{built.book.repository}/edit/{built.book.branch}/{text}"
    assert (built.book.root / text).is_file()


def test_the_other_buttons_open_the_repository(built, written):
    soup, repository = built.soup(written), built.book.repository
    assert hrefs(soup, "a.btn-source-repository-button") == [repository]
    (address,) = hrefs(soup, "a.btn-source-issues-button")
    assert address.startswith(f"{repository}/issues/new?")


def test_the_launch_button_opens_the_notebook(built, written):
    opened = hrefs(built.soup(written), ".dropdown-launch-buttons a[href]")
    name = urlsplit(built.book.repository).path
    expected = [
        f"https://colab.research.google.com/github{name}/blob/{built.book.branch}"
        f"/chapters/{chapter.notebook.name}"
        for chapter in built.book.chapters()
        if written == f"chapters/{chapter.slug}.html"
    ]
    assert opened == expected


def test_the_set_up_cell_installs_from_the_repository(built, chapter):
    code = built.soup(f"chapters/{chapter.slug}.html").select_one("div.highlight pre").get_text()
    assert set(re.findall(r"https://[^\s\"']+", code)) == {built.book.repository}
    assert f"git+{built.book.repository}" in code
