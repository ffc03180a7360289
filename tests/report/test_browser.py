"""The report in Chromium: it draws, its switches work, it is quiet and asks for nothing.

`make test-browser` runs these. They need Playwright (the extra `browser`) and a Chromium on the PATH.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from reported_runs import EASY, HARD, HOSTILE, write_run

from rlvr.files import step_lines
from rlvr.report import find_runs, write_report

playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install 'rlvr[browser]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: make browser installs Debian's"),
]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, "--disable-sync"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(find_runs(sweep), file, iterations=50)


@pytest.fixture
def page(chromium, report: Path) -> Iterator[object]:
    """The open report; a complaint in the console or a request for anything else fails the test."""
    complaints: list[str] = []
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: request.url == report.as_uri() or complaints.append(request.url))
    page.goto(report.as_uri())
    yield page
    page.close()
    assert complaints == []


def choose(page, section: str, name: str, option: str) -> None:
    page.locator(f"#{section}").get_by_label(name, exact=True).select_option(option)


def readout(page, section: str) -> str:
    return page.locator(f"#{section} .readout").inner_text()


def address_of(page) -> str:
    """The address as the page has it now: `page.url` may be a moment behind."""
    return page.evaluate("location.href")


def wait_until(page, condition: str, arg: object = None) -> None:
    """Ask the page again and again whether JavaScript's `condition` holds, for five seconds at most.

    Playwright's own `wait_for_function` repeats its question inside the page, where the report's security
    policy forbids to evaluate text: it raises whenever the first answer is no.
    """
    for _ in range(250):
        if page.evaluate(condition, arg):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not so within five seconds: {condition} ({arg})")


def settled(page, part: str) -> str:
    """The address once it has `part`: what a link leads to is written when the browser says so."""
    wait_until(page, "part => location.href.includes(part)", part)
    return address_of(page)


def texts(cells) -> list[str]:
    return [" ".join(text.split()) for text in cells.all_inner_texts()]


def test_everything_is_drawn(page):
    assert page.locator("section").count() == 7
    for section in ("passk", "learning"):
        canvas = page.locator(f"#{section} canvas")
        assert canvas.evaluate(
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)"
        )
    # pass@4 of the base policy is 1; the interval of what is solved throughout is Jeffreys'
    assert "k 4" in readout(page, "passk")
    assert "base 100.0 (33.3 to 100.0)" in readout(page, "passk")
    assert page.locator("#provenance .bar i").count() == 10  # four stages of two runs, and two of the base's


def test_arms_are_switched_everywhere(page):
    page.locator("#passk").get_by_label("grpo").uncheck()
    assert "grpo" not in readout(page, "passk")
    assert not page.locator("#learning").get_by_label("grpo").is_checked()
    assert page.locator("#forgotten thead tr").first.inner_text().split() == ["Problem", "base", "(before)"]
    page.locator("#forgotten").get_by_role("button", name="all / none").click()
    assert "grpo 50.0" in readout(page, "passk")


def test_learning_curves_are_smoothed(page):
    choose(page, "learning", "Metric", "reward/success_rate")
    assert "step 4" in readout(page, "learning")
    assert "0.25 (0.25 to 0.25)" in readout(page, "learning")
    page.locator("#learning input[type=range]").fill("2")  # the mean of three points, two at the end
    assert "0.2188" in readout(page, "learning")


def test_what_was_forgotten(page):
    rows = page.locator("#forgotten .heat tbody tr")
    assert rows.count() == 2
    assert rows.nth(0).locator("th").inner_text() == HARD  # most lost: from 25 % to 0
    assert texts(rows.nth(0).locator("td")) == ["25", "0 forgotten"]
    assert rows.nth(0).locator("td.lost").count() == 1
    page.locator("#forgotten").get_by_label("only forgotten problems").check()
    assert rows.count() == 1
    page.locator("#forgotten").get_by_label("only forgotten problems").uncheck()
    choose(page, "forgotten", "Colour by", "distinct")
    page.locator("#forgotten").get_by_role("button", name="grpo").click()
    assert texts(rows.locator("td")) == ["3", "1", "1", "0 forgotten"]

    page.get_by_role("button", name=EASY).click()
    answers = page.locator("#forgotten .answers tbody tr")
    found = {row.locator("code").inner_text(): texts(row.locator("td")) for row in answers.all()}
    assert found == {"1 + 2": ["1", "lost"], "1+2": ["1", "8"], "2+1": ["1", "lost"]}


def test_what_a_policy_wrote_stays_text(page):
    choose(page, "completions", "Arm", "base")
    choose(page, "completions", "Problem", "0")
    cards = page.locator("#completions .card .text").all_inner_texts()
    shown = HOSTILE.replace("\u202e", "U+202E").replace("\u2028", "U+2028")
    assert shown in cards
    choose(page, "completions", "From", "training")
    assert shown in page.locator("#completions .prompt .text").inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, iframe, object, link[rel=stylesheet]").count() == 0


def test_a_script_that_gets_in_does_not_run(chromium, report: Path):
    """The second wall: even with such an element in the page, its policy keeps it from running."""
    page = chromium.new_page()
    page.goto(report.as_uri())
    page.evaluate(
        "const script = document.createElement('script'); script.textContent = 'window.hacked = 1';"
        "document.body.append(script)"
    )
    refused = page.evaluate("fetch('http://203.0.113.1/').then(() => 'sent', () => 'refused')")
    assert page.evaluate("window.hacked") is None
    assert refused == "refused"
    page.close()


def test_training_groups_show_advantages_and_token_weights(page):
    choose(page, "completions", "From", "training")
    first = page.locator("#completions .card").first
    assert "right" in first.inner_text()
    assert "advantage +0.700" in first.inner_text()
    titles = [token.get_attribute("title") for token in first.locator(".token").all()]
    assert titles == ["weight 0.5", "weight 0.5", "weight 1"]
    page.get_by_label("weights in numbers").check()
    assert first.locator(".tokens").inner_text().split() == ["10.5+0.521"]
    assert "not in the loss" in page.locator("#completions .card").nth(2).inner_text()
    choose(page, "completions", "Group", "1")  # of the other seed, without credit
    assert "Every token weighs 1" in page.locator("#completions .prompt").inner_text()
    assert "false" not in page.locator("#completions").inner_text()


def test_it_works_from_the_keyboard(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.locator("#passk .chart").focus()
    page.keyboard.press("ArrowLeft")
    assert "k 2" in readout(page, "passk")
    page.keyboard.press("Home")
    assert "k 1" in readout(page, "passk")
    header = page.locator("#forgotten").get_by_role("button", name="base (before)")
    header.focus()
    page.keyboard.press("Enter")
    assert page.locator("#forgotten th[aria-sort=descending]").inner_text().startswith("base")
    page.keyboard.press("Enter")
    assert page.locator("#forgotten th[aria-sort=ascending]").inner_text().startswith("base")
    page.get_by_role("button", name=HARD).press("Enter")
    assert page.evaluate("document.activeElement.textContent") == HARD


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_screen_is_wide_enough(page, width: int):
    page.set_viewport_size({"width": width, "height": 700})
    page.get_by_role("button", name=HARD).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wait_until(page, f"document.querySelector('#passk canvas').clientWidth <= {width}")


def test_light_and_dark(page):
    def brightness() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))

    page.emulate_media(color_scheme="dark")
    assert brightness() < 150
    page.get_by_role("button", name="Colours: as the system has them").click()
    assert brightness() > 600
    assert page.get_by_role("button", name="Colours: light").is_visible()


def test_many_samples_make_no_large_page(chromium, tmp_path: Path):
    """10,000 different samples: what is on the screen at first is a small part of them."""
    for arm, steps in (("base", 0), ("grpo", 4)):
        samples = {
            f"problem {i}": [("correct" if n % 2 else "wrong", f"{arm} answers {n}") for n in range(50)]
            for i in range(100)
        }
        write_run(tmp_path, arm, samples, steps=steps)
    file = write_report(find_runs(tmp_path), tmp_path / "large.html", iterations=50)
    page = chromium.new_page()
    page.goto(file.as_uri())
    assert page.locator("#forgotten .heat tbody tr").count() == 100
    assert page.evaluate("document.querySelectorAll('*').length") < 3000
    assert file.stat().st_size < 3_000_000
    page.close()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen arms, some with a name as a sweep gives it, and two benchmarks of one domain."""
    runs = tmp_path_factory.mktemp("runs")
    for gamma in range(15):
        name = f"gamma={gamma},n=8,learning_rate=0.001"
        keys = ["advantage_scaling=focal", f"advantage_scaling.gamma={gamma}", "benchmark=laptop"]
        folder = write_run(runs, name, {EASY: [("correct", "1+2")] * 4}, overrides=keys)
        for task in ("countdown_4", "countdown_5", "countdown_add", "countdown_large", "chain_sum", "gcd"):
            shutil.copy(folder / "evaluation/countdown_3.parquet", folder / f"evaluation/{task}.parquet")
        (folder / "validation.jsonl").unlink()
        for step in (0, 2, 4):
            scores = {"in_domain/pass@1": 0.1 + 0.01 * step * gamma, "in_domain/pass@4": 0.5 - 0.01 * step}
            step_lines.append(folder / "validation.jsonl", step, scores)
    return write_report(find_runs(runs / "sweep"), runs / "report.html", iterations=20)


