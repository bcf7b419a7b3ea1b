"""The page in a real browser, headless Chromium: on a phone, on a desk, in the dark and in print, with long words."""

from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from jobs import report
from tests.reporting.small_chain import EVALUATION, METRICS, write_chain, write_evaluation, write_lists

CHROMIUM = which("chromium")
CONF = Path(__file__).parents[2] / "conf" / "report.yaml"
LONG = "an-item-whose-id-is-much-longer-than-a-line-of-a-phone-" * 3
PLACES = {  # the medium, and its width and height
    "phone": ("screen", {"width": 390, "height": 844}),
    "desk": ("screen", {"width": 1280, "height": 900}),
    "A4": ("print", {"width": 672, "height": 1000}),
}
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter(one => !one.closest(".scroll") || one.matches(".scroll"))
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(one => `${one.tagName}.${one.getAttribute("class")} ${one.textContent.slice(0, 40)}`)"""
CONTRAST = """() => {
    const channels = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const light = colour => { const [r, g, b] = channels(colour); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = one => { for (let at = one; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor; if (!/, 0\\)$|transparent/.test(colour)) return colour; } };
    const text = one => one.closest("svg") ? getComputedStyle(one).fill : getComputedStyle(one).color;
    const texts = "p, td, th, dt, dd, a, summary, h1, h2, h3, h4, li, caption, span.span, figcaption span, svg text";
    return [...document.querySelectorAll(texts)]
        .map(one => { const [a, b] = [light(text(one)), light(behind(one))];
            return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.tagName + " " + one.textContent.slice(0, 30)]; })
        .filter(([ratio]) => ratio < 4.5); }"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: sudo apt-get install -y chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with a comparison, many methods and long ids."""
    root = tmp_path_factory.mktemp("chain")
    write_chain(root)
    methods = {f"pipeline-{number}-{'with-a-long-name-' * 3}": {"users": 5.0, "ndcg@10": number / 10} for number in range(7)}
    write_evaluation(root, run_id="20260103T000000Z-0004", metrics={**METRICS, "metrics": METRICS["metrics"] | methods})
    write_lists(root, run_id="20260103T000000Z-0005", best={1: ["a", LONG], 2: [LONG], 4: ["d"]}, path="/a/very/long/folder" * 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQREC_ROOT", str(root))
        report.main(["--conf", str(CONF), f"compare={EVALUATION}"])
    return (root / "report.html").as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("media", "size"), PLACES.values(), ids=PLACES)
def test_the_page_is_readable(browser: Browser, url: str, media: Any, size: Any, scheme: Any) -> None:
    page = browser.new_page(viewport=size, color_scheme=scheme)
    requested: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.emulate_media(media=media)
    page.goto(url)
    for summary in page.query_selector_all("summary"):
        summary.click()
    assert requested == [url]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate(CONTRAST) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark" and media == "screen")
    page.close()


def test_it_prints_on_paper(browser: Browser, url: str, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(url)
    assert page.pdf(path=tmp_path / "report.pdf", format="A4").startswith(b"%PDF")
    page.close()


def test_links_lead_to_sections_and_charts_have_names(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.goto(url)
    targets = page.eval_on_selector_all("nav a", "links => links.map(link => link.getAttribute('href').slice(1))")
    assert len(targets) == 9
    assert all(page.query_selector(f"h2[id={target}]") for target in targets)
    assert page.get_by_role("img").count() == page.locator("svg").count() > 5
    assert all(len(chart.get_attribute("aria-label") or "") > 20 for chart in page.locator("svg").all())
    page.close()
