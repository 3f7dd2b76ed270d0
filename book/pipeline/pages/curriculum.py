"""The curriculum page: a course of twelve weeks, from ``book/curriculum.yml``."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from pipeline import citations
from pipeline.book import Book
from pipeline.pages.line import Station, stations


def weeks(book: Book) -> list[dict]:
    """The weeks of the course, in order; the fields are explained in the file."""
    text = (book.root / "book" / "curriculum.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["weeks"]


def _chapter(station: Station) -> str:
    name = f"{station.number} {station.title}"
    if station.written:
        return f"[{name}](../chapters/{station.slug}.ipynb)"
    return f"{name} *(not written yet)*"


def _time(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return " ".join(f"{count} {unit}" for count, unit in ((hours, "h"), (rest, "min")) if count)


def _week(week: dict, by_slug: dict[str, Station], known: Mapping[str, citations.Reference]) -> str:
    own = [by_slug[slug] for slug in week["chapters"]]
    unwritten = [station.number for station in own if not station.written]
    parts = [
        f"(week-{week['week']})=\n## Week {week['week']}: {week['title']}",
        f"*{week['question']}*",
        "**Chapters.** " + "; ".join(map(_chapter, own)) + ".",
    ]
    if len(unwritten) == len(own):
        parts.append(
            "The book has no chapter for this week yet: the week works from the papers alone."
        )
    parts.append(f"**Before.** {week['before']}")
    reading = [
        f"{i}. {known[paper['key']].said} {{cite}}`{paper['key']}`: {paper['what']} "
        f"({_time(paper['minutes'])})"
        for i, paper in enumerate(week["read"], 1)
    ]
    total = sum(paper["minutes"] for paper in week["read"])
    parts += [f"**Read** ({_time(total)} in all).", "\n".join(reading)]
    for label, field in (("Skip", "skip"), ("Do", "do"), ("Bring", "hand_in")):
        if week.get(field):
            parts.append(f"**{label}.** {week[field]}")
    questions = "\n".join(f"- {question}" for question in week["discuss"])
    return "\n\n".join([*parts, "**Discuss.**", questions])


def _overview(found: list[dict], by_slug: dict[str, Station]) -> str:
    rows = ["| week | subject | chapters | written |", "|---|---|---|---|"]
    for week in found:
        own = [by_slug[slug] for slug in week["chapters"]]
        written = sum(station.written for station in own)
        numbers = ", ".join(station.number for station in own)
        name = week["title"].replace("|", "\\|")  # a bar would end the table's cell
        title = f"[{name}](#week-{week['week']})"
        rows.append(f"| {week['week']} | {title} | {numbers} | {written} of {len(own)} |")
    return "\n".join(rows)


def markdown(book: Book) -> str:
    """The page's text below its introduction."""
    found = weeks(book)
    by_slug = {station.slug: station for station in stations(book)}
    known = citations.read(book.root / "references.bib")
    return "\n\n".join([_overview(found, by_slug), *(_week(w, by_slug, known) for w in found)])