def heads(page) -> list[str]:
    return texts(page.locator("#table thead").first.locator("th"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1300, 2560])
def test_a_wide_table_on_any_screen(chromium, wide: Path, width: int, scheme: str):
    """What does not fit is announced; the first column stays; a narrow screen has the averages first."""
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(wide.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    averages = ["In-domain avg.", "Out-of-domain avg."]
    assert heads(page)[1:3] == (averages if width == 400 else ["seeds", "countdown_3"])
    box = page.locator("#table .scroll").first
    hint = page.locator("#table .hint").first
    if width == 2560:
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
        assert hint.inner_text() == ""
    else:
        assert "more column" in hint.inner_text()
        assert page.locator("#table .edges").first.get_attribute("class") == "edges more"
        label = page.locator("#table tbody th").first
        before = label.bounding_box()["x"]
        box.evaluate("box => { box.scrollLeft = 1e6; }")
        wait_until(page, "document.querySelector('#table .hint').textContent === ''")
        assert abs(label.bounding_box()["x"] - before) <= 1
        last = page.locator("#table thead").first.locator("th").last.bounding_box()
        assert last["x"] + last["width"] <= width
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_arm_looks_another_way(chromium, wide: Path, scheme: str):
    page = chromium.new_page(color_scheme=scheme)
    page.goto(wide.as_uri())
    looks = page.evaluate("[...LOOKS.values()].map(look => style(look.colour) + ' ' + look.dash)")
    assert len(set(looks)) == 15
    hues = page.evaluate("[...new Set([...LOOKS.values()].map(look => style(look.colour)))]")
    colours = [tuple(int(hue[i : i + 2], 16) for i in (1, 3, 5)) for hue in hues]
    apart = [sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
             for i, one in enumerate(colours) for other in colours[:i]]  # fmt: skip
    assert min(apart) > 60  # of 442
    page.close()


def test_a_figure_is_saved_as_svg(page):
    with page.expect_download() as download:
        page.locator("#passk").get_by_role("button", name="save as SVG").click()
    assert download.value.suggested_filename == "sweep-pass@k.svg"
    root = ElementTree.parse(download.value.path()).getroot()
    space = "{http://www.w3.org/2000/svg}"
    written = [text.text for text in root.iter(f"{space}text")]
    assert {"base", "grpo", "k", "pass@k, %", "1", "2", "4"} <= set(written)
    lines = {
        line.get("stroke-dasharray"): line.get("points").split() for line in root.iter(f"{space}polyline")
    }
    base, grpo = lines["2 4"], lines[None]
    assert len(base) == len(grpo) == 3
    assert base[-1].split(",")[0] == "744.0"  # k = 4, at the right edge
    assert float(base[0].split(",")[1]) == float(grpo[0].split(",")[1])  # both 50 % at k = 1


def test_what_is_chosen_is_in_the_address(page, report: Path):
    choose(page, "forgotten", "Colour by", "distinct")
    page.get_by_role("button", name=EASY).click()
    page.locator("#passk").get_by_label("grpo").uncheck()
    page.get_by_role("link", name="Learning").click()
    address = settled(page, "#learning?")
    assert "forgotten.colour=distinct" in address and "off=grpo" in address
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("#forgotten").get_by_label("Colour by").input_value() == "distinct"
    assert page.locator("#forgotten h3").inner_text() == EASY
    assert "grpo" not in readout(page, "passk")
    choose(page, "forgotten", "Colour by", "rate")
    assert "forgotten.colour" not in address_of(page)


def test_the_frontier_is_where_the_numbers_are(page):
    """pass@1 is 50 % for both; at four tries the base policy has 100 % and grpo 50."""
    page.locator("#frontier summary").click()
    rows = page.locator("#frontier tbody tr")
    assert texts(rows.nth(0).locator("td"))[1] == "100.0 (33.3 to 100.0)"
    assert texts(rows.nth(1).locator("td"))[1].startswith("50.0 (")
    marks = page.locator("#frontier .picture circle:has(title)")
    places = [(mark.get_attribute("cx"), float(mark.get_attribute("cy"))) for mark in marks.all()]
    (base_x, base_y), (grpo_x, grpo_y) = places
    assert base_x == grpo_x
    assert base_y < grpo_y  # further up
    choose(page, "frontier", "Up", "1")
    assert texts(rows.nth(0).locator("td"))[1].startswith("50.0 (")
    page.locator("#frontier").get_by_label("grpo").uncheck()
    assert rows.count() == 1
    with page.expect_download() as download:
        page.locator("#frontier").get_by_role("button", name="save as SVG").click()
    assert download.value.suggested_filename == "sweep-frontier.svg"
    root = ElementTree.parse(download.value.path()).getroot()
    assert [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")][-1] == "base"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1300, 2560])
def test_the_frontier_and_the_map_come_back_from_the_address(chromium, wide: Path, width: int, scheme: str):
    complaints: list[str] = []
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(wide.as_uri())
    assert page.locator("#frontier .picture svg").bounding_box()["width"] <= width
    assert page.locator("#frontier .picture circle:has(title)").count() == 15
    joined = page.locator("#frontier .picture polyline").first.get_attribute("points").split()
    assert len(joined) == 15  # the exponents of one series
    choose(page, "frontier", "Up", "2")
    choose(page, "frontier", "Show", "way")
    assert page.locator("#frontier select").count() == 3  # validation is of one average
    assert page.locator("#frontier .picture circle:has(title)").count() == 45  # three checkpoints
    choose(page, "frontier", "Across", "4")
    choose(page, "forgotten", "Sort by", "gamma=3,n=8,learning_rate=0.001")
    page.locator("#forgotten").get_by_role("button", name=EASY).click()
    page.locator("#frontier").get_by_label("gamma=0", exact=True).uncheck()
    address = address_of(page)
    for part in ("frontier.show=way", "frontier.x=4", "forgotten.sort=gamma%3D3", "off=gamma%3D0"):
        assert part in address
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("#frontier").get_by_label("Show").input_value() == "way"
    assert page.locator("#frontier").get_by_label("Across").input_value() == "4"
    assert page.locator("#frontier .picture circle:has(title)").count() == 42
    assert page.locator("#forgotten").get_by_label("Sort by").input_value().startswith("gamma=3")
    assert page.locator("#forgotten h3").inner_text() == EASY
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    choose(page, "frontier", "Show", "end")
    choose(page, "frontier", "Across", "1")
    assert "frontier.show" not in address_of(page) and "frontier.x" not in address_of(page)
    assert complaints == []
    page.close()
