"""The page in a real browser, from a file: seeking by click and key, no network, no script from data."""

import math
import struct
import wave

import pytest

from tests.timelines import browser, cases
from yt8m.timelines import page

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason=browser.WHY_NOT)
AT = "document.getElementById('media').currentTime"
FOCUS = "document.activeElement.getAttribute('aria-label')"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    shown = browser.Browser(tmp_path_factory.mktemp("profile"))
    yield shown
    shown.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A minute of sound: every browser plays it, and Python writes it."""
    path = tmp_path_factory.mktemp("a video") / "sound #1.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 9))) for i in range(8000)) * 60)
    return path


@pytest.fixture
def opened(chromium, sound, tmp_path):
    """Function that opens a timeline's page and returns its path."""

    def open_page(timeline, video="../sound.wav"):
        path = sound.parent / f"{tmp_path.name}.html"
        path.write_text(timeline.to_html(video), encoding="utf-8")
        chromium.open(path.as_uri())
        return path

    return open_page


def foreign(chromium, path):
    """Addresses asked for that are neither the page nor a file beside it nor a picture of the browser's own."""
    return [
        address
        for address in chromium.requested()
        if not address.startswith(path.parent.as_uri()) and not address.startswith(("data:", "blob:"))
    ]


def test_seeking_by_click_and_key(chromium, opened):
    path = opened(cases.typical(), "sound%20%231.wav")
    chromium.until("document.getElementById('media').readyState >= 1")
    assert chromium.value("document.querySelectorAll('.row').length") == 2
    names = "[...document.querySelectorAll('.interval')].map((e) => e.getAttribute('aria-label'))"
    assert chromium.value(names) == [
        "Car, 0:00 to 0:10, score 0.85",
        "Car, 0:30 to 0:35, score 0.70",
        "Boat, 0:05 to 0:20, score 0.60",
        "Boat, 0:55 to 1:00, score 0.55",
    ]
    assert chromium.value("document.querySelectorAll('.interval[tabindex=\"0\"]').length") == 1  # roving
    chromium.click(".interval:nth-of-type(2)")
    chromium.until(f"{AT} >= 30 && !document.getElementById('media').paused")
    assert chromium.value("document.activeElement.getAttribute('aria-current')") == "true"
    chromium.until("document.getElementById('live').textContent === 'Here: Car'")
    chromium.key(" ")
    chromium.until("document.getElementById('media').paused")
    for key, name in (
        ("ArrowDown", "Boat, 0:05"), ("ArrowRight", "Boat, 0:55"), ("ArrowRight", "Boat, 0:55"), ("Home", "Boat, 0:05"),
        ("ArrowUp", "Car, 0:00"), ("End", "Car, 0:30"), ("ArrowLeft", "Car, 0:00"), ("ArrowUp", "Car, 0:00"),
    ):  # fmt: skip
        chromium.key(key)
        assert chromium.value(FOCUS).startswith(name), key
    assert 30 <= chromium.value(AT) < 35  # moving about does not seek
    chromium.key("ArrowDown")
    chromium.key("Enter")
    chromium.until(f"{AT} >= 5 && {AT} < 10 && !document.getElementById('media').paused")
    chromium.until("document.getElementById('live').textContent === 'Here: Car, Boat'")
    chromium.key(" ")
    chromium.until("document.getElementById('media').paused")
    before = chromium.value(AT)
    chromium.key(".")
    assert chromium.value(AT) == pytest.approx(before + 1, abs=0.01)
    chromium.key(",")
    chromium.key(",")
    assert chromium.value(AT) == pytest.approx(before - 1, abs=0.01)
    chromium.click(".scores", x=0.8, y=0.2)  # no interval there
    chromium.until(f"{AT} >= 47.5 && {AT} < 52")
    assert chromium.value("document.querySelectorAll('.interval[tabindex=\"0\"]').length") == 1
    assert not foreign(chromium, path) and not chromium.complaints()


def test_nothing_of_the_data_runs(chromium, opened):
    path = opened(cases.timeline({4: [0.9, 0.9]}, cases.NASTY, {4: cases.NASTY}), None)
    assert chromium.value("document.title").startswith("=1+1</script><script>document.title")
    assert chromium.value("document.querySelector('.name').firstChild.textContent").startswith(
        "=1+1</script><script>document.title"
    )
    assert chromium.value("document.images.length") == 0
    assert not foreign(chromium, path) and not chromium.complaints()
    script = (
        "(() => { const e = document.createElement('script'); e.textContent = 'window.ran = 1'; document.body.append(e); })()"
    )
    chromium.value(script)
    assert chromium.value("window.ran") is None and chromium.complaints()  # the policy refuses what is not the page's own
    refused = "fetch('https://example.org/').then(() => 'loaded', () => 'refused')"
    assert chromium.value(refused) == "refused"


def test_a_file_that_the_reader_picks(chromium, opened, sound):
    opened(cases.typical(), None)
    assert chromium.value("document.getElementById('media').hidden") is True
    chromium.click(".interval:nth-of-type(2)")  # without a video the place is shown
    assert chromium.value("document.getElementById('clock').textContent") == "0:30 of 1:00"
    node = chromium.ask("DOM.getDocument")["root"]["nodeId"]
    node = chromium.ask("DOM.querySelector", nodeId=node, selector="#file")["nodeId"]
    chromium.ask("DOM.setFileInputFiles", nodeId=node, files=[str(sound)])
    chromium.until(f"{AT} === 30 && document.getElementById('media').readyState >= 1")
    assert chromium.value("document.getElementById('media').hidden") is False
    chromium.key("Enter")
    chromium.until("!document.getElementById('media').paused")
    assert not chromium.complaints()


def test_a_video_that_is_not_there_or_does_not_play(chromium, opened):
    opened(cases.typical(), "none.mkv")
    chromium.until("!document.getElementById('problem').hidden")
    assert chromium.value("document.getElementById('picker').hidden") is False
    assert "mkv" in chromium.value("document.getElementById('problem').textContent")


def test_an_embedded_video(chromium, opened, sound):
    opened(cases.typical(), page.embedded(sound, "audio/wav"))
    chromium.until("document.getElementById('media').readyState >= 1")
    chromium.click(".interval:nth-of-type(2)")
    chromium.until(f"{AT} >= 30")
    assert not chromium.complaints()


def test_without_javascript_and_on_paper(chromium, opened):
    chromium.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened(cases.typical(), None)
        rows = chromium.value("document.querySelectorAll('table tbody tr').length")
        assert rows == 4 and chromium.value("document.getElementById('chart-section').offsetHeight") == 0
    finally:
        chromium.ask("Emulation.setScriptExecutionDisabled", value=False)
    opened(cases.typical(), None)
    chromium.ask("Emulation.setEmulatedMedia", media="print")
    shown = "[...document.querySelectorAll('.row, table, #picker, #keys')].map((e) => e.offsetHeight > 0)"
    assert chromium.value(shown) == [False, True, True, False, True]
    chromium.ask("Emulation.setEmulatedMedia", media="")
