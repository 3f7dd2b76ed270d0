"""A visit to a page that is sound, and to that page with one thing wrong."""

import pytest

from serving import serve
from visit import KINDS, visit

SOUND = r"""<!doctype html>
<html lang="en">
<head>
<title>Sound</title>
<link rel="icon" href="data:,">
<script>
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => (document.documentElement.dataset.theme = dark.matches ? "dark" : "light");
  dark.addEventListener("change", follow);
  follow();
</script>
<script defer src="mathjax/tex-chtml-full.js"></script>
<style>
  body { color: black; background: white; }
  [data-theme="dark"] body { color: white; background: black; }
  [data-theme="dark"] img { background: white; }
</style>
</head>
<body>
<main class="bd-article">
<h1>Sound</h1>
<button class="search-button__button">Search</button>
<p>Let <span class="math">\(x\)</span> be <code>\(y\)</code>.</p>
<figure><img alt="A square." src="square.svg"><figcaption>A square.</figcaption></figure>
<details><summary>Solution</summary><p>None.</p></details>
<div style="overflow-x: auto" tabindex="0"><div style="width: 2000px">Wide.</div></div>
</main>
</body>
</html>
"""
SQUARE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="60" height="60">
<path d="M20 20h20v20h-20z"/>
</svg>
"""

# What is wrong: what is changed for it, into what, and the kinds of wrong that a visit then finds.
BROKEN = {
    "another host's script": (
        "<h1>",
        "<script src='https://host.invalid/x.js'></script><h1>",
        {"elsewhere", "unanswered", "errors"},
    ),
    "a missing picture": ("square.svg", "circle.svg", {"unanswered", "errors", "images", "faint"}),
    "a failing script": ("  follow();\n", "  follow();\n  throw Error('no');\n", {"errors"}),
    "a formula not set": ('class="math"', 'class="math mathjax_ignore"', {"math"}),
    "raw LaTeX": ("<code>", "<code></code><q class='mathjax_ignore'>\\(y\\)</q><code>", {"math"}),
    "an unknown macro": (r"\(x\)", r"\(\nosuchmacro\)", {"math"}),
    "no alt text": ('alt="A square."', "", {"images", "axe"}),
    "no caption": ("<figcaption>A square.</figcaption>", "", {"images"}),
    "black on black": ('[data-theme="dark"] img { background: white; }', "", {"faint"}),
    "an open solution": ("<details>", "<details open>", {"folds"}),
    "a fixed theme": ('dark.addEventListener("change", follow);', "", {"themes"}),
    "a page too wide": ('style="overflow-x: auto"', "", {"sideways"}),
    "grey on white": ("color: black; background: white", "color: #999; background: white", {"axe"}),
    "grey on black": ("color: white; background: black", "color: #555; background: black", {"axe"}),
    "a nameless button": (">Search<", "><", {"axe"}),
}


@pytest.fixture
def found_in(browser, repo, tmp_path):
    """What a visit finds wrong with a page of the given text: the kinds."""

    def found(text):
        (tmp_path / "mathjax").symlink_to(repo / "book" / "_static" / "mathjax")
        (tmp_path / "square.svg").write_text(SQUARE, encoding="utf-8")
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        with serve(tmp_path, "/book/") as address:
            seen = visit(browser, address, "page.html", 1280)
        return {kind for kind in KINDS if getattr(seen, kind)}

    return found


def test_a_sound_page_is_found_so(found_in):
    assert found_in(SOUND) == set()


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_found(found_in, case):
    old, new, kinds = BROKEN[case]
    assert SOUND.count(old) == 1
    assert found_in(SOUND.replace(old, new)) == kinds
