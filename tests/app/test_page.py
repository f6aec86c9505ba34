"""The page in a real browser: digits drawn with the mouse, every switch, slider and lesson.

Needs `pip install ".[browser]"` and Chromium; skipped where they are not.
"""

from __future__ import annotations

import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data
from dipkernels.demo import scenes
from dipkernels.demo.networks import Networks

playwright = pytest.importorskip("playwright.sync_api", reason='needs pip install ".[browser]"')
uvicorn = pytest.importorskip("uvicorn", reason='needs pip install "dipkernels[demo]"')
expect = playwright.expect
expect.set_options(timeout=30_000)  # milliseconds; the machine may have other work
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium on PATH")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from dipkernels.demo.server import application

    networks = Networks("digits", tmp_path_factory.mktemp("networks"))
    few = pytest.MonkeyPatch()  # of epochs: enough to see most objects
    few.setattr(scenes, "_EPOCHS", {"masks": 2, "boxes": 5})
    app = application(networks, ["localhost", "127.0.0.1"])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    networks.start()  # the page must say so while it trains
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()
    few.undo()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page with its networks trained; nothing may be wrong in its console at the end."""
    opened, wrong = browser.new_page(viewport={"width": 1400, "height": 1000}), []
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(address)
    wait_until_trained(opened)
    yield opened
    opened.close()
    assert wrong == []


def wait_until_trained(page: Any) -> None:
    page.locator("#networks input").first.wait_for()  # until then the page does not know whether they are
    page.locator("#training").wait_for(state="hidden", timeout=300_000)


def test_what_is_drawn_while_a_network_is_trained_is_guessed_afterwards(page: Any) -> None:
    trained, asked = False, []

    def state(route: Any) -> None:
        said = route.fetch().json()
        for network in said["networks"]:
            network.update({} if trained else {"ready": False, "progress": 0.5})
        route.fulfill(json=said)

    page.route("**/api/state", state)
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    expect(page.locator("#status")).to_contain_text("LeNet-5 is being trained, once: 50 %")
    expect(page.locator("#training")).to_be_visible()
    page.locator("#pad").focus()
    for key in ["ArrowUp"] * 12 + [" "] + ["ArrowDown"] * 24 + [" "]:
        page.keyboard.press(key)
    assert not any("guess" in url for url in asked)
    trained = True
    expect(page.locator("#guess")).to_contain_text("First guess 1")
    expect(page.locator("#training")).to_be_hidden()
    page.unroute_all(behavior="wait")


def test_a_server_that_does_not_answer_is_said_and_asked_again(browser: Any, address: str) -> None:
    page, answers = browser.new_page(), False  # whose console does say so
    page.goto(address)
    wait_until_trained(page)
    page.route("**/api/state", lambda route: route.continue_() if answers else route.fulfill(body="{}", status=500))
    for network in ("mlp", "lenet5"):
        page.click(f"#network-{network}")
    expect(page.locator("#status")).to_contain_text("the server says 500")
    answers = True
    expect(page.locator("#status")).to_be_empty()
    draw(page, np.clip(data.digits((32, 32)).test.x[0, 0], 0, 1))
    page.unroute_all(behavior="wait")
    page.close()


def draw(page: Any, image: Any) -> None:
    """Goes over an image's ink with the mouse, row by row."""
    box, size = page.locator("#pad").bounding_box(), image.shape[0]

    def move(row: int, column: float) -> None:
        page.mouse.move(box["x"] + (column + 0.5) * box["width"] / size, box["y"] + (row + 0.5) * box["height"] / size)

    for row in range(size):
        ink = np.flatnonzero(image[row] > 0.55)
        for run in np.split(ink, np.flatnonzero(np.diff(ink) > 1) + 1) if len(ink) else []:
            move(row, run[0])
            page.mouse.down()
            move(row, run[-1])
            page.mouse.up()
    wait_until_answered(page)


def wait_until_answered(page: Any) -> None:
    page.wait_for_selector("#maps[aria-busy=false] canvas")


def first_guess(page: Any) -> str:
    return page.locator("#guess b").first.inner_text()


def test_ten_digits_are_drawn_and_recognised(page: Any) -> None:
    test = data.digits((32, 32)).test
    right, times = 0, []
    for digit in range(10):
        page.click("#clear")
        assert page.locator("#maps canvas").count() == 0
        draw(page, np.clip(test.x[np.flatnonzero(test.t == digit)[0], 0], 0, 1))
        right += first_guess(page) == str(digit)
        times.append(float(page.evaluate("document.documentElement.dataset.milliseconds")))
    print(f"median from stroke to guess: {statistics.median(times):.0f} ms")
    assert right >= 9
    assert statistics.median(times) < 500


def test_every_layer_is_shown_hidden_and_explained(page: Any) -> None:
    image = np.clip(data.digits((32, 32)).test.x[3, 0], 0, 1)
    for network, names in (("mlp", ["input", "fc1", "fc2", "fc3"]),
                           ("lenet5", ["input", "conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3"])):  # fmt: skip
        page.click(f"#network-{network}")
        draw(page, image)
        page.evaluate("document.querySelector('#maps canvas').stays = true")
        page.mouse.down()  # more ink, in the canvases that are there
        page.mouse.up()
        wait_until_answered(page)
        assert page.evaluate("document.querySelector('#maps canvas').stays")
        shown = page.locator("#maps section").evaluate_all("all => all.map((each) => each.id)")
        assert shown == [f"layer-{name}" for name in names]
        for name in names:
            tile = page.locator(f"#layer-{name} canvas").last
            tile.scroll_into_view_if_needed()
            tile.hover()
            title = page.locator(f"#layer-{name} h3").evaluate("(heading) => heading.firstChild.textContent")
            expect(page.locator("#unit b").first).to_have_text(title)
            switch = page.locator(f"#show-{name}")
            switch.uncheck()
            assert page.locator(f"#layer-{name}").count() == 0
            switch.check()
            assert page.locator(f"#layer-{name}").count() == 1


