"""What a reader does: search, mistype an address, unfold, launch, use the keyboard or a phone."""

import pytest

from visit import SCHEMES, Visit, axe, open_context, settle, turn

HOME, CHAPTER, REFERENCE = "book/index.html", "chapters/01-neal.html", "book/api.html"


@pytest.fixture
def noted():
    """What fails while a reader reads."""
    return Visit()


@pytest.fixture
def reader(browser, served, noted):
    """A reader at a desk; whatever happens, nothing is asked of other hosts."""
    context = open_context(browser, served, 1280, noted)
    yield context.new_page()
    context.close()
    assert noted.elsewhere == []


@pytest.fixture
def phone(browser, served, noted):
    """A reader with a phone."""
    context = open_context(browser, served, 390, noted)
    yield context.new_page()
    context.close()
    assert noted.elsewhere == []


def shown(page, selector):
    """The first element of a kind that can be seen."""
    return page.locator(selector).locator("visible=true").first


@pytest.mark.parametrize("begin", [HOME, "search.html"])
def test_search_finds_kurtosis(reader, served, begin):
    reader.goto(served + begin)
    if begin == HOME:
        shown(reader, ".search-button__button").click()
    field = shown(reader, "input[type=search]")
    field.fill("kurtosis")
    field.press("Enter")
    found = shown(reader, f"#search-results li a[href*='{CHAPTER}']")
    found.click()
    reader.wait_for_url(f"{served}{CHAPTER}*")
    assert "kurtosis" in reader.locator("article").inner_text()


def test_formulas_are_set_by_the_mathjax_of_the_site(reader, served):
    reader.goto(served + CHAPTER)
    settle(reader)
    assert reader.evaluate("MathJax.version").startswith("3.2.")
    assert reader.locator("mjx-container[jax=CHTML]").count() > 100


def test_an_unknown_address_is_answered_by_a_page_of_the_book(reader, served, built, noted):
    response = reader.goto(f"{served}a/b/c")
    assert response.status == 404
    assert noted.unanswered == [f"404 {served}a/b/c"]
    assert "The Wide Limit" in reader.title()
    assert shown(reader, ".bd-sidebar-primary nav a").is_visible()
    links = [tag["href"] for tag in built.soup("404.html").select("a[href]:not([href^='#'])")]
    addresses = [*links, *built.fetched("404.html")]
    assert [a for a in addresses if built.leads_nowhere("a/b/c", a)] == []
    shown(reader, f"article a[href$='{HOME}']").click()
    reader.wait_for_url(served + HOME)


def test_the_first_tab_leads_past_the_navigation(reader, served):
    reader.goto(served + CHAPTER)
    reader.keyboard.press("Tab")
    focused = reader.locator(":focus")
    assert focused.inner_text() == "Skip to main content"
    # It slides in, so it is waited for.
    reader.wait_for_function("document.activeElement.getBoundingClientRect().y >= 0")
    reader.keyboard.press("Enter")
    reader.wait_for_url(f"{served}{CHAPTER}#main-content")


@pytest.mark.parametrize(
    "kind", ["details:has(> summary:text('Solution'))", "details.hide"], ids=["solution", "code"]
)
def test_a_fold_opens_by_mouse_and_by_key(reader, served, kind):
    reader.goto(served + CHAPTER)
    fold = reader.locator(kind).first
    summary, inside = fold.locator("summary").first, fold.locator(":scope > :not(summary)").first
    assert not inside.is_visible()
    summary.click()
    inside.wait_for(state="visible")
    summary.press("Enter")
    inside.wait_for(state="hidden")


@pytest.mark.parametrize(
    ("menu", "link"),
    [("launch", "a[href*='colab']"), ("source", "a.btn-source-edit-button")],
)
def test_a_menu_opens(reader, served, menu, link):
    reader.goto(served + CHAPTER)
    button = reader.locator(f".dropdown-{menu}-buttons > button")
    entry = reader.locator(f".dropdown-{menu}-buttons {link}")
    assert not entry.is_visible()
    button.click()
    entry.wait_for(state="visible")
    assert button.get_attribute("aria-expanded") == "true"


def test_a_chosen_theme_stays(reader, served):
    reader.goto(served + HOME)
    theme = "document.documentElement.dataset.theme"
    for _ in range(3):  # light, dark and the system's, in some order
        shown(reader, ".theme-switch-button").click()
        if reader.evaluate(theme) == "dark":
            break
    assert reader.evaluate(theme) == "dark"
    reader.goto(served + CHAPTER)
    assert reader.evaluate(theme) == "dark"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_tip_is_readable_with_its_formulas(reader, served, scheme):
    reader.goto(served + REFERENCE)
    settle(reader)
    turn(reader, scheme)
    marked = reader.evaluate(
        """() => {
          const tip = (link) => link._tippy?.props.content ?? "";
          const links = [...document.querySelectorAll("article a")];
          // That of a function; one that is all formula has a test of its own.
          const both = (text) => text.includes("<dt") && text.includes('class="math');
          const link = links.find((link) => both(tip(link)));
          link?.classList.add("with-tip");
          return link !== undefined;
        }"""
    )
    assert marked, "no link of the reference has a tip with a formula"
    reader.hover(".with-tip")
    reader.locator(".tippy-box mjx-container").first.wait_for()
    assert axe(reader, ".tippy-box") == []


def test_a_tip_that_is_all_formula_has_words_for_a_screen_reader(reader, served):
    """Which axe does not see: MathJax clips them away from the screen."""
    reader.goto(served + REFERENCE)
    settle(reader)
    reader.hover("a[href$='#equation-1-5']")
    words = reader.locator(".tippy-box mjx-assistive-mml").first
    words.wait_for(state="attached")
    assert words.text_content().startswith("(1.5)")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_search_window_is_readable(reader, served, scheme):
    reader.goto(served + HOME)
    turn(reader, scheme)
    shown(reader, ".search-button__button").click()
    reader.locator("#pst-search-dialog").wait_for()
    assert axe(reader, "#pst-search-dialog") == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_phone_has_the_navigation_behind_a_button(phone, served, scheme):
    phone.goto(served + HOME)
    turn(phone, scheme)
    chapter = phone.locator(f"nav a[href$='{CHAPTER}']")
    assert not any(link.is_visible() for link in chapter.all())
    shown(phone, ".primary-toggle").click()
    shown(phone, f"nav a[href$='{CHAPTER}']").wait_for()
    assert axe(phone, "dialog[open]") == []
    shown(phone, f"nav a[href$='{CHAPTER}']").click()
    phone.wait_for_url(served + CHAPTER)
