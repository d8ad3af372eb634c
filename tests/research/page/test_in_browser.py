"""The page as people see it: in Chromium, wide and narrow, light and dark, and on paper."""

import itertools
import shutil

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra 'browser'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs 'browser'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

ALL = ["six", "single", "one_seed", "study", "unmatched", "hostile"]
WIDTHS = {"screen": 1280, "phone": 390}
A4 = 680  # pixels: 210 mm less margins of 15
COLOURS = """() => {  // the colours of a text, and of what lies behind it, of every text
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), seen = new Set();
  for (let node; (node = texts.nextNode()); ) {
    let element = node.parentElement;
    if (!node.data.trim() || element.closest("svg, script, style")) continue;
    const colour = getComputedStyle(element).color;
    const behind = () => getComputedStyle(element).backgroundColor, none = "rgba(0, 0, 0, 0)";
    while (element.parentElement && behind() === none) element = element.parentElement;
    seen.add(`${colour} on ${behind()}`);
  }
  return [...seen];
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, pages):
    """A function: a page in a window of its own, and what the console and the network were for."""
    contexts = []

    def open_page(kind, width=1280, scheme="light", **settings):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, **settings
        )
        contexts.append(context)
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url.partition(":")[0]))
        page.goto(pages(kind).as_uri())
        return page, said

    yield open_page
    for context in contexts:
        context.close()


def shares(text):
    """Channels of 'rgb(1, 2, 3)', from 0 to 1."""
    return [int(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]


def luminance(text):
    """By WCAG."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares(text)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(pair):
    low, high = sorted(map(luminance, pair.split(" on ")))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("kind", "window", "scheme"),
    [
        *itertools.product(["six", "hostile"], WIDTHS, ["light", "dark"]),
        *(("single", "phone", "dark"), ("one_seed", "screen", "dark")),
        *(("study", "phone", "light"), ("unmatched", "phone", "dark")),
    ],
)
def test_a_page_fits_its_window_and_is_for_everybody(opened, kind, window, scheme):
    page, said = opened(kind, WIDTHS[window], scheme)
    assert said == ["file"] + ["data"] * (len(said) - 1)  # the page itself, and what it holds
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS[window]
    assert {pair: contrast(pair) for pair in page.evaluate(COLOURS) if contrast(pair) < 4.5} == {}
    if scheme == "dark":
        assert luminance(page.evaluate("getComputedStyle(document.body).color")) > 0.5
    violations = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == []
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("kind", ALL)
def test_a_page_fits_paper_and_is_printed_in_the_light(opened, kind):
    page, _ = opened(kind, A4, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == A4
    assert luminance(page.evaluate("getComputedStyle(document.body).color")) < 0.1
    whole = "[...document.querySelectorAll('tr, figure')].map(e => getComputedStyle(e).breakInside)"
    assert set(page.evaluate(whole)) == {"avoid"}
    wide = """[...document.querySelectorAll('.scroll')].filter(
        e => e.scrollWidth > e.clientWidth || getComputedStyle(e).overflowX != 'visible').length"""
    assert page.evaluate(wide) == 0
    assert page.pdf(format="A4").startswith(b"%PDF")


def column(page, number):
    rows = "table.sorted tbody tr"
    return page.locator(rows).evaluate_all(
        "(rows, n) => rows.filter(r => r.closest('table') === rows[0].closest('table'))"
        ".map(r => r.cells[n].textContent)",
        number,
    )


@pytest.mark.parametrize("way", ["click", "keyboard"])
def test_a_table_is_sorted_by_the_head_of_a_column(opened, way):
    page, _ = opened("six")
    heads = page.locator("table.sorted").first.locator("thead th")
    number = heads.all_text_contents().index("time / baseline")
    known = [float(cell.split()[0]) for cell in column(page, number) if cell != "–"]
    for order, reverse in (("ascending", False), ("descending", True), ("ascending", False)):
        button = heads.nth(number).locator("button")
        button.click() if way == "click" else button.press("Enter")
        cells = column(page, number)
        shown = [float(cell.split()[0]) for cell in cells[:-1]]
        assert (shown, cells[-1]) == (sorted(known, reverse=reverse), "–")  # unknown ones last
        assert heads.nth(number).get_attribute("aria-sort") == order
        assert page.locator("th[aria-sort]").count() == 1
    heads.first.locator("button").click()
    assert column(page, 0) == sorted(column(page, 0))
    assert heads.nth(number).get_attribute("aria-sort") is None


def test_the_page_does_without_its_script(opened):
    page, _ = opened("six", java_script_enabled=False)
    assert page.locator("th button").count() == 0
    assert page.locator("table.sorted tbody tr").count() > 6
    assert page.locator("thead th[scope=col]").first.is_visible()


@pytest.mark.parametrize(
    "element",
    [
        {"tag": "img", "src": "x", "onerror": "window.hit = 1"},
        {"tag": "script", "textContent": "window.hit = 1"},
        {"tag": "script", "src": "data:text/javascript,window.hit = 1"},
        {"tag": "img", "src": "https://localhost:1/x.png"},
        {"tag": "link", "rel": "stylesheet", "href": "https://localhost:1/x.css"},
        {"tag": "iframe", "src": "https://localhost:1/"},
    ],
)
def test_nothing_else_runs_or_is_fetched(opened, element):
    page, said = opened("single")
    page.evaluate(
        """({tag, ...rest}) => {
            const made = document.createElement(tag);
            for (const [name, value] of Object.entries(rest))
                name === 'textContent' ? made.append(value) : made.setAttribute(name, value);
            document.body.append(made);
        }""",
        element,
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit") is None
    assert any("Content Security Policy" in line for line in said)
