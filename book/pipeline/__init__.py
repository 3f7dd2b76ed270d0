"""From the edited ``chapters/NN-slug.md`` to the executed, checked ``chapters/NN-slug.ipynb``.

The development tool of the book; it is not part of the ``widelimit`` package. ``make`` calls it as
``python -m pipeline`` with ``book/`` on the path.
"""
