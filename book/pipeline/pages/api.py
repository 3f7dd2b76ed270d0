"""The API reference: every module of the package with its docstrings, and where equations live."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

from sphinx.pycode import ModuleAnalyzer

import widelimit
from pipeline.book import Book

# What stands on which page: module or package, without the leading "widelimit.".
AREAS = {
    "vocabulary": ("activations", "architectures", "parametrizations", "programs", "closed_forms"),
    "theory": ("theory",),
    "lab": ("lab",),
    "ledger": ("ledger",),
    "figures": ("figures",),
    "chapters": ("", "notebook", "progress", "cli"),
}

# "chapter 1, equations (1.5) and (1.8)" in a docstring says that a function computes them.
_EQUATIONS = re.compile(r"[Cc]hapter (\d+), equations? ((?:\(\d+\.\d+\)(?:,? and |, )?)+)")


def module_names() -> list[str]:
    """Every module of the package, by dotted name, in alphabetical order."""
    found = pkgutil.walk_packages(widelimit.__path__, "widelimit.")
    # __main__ would run the command line.
    return ["widelimit", *sorted(i.name for i in found if not i.name.endswith("__main__"))]


def modules_of(area: str) -> list[str]:
    """The modules that stand on one page of the reference."""
    wanted = [f"widelimit.{name}".rstrip(".") for name in AREAS[area]]
    below = tuple(f"{name}." for name in wanted if name != "widelimit")
    return [name for name in module_names() if name in wanted or name.startswith(below)]


def public(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The public functions and classes that a module defines, in the order of its source."""
    found = []
    for name, value in vars(module).items():
        # What jit and custom_jvp return is no function, but wraps one.
        inner = inspect.unwrap(value) if callable(value) else None
        if (
            (inspect.isfunction(inner) or inspect.isclass(inner))
            and inner.__module__ == module.__name__
            and not name.startswith("_")
        ):
            found.append((inspect.getsourcelines(inner)[1], name, value))
    return iter([(name, value) for _, name, value in sorted(found, key=lambda item: item[0])])


def constants(module: ModuleType) -> list[str]:
    """The public constants that a module documents by a comment ``#:``, in order."""
    documented = ModuleAnalyzer.for_module(module.__name__).find_attr_docs()
    return [name for scope, name in documented if not scope and not name.startswith("_")]


def summary(thing: object) -> str:
    """The first sentence of a docstring, on one line."""
    return " ".join((inspect.getdoc(inspect.unwrap(thing)) or "").partition("\n\n")[0].split())


def _is_empty(module: ModuleType) -> bool:
    """Whether a module only holds others together."""
    return not list(public(module)) and hasattr(module, "__path__")


def _reference(name: str, thing: object) -> str:
    role = "class" if inspect.isclass(thing) else "func"
    return f":{role}:`~{_home(thing)}.{name}`"


def _home(thing: object) -> str:
    return inspect.unwrap(thing).__module__


def _module_entry(module: ModuleType) -> str:
    name = module.__name__
    entries = [f".. automodule:: {name}"]
    for own, thing in public(module):
        kind = "class" if inspect.isclass(thing) else "function"
        members = "\n   :members:" if kind == "class" else ""
        entries.append(f".. auto{kind}:: {name}.{own}{members}")
    entries += [f".. autodata:: {name}.{own}\n   :no-value:" for own in constants(module)]
    return f"## {name}\n\n```{{eval-rst}}\n" + "\n\n".join(entries) + "\n```"


def area_page(area: str) -> str:
    """One page: each module with what it holds."""
    modules = [importlib.import_module(name) for name in modules_of(area)]
    return "\n\n".join(_module_entry(module) for module in modules if not _is_empty(module))


def contents() -> str:
    """The modules, each with its one sentence and its public names."""
    rows = []
    for area in AREAS:
        for name in modules_of(area):
            module = importlib.import_module(name)
            if not _is_empty(module):
                names = ", ".join(_reference(n, thing) for n, thing in public(module))
                rows.append(f"``{name}``\n   {summary(module)}\n\n   {names}".rstrip())
    return "```{eval-rst}\n" + "\n\n".join(rows) + "\n```"


def equation_anchor(number: str) -> str:
    """The HTML id of a numbered equation on its chapter's page: (1.5) has ``equation-1-5``."""
    return f"equation-{number.replace('.', '-')}"


def equations() -> dict[tuple[int, str], list[tuple[str, object]]]:
    """Which functions say that they compute an equation: chapter and number → functions."""
    found: dict[tuple[int, str], list[tuple[str, object]]] = {}
    for name in module_names():
        for attribute, thing in public(importlib.import_module(name)):
            for chapter, listed in _EQUATIONS.findall(
                " ".join((inspect.unwrap(thing).__doc__ or "").split())
            ):
                for number in re.findall(r"\((\d+\.\d+)\)", listed):
                    found.setdefault((int(chapter), number), []).append((attribute, thing))
    return dict(sorted(found.items(), key=lambda item: [int(n) for n in item[0][1].split(".")]))


def equation_table(book: Book) -> str:
    """Equation by equation, what predicts it and what measures it, read from the docstrings."""
    slugs = {int(chapter.slug[:2]): chapter.slug for chapter in book.chapters()}
    rows = [".. list-table::", "   :header-rows: 1", ""]
    rows += ["   * - equation", "     - predicted by", "     - measured by"]
    for (chapter, number), things in equations().items():
        calls = [f"{_reference(n, t)} ({_home(t).partition('.')[2]})" for n, t in things]
        measured = [".lab." in _home(t) or ".figures." in _home(t) for _, t in things]
        cells = [
            ", ".join(c for c, m in zip(calls, measured, strict=True) if m is side)
            for side in (False, True)
        ]
        slug = slugs.get(chapter)
        place = f"../chapters/{slug}.html#{equation_anchor(number)}"
        rows += [f"   * - `({number}) <{place}>`__" if slug else f"   * - ({number})"]
        rows += [f"     - {cell}".rstrip() for cell in cells]
    return "```{eval-rst}\n" + "\n".join(rows) + "\n```"
