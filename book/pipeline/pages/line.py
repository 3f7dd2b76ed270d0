"""The line of papers, from ``book/line.yml``: its chapters, and its picture.

In the picture each chapter is a station; a track branches off where a new limit begins, and joins
again where a later theory contains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import yaml

from pipeline.book import Book


@dataclass(frozen=True)
class Station:
    """One chapter of the line, written or planned; the fields are explained in ``line.yml``."""

    slug: str
    title: str
    papers: str
    asks: str
    track: str
    part: str
    written: bool
    branches_from: str = ""
    joined_by: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """The chapter's number as it is written in prose, without a leading zero."""
        return str(int(self.slug[:2]))


def stations(book: Book) -> list[Station]:
    """Every chapter of the line, in order.

    Raises:
      SystemExit: a chapter in ``chapters/`` that ``line.yml`` does not name.
    """
    data = yaml.safe_load((book.root / "book" / "line.yml").read_text(encoding="utf-8"))
    written = {chapter.slug for chapter in book.chapters()}
    found = [
        Station(
            **{key: chapter[key] for key in ("slug", "title", "papers", "asks", "track")},
            part=part["title"],
            written=chapter["slug"] in written,
            branches_from=chapter.get("from", ""),
            joined_by=tuple(chapter.get("into", ())),
        )
        for part in data["parts"]
        for chapter in part["chapters"]
    ]
    stray = sorted(written - {station.slug for station in found})
    if stray:
        raise SystemExit(f"book/line.yml does not name {', '.join(stray)}; add it to its part")
    return found


# Okabe and Ito's colours, as in the book's figures, for the three tracks; x is in units of the
# picture, whose width fits a phone.
TRACKS = {
    "signals": ("#0072b2", 18),
    "kernel": ("#d55e00", 40),
    "particles": ("#009e73", 62),
}
_WIDTH, _ROW, _HEADING, _TEXT = 380, 38, 34, 84


def _rows(found: list[Station]) -> tuple[list[tuple[float, Station]], list[tuple[float, str]], int]:
    """The height of every station and of every part's heading, and that of the picture."""
    y, part = 4.0, ""
    places, headings = [], []
    for station in found:
        if station.part != part:
            part = station.part
            headings.append((y + 22, part))
            y += _HEADING
        places.append((y + 16, station))
        y += _ROW
    return places, headings, round(y + 6)


def _branch(start: tuple[float, float], end: tuple[float, float], color: str) -> str:
    """Leaves the one track at once and runs along the other."""
    (x1, y1), (x2, y2) = start, end
    path = f"M{x1} {y1}C{x1} {y1 + 20} {x2} {y1 + 14} {x2} {y1 + 34}V{y2}"
    return f'<path d="{path}" stroke="{color}" stroke-dasharray="2 4"/>'


def _join(start: tuple[float, float], end: tuple[float, float], color: str) -> str:
    """Runs along its own track and joins the other at the last moment."""
    (x1, y1), (x2, y2) = start, end
    path = f"M{x1} {y1}V{y2 - 34}C{x1} {y2 - 14} {x2} {y2 - 20} {x2} {y2}"
    return f'<path d="{path}" stroke="{color}" stroke-dasharray="2 4"/>'


def _tracks(places: list[tuple[float, Station]]) -> str:
    at = {station.slug: (TRACKS[station.track][1], y) for y, station in places}
    parts = []
    for name, (color, x) in TRACKS.items():
        own = [(y, station) for y, station in places if station.track == name]
        parts.append(f'<path d="M{x} {own[0][0]}V{own[-1][0]}" stroke="{color}"/>')
        if own[0][1].branches_from:
            parts.append(_branch(at[own[0][1].branches_from], (x, own[0][0]), color))
    for _, station in places:
        for slug in station.joined_by:
            color = TRACKS[next(s.track for _, s in places if s.slug == slug)][0]
            parts.append(_join(at[slug], at[station.slug], color))
    return f'<g fill="none" stroke-width="3">{"".join(parts)}</g>'


