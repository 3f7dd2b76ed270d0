"""The key figures of the papers: one module a paper, its data and its drawing.

A module lists its figures in ``FIGURES``; `widelimit.figures.registry` finds them.
"""
