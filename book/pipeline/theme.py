"""A Sphinx extension: what the theme and other extensions leave wrong in a page, mended."""

from __future__ import annotations

from typing import Any

import sphinx_tippy
from docutils import nodes
from sphinx.application import Sphinx

_tips_of = sphinx_tippy.create_id_to_tip_html


def _listed_tips(*arguments: Any) -> dict[str | None, str]:
    """Tips, those of terms and functions within the list that sphinx-tippy takes them out of."""
    tips = _tips_of(*arguments)
    return {i: f"<dl>{tip}</dl>" if tip.startswith("<dt") else tip for i, tip in tips.items()}


def _is_of_thebe(script: Any) -> bool:
    return "thebe" in f"{getattr(script, 'filename', script)} {getattr(script, 'attributes', '')}"


def _mend(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    # Jupyter Book always loads Thebe, which the book does not use: it declares its constants twice,
    # an error in every console, and would fetch from another host.
    context["script_files"] = [s for s in context["script_files"] if not _is_of_thebe(s)]
    # The arrow that unfolds a part of the table of contents has no name to be read aloud.
    toctree = context["generate_toctree_html"]

    def named_toctree(*arguments: Any, **options: Any) -> Any:
        made = toctree(*arguments, **options)
        # Where the table is empty it is a string.
        for summary in made.select("summary") if hasattr(made, "select") else ():
            summary["aria-label"] = f"Pages under {summary.find_parent('li').a.get_text()}"
        return made

    context["generate_toctree_html"] = named_toctree
    # Docutils calls citations a list, and its entries no list items.
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    sphinx_tippy.create_id_to_tip_html = _listed_tips
    # Late: the theme has put its own things into the page by then.
    app.connect("html-page-context", _mend, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