def test_units_are_reached_with_the_keyboard(page: Any) -> None:
    draw(page, np.clip(data.digits((32, 32)).test.x[0, 0], 0, 1))
    page.locator('[data-key="conv2-0"]').focus()
    page.keyboard.press("Enter")
    expect(page.locator("#unit")).to_contain_text("row 6, column 6")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#unit")).to_contain_text("row 7, column 6")
    assert "150 products" in page.inner_text("#unit")
    page.locator('[data-key="pool1-5"]').focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#unit")).to_contain_text("largest of the 4 numbers")


def test_a_digit_is_drawn_with_the_keyboard(page: Any) -> None:
    page.locator("#pad").focus()
    for key in ["ArrowUp"] * 12 + [" "] + ["ArrowDown"] * 24 + [" "]:
        page.keyboard.press(key)
    wait_until_answered(page)
    assert first_guess(page) == "1"
    page.keyboard.press("Delete")
    assert page.locator("#maps canvas").count() == 0


def test_the_convolution_lesson(page: Any) -> None:
    page.click("#tab-convolution")
    expect(page.locator("#convolution-result")).to_contain_text("5 × 5 × 16")

    def slide(name: str, value: int) -> None:
        page.locator(f"#set-{name}").fill(str(value))

    for name, value in (("size", 32), ("kernel", 5), ("filters", 6), ("padding", 1), ("dilation", 2), ("channels", 1)):
        slide(name, value)
    expect(page.locator("#convolution-result")).to_contain_text("26 × 26 × 6")
    page.locator("#step").fill("3")
    slide("stride", 2)
    expect(page.locator("#convolution-result")).to_contain_text("no whole number")
    page.locator("#remedies button").first.click()
    expect(page.locator("#convolution-result")).not_to_have_class("error")


def test_the_descent_lesson(page: Any) -> None:
    page.click("#tab-descent")
    expect(page.locator("#paths li")).to_have_count(6)
    for function in page.locator("#descent-function option").evaluate_all("all => all.map((each) => each.value)"):
        page.select_option("#descent-function", function)
    page.select_option("#descent-function", "valley")
    page.locator("#descent-rate").fill("1")  # ten to the power of it
    expect(page.locator("#paths")).to_contain_text("diverges after")
    page.locator("#descent-steps").fill("200")
    page.locator("#landscape").click(position={"x": 40, "y": 40})
    page.locator("#paths input").first.uncheck()


def test_the_playground(page: Any) -> None:
    page.click("#tab-playground")
    expect(page.locator("#playground-result")).to_contain_text("early stopping")
    expect(page.locator("#playground-epoch")).to_have_text("after 300 epochs")
    page.select_option("#playground-points", "xor")
    for name, value in (
        ("depth", 0),
        ("count", 40),
        ("noise", 0.3),
        ("width", 4),
        ("rate", 0.5),
        ("epochs", 50),
        ("seed", 3),
    ):
        page.locator(f"#playground-{name}").fill(str(value))
    expect(page.locator("#playground-result")).to_contain_text("6 weights")
    page.select_option("#playground-activation", "relu")
    expect(page.locator("#playground-epoch")).to_have_text("after 50 epochs")
    page.locator("#playground-frame").fill("0")
    expect(page.locator("#playground-epoch")).to_have_text("after 0 epochs")
    page.locator("#playground-others").check()
    page.click("#playground-play")


def test_the_scenes(page: Any) -> None:
    page.click("#tab-scenes")
    result = page.locator("#scenes-result")
    expect(result).to_contain_text("trained, once")
    expect(page.locator("#scenes-training")).to_be_hidden(timeout=300_000)
    expect(result).to_contain_text("left, for each object the surest")
    seen = {}
    for view in ("image", "mask", "anchors", "proposals", "before", "after"):
        page.check(f"#view-{view}")
        seen[view] = page.evaluate("document.getElementById('scene').toDataURL()")
        assert len(result.inner_text()) > 20
    assert len(set(seen.values())) == 6  # each draws something else
    page.locator("#scenes-scene").fill("7")
    page.check("#view-image")
    expect(result).to_contain_text("scene 7")
    for name, value in (("score", "0.9"), ("overlap", "0.2"), ("side", "20")):
        page.locator(f"#scenes-{name}").fill(value)
    # Drawn: nothing, a disc by mouse, and a square by keyboard.
    page.click("#scenes-clear")
    expect(result).to_contain_text("what you drew")
    page.select_option("#scenes-kind", "disc")
    before = page.evaluate("document.getElementById('scene').toDataURL()")
    page.locator("#scene").click(position={"x": 150, "y": 200})
    page.wait_for_function("(before) => document.getElementById('scene').toDataURL() !== before", arg=before)
    page.select_option("#scenes-kind", "square")
    page.locator("#scene").press("Enter")
    page.check("#view-proposals")
    expect(result).to_contain_text("regions that look like an object")


def test_it_fits_a_telephone_in_both_themes(browser: Any, address: str, tmp_path: Path) -> None:
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
        page.goto(address)
        wait_until_trained(page)
        draw(page, np.clip(data.digits((32, 32)).test.x[7, 0], 0, 1))
        for tab in ("draw", "convolution", "descent", "playground", "scenes"):
            page.click(f"#tab-{tab}")
            page.wait_for_timeout(600)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            page.screenshot(path=tmp_path / f"{scheme}-{tab}.png", full_page=True)
        page.close()
