"""The ledger page: every claim of the executed notebooks, as they stand there."""

from __future__ import annotations

from collections import Counter
from html import escape

from pipeline.book import Book
from pipeline.pages.line import stations
from widelimit.ledger import collect
from widelimit.ledger.render import claim_anchor, format_measured, format_number

_HEAD = ("predicted", "measured", "off by", "tolerance", "rival", "verdict")


def _allowed(reason: str) -> str:
    """How much of a tolerance is allowed for the prediction's own next order, if any is."""
    _, plus, allowance = reason.partition("; plus ")
    return f", of it {escape(allowance.partition(':')[0])} allowed" if plus else ""


def _rows(claim: dict) -> str:
    """The claim's sentence, which leads to its chapter, and its numbers below."""
    link = f"../chapters/{claim['chapter']}.html#{claim_anchor(claim['id'])}"
    off = (claim["measured"] - claim["predicted"]) / claim["stderr"]
    rival = claim["rival"]
    cells = (
        format_number(claim["predicted"], 4),
        format_measured(claim["measured"], claim["stderr"]),
        f"{round(off, 1) + 0.0:+.1f}".replace("-", "−"),
        f"± {format_number(claim['tolerance'], 2)}{_allowed(claim['tolerance_reason'])}",
        f"{format_number(rival['value'], 3)} ({escape(rival['name'])})"
        + ("" if rival["rejected"] else ", not rejected"),
        f"{claim['verdict']}" + (f"; {escape(claim['comment'])}" if claim["comment"] else ""),
    )
    return (
        f'<tbody>\n<tr><th colspan="{len(_HEAD)}" scope="rowgroup">'
        f'<a href="{link}">{escape(claim["statement"])}</a></th></tr>\n'
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n</tbody>\n"
    )


def _table(claims: list[dict], name: str) -> str:
    head = "".join(f'<th scope="col">{column}</th>' for column in _HEAD)
    # A box that scrolls by itself is reached by keyboard only if it can take the focus.
    return (
        f'<div class="wl-scroll" tabindex="0" role="region" aria-label="{escape(name)}">\n'
        f'<table class="wl-ledger">\n<thead><tr>{head}</tr></thead>\n'
        f"{''.join(map(_rows, claims))}</table>\n</div>"
    )


def summary(claims: list[dict]) -> str:
    """How many claims there are and how many have each verdict, in a sentence."""
    plural = {"holds": "hold", "holds with a caveat": "hold with a caveat"}
    counts = Counter(claim["verdict"] for claim in claims)
    said = [
        f"{count} {verdict if count == 1 else plural.get(verdict, 'do not hold')}"
        for verdict, count in counts.items()
    ]
    rejected = sum(claim["rival"]["rejected"] for claim in claims)
    return (
        f"The book makes {len(claims)} claim{'s' * (len(claims) != 1)} so far: {', '.join(said)}. "
        f"{rejected} of {len(claims)} reject their rival."
    )


def markdown(book: Book) -> str:
    """The page's text below its introduction."""
    claims = collect.collect(book.root / "chapters")
    parts = [summary(claims)]
    for station in stations(book):
        own = [claim for claim in claims if claim["chapter"] == station.slug]
        if own:
            title = f"{station.number} {station.title}"
            parts += [f"## {title}", _table(own, f"Claims of chapter {station.number}")]
    return "\n\n".join(parts)
