"""What a stored output may be: a figure with its words, a claim, or plain text and HTML."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from nbformat import NotebookNode

MAX_SVG_BYTES = 200_000
_ALLOWED = {"text/plain", "text/html", "text/latex", "text/markdown"}
_SVG = "data:image/svg+xml;base64,"
# The roots under which a machine keeps someone's files: none of them means anything to a reader.
_MACHINE_PATH = re.compile(
    r"(?<![\w.:/~-])(?:/(?:home|root|Users|tmp|var|opt|usr|mnt|srv|work|content)/[\w.~-]+"
    r"|[A-Z]:\\\w+)"
)


def problems(cell: NotebookNode) -> Iterator[str]:
    """What is wrong with a code cell's outputs, each with its remedy."""
    for output in cell.outputs:
        kind = output.output_type
        if kind == "error":
            yield f"stopped with {output.ename}: {output.evalue}; a chapter runs to its end"
        elif kind == "stream":
            if output.name == "stderr":
                yield f"wrote to stderr ({output.text[-80:]!r}); silence it at its cause"
            yield from _machine_paths(output.text)
        else:
            yield from _rich(output)


def _rich(output: NotebookNode) -> Iterator[str]:
    for mime, content in output.data.items():
        if mime not in _ALLOWED:
            yield f"stores {mime}; show figures with run.show and other things as text"
        elif isinstance(content, str):
            yield from _machine_paths(content)
    html = output.data.get("text/html", "")
    if re.search(r"<script|<iframe|<object|<embed", html, re.IGNORECASE):
        yield "its HTML carries a script or a frame; a page must not run what a cell wrote"
    if re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", html, re.IGNORECASE):
        yield "its HTML loads from another host; embed it"
    figure = output.metadata.get("widelimit", {}).get("figure")
    if figure is not None or re.search(r"<img|<svg|<figure|<canvas", html, re.IGNORECASE):
        yield from _figure(html, figure or {})


def _figure(html: str, stated: dict) -> Iterator[str]:
    shown = _Figure()
    shown.feed(html)
    caption = " ".join("".join(shown.caption).split())
    if "<svg" in html.lower() or len(shown.images) != 1:
        yield f"is a figure with {len(shown.images)} images; run.show makes one <img> in a <figure>"
        return
    image = shown.images[0]
    if not (image.get("alt") or "").strip() or not (stated.get("alt") or "").strip():
        yield "is a figure without alt text; say in run.show(alt=...) what a person would see"
    if not caption or not (stated.get("caption") or "").strip():
        yield "is a figure without a caption; state its message in run.show(caption=...)"
    source = image.get("src") or ""
    if not source.startswith(_SVG):
        yield f"is a figure whose image is {source[:30]!r}...; run.show embeds an SVG"
        return
    try:
        svg = base64.b64decode(source.removeprefix(_SVG), validate=True)
        text = svg.decode("utf-8")
    except ValueError as error:
        yield f"is a figure whose SVG cannot be decoded ({error}); run the cell again"
        return
    if "<svg" not in text:
        yield f"is a figure whose image is no SVG: {text[:30]!r}; show a matplotlib figure"
    if len(svg) > MAX_SVG_BYTES:
        yield (
            f"is a figure of {len(svg)} bytes, over {MAX_SVG_BYTES}; draw fewer points or "
            "rasterize them"
        )
    if "<script" in text.lower():
        yield "is a figure whose SVG carries a script; draw it without"
    yield from _machine_paths(text)


def _machine_paths(text: str) -> Iterator[str]:
    bare = re.sub(r"base64,[A-Za-z0-9+/=\s]+", "", text)
    found = _MACHINE_PATH.search(bare)
    if found:
        yield f"shows a path of one machine, {found[0]!r}; print a name or a relative path"


class _Figure(HTMLParser):
    """The images of an output and the text of its caption."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.caption: list[str] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        self._open = self._open or tag == "figcaption"

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "figcaption"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.caption.append(data)
