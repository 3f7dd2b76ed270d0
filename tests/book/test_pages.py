"""Pages made from data: what they show is what the data say, whatever is written so far."""

import itertools
import re
import shutil
from xml.etree import ElementTree

import pytest
import yaml

from pipeline import sync
from pipeline.book import Book
from pipeline.pages import citation, curriculum, ledger, line

SVG = "{http://www.w3.org/2000/svg}"

CURRICULUM = {
    "weeks": [
        {
            "week": 1,
            "title": "First",
            "question": "What is it",
            "chapters": ["01-small"],
            "before": "Nothing.",
            "read": [
                {"key": "neal1994", "what": "all of it", "minutes": 90},
                {"key": "cho2009", "what": "a part", "minutes": 35},
            ],
            "skip": "the rest.",
            "do": "it.",
            "discuss": ["Why so", "Why not"],
        },
        {
            "week": 2,
            "title": "Second",
            "question": "What next",
            "chapters": ["02-next", "03-more"],
            "before": "Week 1.",
            "read": [{"key": "cho2009", "what": "more", "minutes": 60}],
            "skip": "",
            "do": "that.",
            "discuss": ["Why then", "Why ever"],
            "hand_in": "a sketch.",
        },
    ]
}


@pytest.fixture
def planned(book, repo) -> Book:
    """The small book with a curriculum of two weeks."""
    shutil.copy(repo / "references.bib", book.root)
    text = yaml.safe_dump(CURRICULUM)
    (book.root / "book" / "curriculum.yml").write_text(text, encoding="utf-8")
    return book


def test_every_chapter_of_the_design_is_on_the_line(repo):
    found = line.stations(Book(repo))
    assert [station.number for station in found] == [str(n) for n in range(1, 24)]
    assert len({station.title for station in found}) == 23
    known = {station.slug for station in found}
    for station in found:
        assert {station.branches_from, *station.joined_by} <= known | {""}
        assert all((station.papers, station.asks.endswith("?"), station.track in line.TRACKS))


def test_a_written_chapter_has_the_title_of_the_line(repo):
    titles = {f"{s.number} {s.title}" for s in line.stations(Book(repo)) if s.written}
    assert {sync.title(chapter) for chapter in Book(repo).chapters()} == titles


def test_what_is_written_is_seen_and_not_said(book):
    assert [station.written for station in line.stations(book)] == [True, False, False]


def test_a_chapter_the_line_does_not_name_is_an_error(book, chapter):
    text = chapter.text.read_text(encoding="utf-8")
    (chapter.text.parent / "09-other.md").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match="does not name 09-other; add it"):
        line.stations(book)


def test_the_picture_links_written_chapters_and_marks_the_others(book):
    assert 'href="../chapters/01-small.html"' in line.figure(book)
    tree = ElementTree.fromstring(line.svg(line.stations(book), to_chapters="x/"))
    links = {a.get("href"): "".join(a.itertext()) for a in tree.iter(f"{SVG}a")}
    assert list(links) == ["x/01-small.html"]
    assert "Small" in links["x/01-small.html"]
    said = ["".join(text.itertext()) for text in tree.iter(f"{SVG}text")]
    assert [s for s in said if s.endswith("planned")] == ["B 1995, planned", "C 1996, planned"]
    assert "chapter 1" in tree.find(f"{SVG}title").text


def test_the_picture_alone_links_nothing_and_stands_on_paper(book):
    tree = ElementTree.fromstring(line.svg(line.stations(book), paper="white"))
    assert not list(tree.iter(f"{SVG}a"))
    assert tree.find(f"{SVG}rect").get("fill") == "white"


def test_stations_do_not_overlap(repo):
    tree = ElementTree.fromstring(line.svg(line.stations(Book(repo))))
    heights = sorted(float(text.get("y")) for text in tree.iter(f"{SVG}text"))
    gaps = [b - a for a, b in itertools.pairwise(heights)]
    assert min(gaps) >= 12  # the size of the smaller letters
    assert heights[-1] < float(tree.get("viewBox").split()[3])


def test_the_ledger_shows_the_notebooks_numbers(book):
    shown = ledger.markdown(book)
    assert "The book makes 1 claim so far: 1 holds. 1 of 1 reject their rival." in shown
    assert '<a href="../chapters/01-small.html#claim-small--first">One is one.</a>' in shown
    assert "<td>1.000 ± 0.010</td>" in shown
    assert "3 (three)" in shown
    assert "## 1 Small" in shown


def test_a_row_says_how_far_off_and_what_is_not_rejected(book, chapter):
    stored = chapter.notebook.read_text(encoding="utf-8")
    for old, new in (
        ('"measured": 1.0,', '"measured": 1.023,'),
        ('"rejected": true', '"rejected": false'),
        ('"statement": "One is one."', '"statement": "1 < 2 & so on."'),
    ):
        assert old in stored
        stored = stored.replace(old, new)
    chapter.notebook.write_text(stored, encoding="utf-8")
    shown = ledger.markdown(book)
    assert "<td>+2.3</td><td>± 0.05</td><td>3 (three), not rejected</td>" in shown
    assert ">1 &lt; 2 &amp; so on.</a>" in shown
    assert "0 of 1 reject their rival" in shown


def test_a_claim_that_does_not_hold_stays_in_the_ledger(book, chapter):
    stored = chapter.notebook.read_text(encoding="utf-8")
    spoiled = stored.replace('"verdict": "holds"', '"verdict": "does not hold"')
    assert spoiled != stored
    chapter.notebook.write_text(spoiled.replace('"comment": ""', '"comment": "a < b"'))
    shown = ledger.markdown(book)
    assert "1 claim so far: 1 does not hold." in shown
    assert "does not hold; a &lt; b" in shown


def test_a_week_says_what_is_not_written(planned):
    first, second = re.split(r"^## Week 2", curriculum.markdown(planned), flags=re.MULTILINE)
    assert "[1 Small](../chapters/01-small.ipynb)" in first
    assert "not written yet" not in first
    assert "2 Next *(not written yet)*; 3 More *(not written yet)*" in second
    assert "no chapter for this week yet" in second
    assert "| 2 | [Second](#week-2) | 2, 3 | 0 of 2 |" in first


def test_a_week_adds_its_reading_up(planned):
    first, second = re.split(r"^## Week 2", curriculum.markdown(planned), flags=re.MULTILINE)
    assert "**Read** (2 h 5 min in all)." in first
    assert "1. Neal (1994) {cite}`neal1994`: all of it (1 h 30 min)\n2. Cho & Saul (2009)" in first
    assert "**Skip.**" in first
    assert "**Skip.**" not in second
    assert "**Bring.** a sketch." in second
    assert "- Why then\n- Why ever" in second


def test_the_citation_is_that_of_the_citation_file(book):
    text = citation.markdown(book)
    cff = yaml.safe_load((book.root / "CITATION.cff").read_text(encoding="utf-8"))
    assert f"version {cff['version']}" in text
    assert re.search(rf"version *= {{{re.escape(cff['version'])}}},", text)
    assert book.site in text
    assert f"{book.repository}/issues/new/choose" in citation.report(book)


@pytest.mark.parametrize(
    ("repository", "site"),
    [
        ("https://github.com/Some/wide-limit", "https://some.github.io/wide-limit/"),
        ("https://github.com/Some/Wide", "https://some.github.io/Wide/"),
        ("https://github.com/Some/some.github.io", "https://some.github.io/"),
    ],
)
def test_the_sites_address_follows_from_the_repositorys(book, repository, site):
    config = book.root / "_config.yml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(book.repository, repository), encoding="utf-8")
    assert book.site == site