def _station(y: float, station: Station, address: str) -> str:
    color, x = TRACKS[station.track]
    name = f"{station.number}\u2002{escape(station.title)}"
    if station.written:
        mark = f'<circle cx="{x}" cy="{y}" r="7" fill="{color}"/>'
        text = f'<text x="{_TEXT}" y="{y}" font-size="14" font-weight="600">{name}</text>'
        if address:
            text = f'<a href="{escape(address)}" class="wl-written">{text}</a>'
    else:
        mark = f'<circle cx="{x}" cy="{y}" r="5" fill="none" stroke="{color}" stroke-width="2"/>'
        text = f'<text x="{_TEXT}" y="{y}" font-size="14">{name}</text>'
    # A planned station's ring is open: the track must not show through it.
    hole = f'<circle cx="{x}" cy="{y}" r="5" class="wl-hole" fill="white"/>'
    papers = escape(station.papers)
    if not station.written:
        papers += ', <tspan font-style="italic">planned</tspan>'
    small = f'<text x="{_TEXT}" y="{y + 15}" font-size="12">{papers}</text>'
    # A title inside a group is shown when the pointer rests on it.
    asks = f"<title>{escape(station.asks)}</title>"
    return f"<g>{asks}{'' if station.written else hole}{mark}{text}{small}</g>"


def describe(found: list[Station]) -> str:
    """The picture in words, for one who cannot see it."""
    written = [station.number for station in found if station.written]
    number = {station.slug: station.number for station in found}
    joins = {slug: station.number for station in found for slug in station.joined_by}
    said = [
        f"The line of papers as a map with {len(found)} stations, one a chapter, on a track that "
        f"runs from “{found[0].title}” to “{found[-1].title}”."
    ]
    for first in (station for station in found if station.branches_from):
        last = [station for station in found if station.track == first.track][-1]
        join = f" and joins again at chapter {joins[last.slug]}" if last.slug in joins else ""
        said.append(
            f"The track of chapters {first.number} to {last.number} branches off at chapter "
            f"{number[first.branches_from]}{join}."
        )
    chapters = "chapters" if len(written) > 1 else "chapter"
    return " ".join([*said, f"Written so far: {chapters} {', '.join(written) or 'none'}."])


def svg(found: list[Station], *, to_chapters: str = "", paper: str = "none") -> str:
    """The picture.

    Args:
      found: the stations, in order.
      to_chapters: address of the folder of the built chapters, with a final slash, which the
        written stations link to; without it nothing is a link.
      paper: colour behind the picture. Text has the colour of the text around it, and is black
        where the picture stands alone as a file; there the paper must be white.

    Returns:
      An SVG element that needs nothing from outside.
    """
    places, headings, height = _rows(found)
    parts = [
        f'<text x="{_TEXT}" y="{y}" font-size="12" font-weight="700" letter-spacing=".04em">'
        f"{escape(part.upper())}</text>"
        for y, part in headings
    ]
    parts += [
        _station(y, station, to_chapters and f"{to_chapters}{station.slug}.html")
        for y, station in places
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" font-family="system-ui, sans-serif" fill="currentColor">'
        f"<title>{escape(describe(found))}</title>"
        f'<rect width="{_WIDTH}" height="{height}" fill="{paper}"/>'
        f"{_tracks(places)}{''.join(parts)}</svg>\n"
    )


def figure(book: Book) -> str:
    """The picture as the landing page shows it: in the page's colours, written chapters linked."""
    return (
        '<figure class="wl-line">\n'
        + svg(stations(book), to_chapters="../chapters/")
        + "\n<figcaption>The line. A full dot is a chapter that is written, an open one a chapter "
        "that is planned. Dotted lines show where a limit leaves the line and where a later theory "
        "contains its limit.</figcaption>\n</figure>"
    )
