"""A Sphinx extension: theorem blocks need no label.

A label would be one more line that Colab shows raw, and nothing refers to it. Without one
sphinx-proof counts the blocks of a page, so that two pages clash; here the page's name comes first.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_proof.proof_type import PROOF_TYPES


class _Labelled:
    """Mixed into a directive of sphinx-proof: a label of its own in the whole book."""

    def run(self) -> list[nodes.Node]:
        serial = self.env.new_serialno("theorems") + 1
        self.options.setdefault("label", nodes.make_id(f"{self.env.docname}-block-{serial}"))
        return super().run()


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.setup_extension("sphinx_proof")
    for name, directive in PROOF_TYPES.items():
        labelled = type(directive.__name__, (_Labelled, directive), {})
        app.add_directive_to_domain("prf", name, labelled, override=True)
    # sphinx-proof does not merge what several readers found.
    return {"parallel_read_safe": False, "parallel_write_safe": True}
