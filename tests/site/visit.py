"""One visit to a page: everything that a browser can say of it, asked at once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import TimeoutError as TimedOut

from legible import KEPT, kept

SCHEMES = ("light", "dark")
_PHONE = 600  # pixels: a narrower window is a phone's, which has no pointer
_NARROWEST = 320  # pixels: into which WCAG 2 asks a page to fit
_HEIGHT = 900
_TIMEOUT = 15_000  # milliseconds, for anything a page is waited for
_SOON = 5_000  # milliseconds, for what takes no loading
_PATIENCE = 150  # milliseconds given to what a page does when it is touched
_IN_PAGE = Path(__file__).with_name("in_page.js").read_text(encoding="utf-8")
# Preloading would fetch every style sheet again; only rules that are still tried out need it.
_AXE = "(within) => axe.run(within, {resultTypes: ['violations'], preload: false})"
_NOTED = 4  # elements named for each broken rule


@dataclass
class Visit:
    """What a visit to one page at one width found wrong, by kind."""

    elsewhere: list[str] = field(default_factory=list)  # requests that leave the machine
    unanswered: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # in the console
    themes: list[str] = field(default_factory=list)
    math: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)  # undescribed, without a caption, or not drawn
    faint: list[str] = field(default_factory=list)  # pictures not legible in the dark theme
    folds: list[str] = field(default_factory=list)  # open before anybody opens them
    sideways: list[str] = field(default_factory=list)  # scrolling of the page
    axe: list[str] = field(default_factory=list)  # serious and critical violations


KINDS = tuple(kind.name for kind in fields(Visit))


def open_context(browser: Browser, site: str, width: int, seen: Visit) -> BrowserContext:
    """A fresh profile that notes what fails in it, and what it asks of other hosts than the site's.

    Args:
      browser: one that resolves no host's name, so that nothing is answered from elsewhere.
      site: the site's address.
      width: of the window, pixels.
      seen: where to note it.
    """

    def requested(request):
        if request.url.startswith(("http", "ws")) and not request.url.startswith(site):
            seen.elsewhere.append(request.url)

    def failed(request):
        # Chromium drops what is under way when a page is left.
        if request.failure != "net::ERR_ABORTED":
            seen.unanswered.append(f"{request.failure} {request.url}")

    def answered(response):
        if response.status >= 400:
            seen.unanswered.append(f"{response.status} {response.url}")

    def said(message):
        if message.type == "error":
            seen.errors.append(f"{message.text} ({message.location['url']})")

    context = browser.new_context(
        viewport={"width": width, "height": _HEIGHT}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(_TIMEOUT)
    context.on("request", requested)
    context.on("requestfailed", failed)
    context.on("response", answered)
    context.on("console", said)
    context.on("weberror", lambda error: seen.errors.append(str(error.error)))
    return context


def settle(page: Page) -> None:
    """Wait until the mathematics is set and the letters are there."""
    page.evaluate(
        """async () => {
          if (document.querySelector(".math")) await window.MathJax?.startup?.promise;
          await document.fonts.ready;
        }"""
    )


def axe(page: Page, within: str = "html") -> list[str]:
    """The serious and critical violations that axe finds in part of a page, one a line."""
    page.evaluate(AXE_SCRIPT)
    results = page.evaluate(_AXE, within)
    return [
        f"{rule['impact']} {rule['id']} ({len(rule['nodes'])} elements): "
        + "; ".join(
            f"{node['target'][-1]} {node['html'][:160]} {_measured(node)}"
            for node in rule["nodes"][:_NOTED]
        )
        for rule in results["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def _measured(node: dict) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    return checks[0]["message"] if checks else ""


def _pictures(page: Page) -> list[bytes]:
    found = page.locator(".bd-article :is(img, figure svg)")
    # The dark theme puts a rim around an image.
    bare = ":is(img, svg) { padding: 0 !important }"
    return [found.nth(index).screenshot(style=bare) for index in range(found.count())]


def turn(page: Page, scheme: str) -> str:
    """Let the system's colours change; returns the theme that the page then has."""
    page.emulate_media(color_scheme=scheme)
    try:
        page.wait_for_function(
            "(scheme) => document.documentElement.dataset.theme === scheme",
            arg=scheme,
            timeout=_SOON,
        )
    except TimedOut:
        return page.evaluate("document.documentElement.dataset.theme")
    return scheme


def _touch(page: Page, width: int) -> None:
    """Scroll, open what opens, and point at one link of each kind: what is then fetched is seen."""
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    if width >= _PHONE:
        for link in page.evaluate("widelimit.links()"):
            page.hover(f"[data-widelimit-link='{link}']", timeout=_SOON)
            page.wait_for_timeout(_PATIENCE)
    for index in range(page.locator(".article-header-buttons .dropdown-toggle").count()):
        page.locator(".article-header-buttons .dropdown-toggle").nth(index).click()
        page.keyboard.press("Escape")
    page.locator(".search-button__button:visible").first.click()
    page.wait_for_timeout(_PATIENCE)


def _in_both_themes(page: Page, width: int, seen: Visit) -> None:
    drawn = {}
    for scheme in SCHEMES:
        theme = turn(page, scheme)
        if theme != scheme:
            seen.themes.append(f"the system's is {scheme}, the page's {theme or 'none'}")
        # Colours are the same at any width.
        drawn[scheme] = _pictures(page) if width >= _PHONE else []
        for narrow in (width,) if width >= _PHONE else (_NARROWEST, width):
            page.set_viewport_size({"width": narrow, "height": _HEIGHT})
            wrong = page.evaluate("widelimit.sideways()")
            seen.sideways += [f"{scheme}, in {narrow} px: {line}" for line in wrong]
    shares = [kept(*both) for both in zip(drawn["light"], drawn["dark"], strict=True)]
    seen.faint = [
        f"image {number}: {share:.0%} of what is legible in the light theme is in the dark one"
        for number, share in enumerate(shares, 1)
        if share < KEPT
    ]
    page.evaluate("widelimit.simplify()")
    for scheme in SCHEMES:
        turn(page, scheme)
        seen.axe += [f"{scheme}: {violation}" for violation in axe(page)]


def visit(browser: Browser, site: str, path: str, width: int) -> Visit:
    """Read a page through, in both themes, everything unfolded, and touch what can be touched."""
    seen = Visit()
    context = open_context(browser, site, width, seen)
    page = context.new_page()
    page.goto(site + path)
    settle(page)
    page.evaluate(_IN_PAGE)
    seen.folds = page.evaluate("widelimit.unfold()")
    seen.math = page.evaluate("widelimit.math()")
    seen.images = page.evaluate("widelimit.images()")
    _in_both_themes(page, width, seen)
    _touch(page, width)
    context.close()
    return seen
