"""HTML report, in a real browser, and overlay video."""

import base64
import dataclasses
import io
import json
import re
import shutil
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from video2emg.core import vocabulary
from video2emg.data.readers import film
from video2emg.fkg.feedback import feedback
from video2emg.fkg.load import load
from video2emg.inference.output import bodymap, overlay, report, video
from video2emg.inference.prediction import Prediction, Repetition
from video2emg.inference.recognition import Recognition

GRAPH = load("gymsim")
MUSCLES = tuple(
    f"{side}_{muscle}"
    for side in ("left", "right")
    for muscle in ("vastus_lateralis", "gluteus_maximus")
)
LENGTH, COUNT = 3.0, 10
EVIL = '</script><script>document.title="broken"</script><img src=x onerror=alert(1)>'


def scored_repetition(number: int) -> Repetition:
    action = GRAPH.action("barbell_squat")
    probability = np.full(len(action.pairs), 0.03)
    if number % 2:
        probability[number // 2 % len(probability)] = 0.9
    expected_severity = 0.7 * probability
    start = number * LENGTH
    penalty = 100 * np.dot(action.penalties, expected_severity) / sum(action.penalties)
    findings = feedback(
        GRAPH,
        f"repetition {number}",
        action.id,
        100 - penalty,
        probability,
        expected_severity,
        start + np.array([0.0, 0.4, 1.4]),
        start + LENGTH,
        0.5,
    )
    edges = [start, start + 0.4, start + 1.4, start + LENGTH]
    steps = [step.id for step in action.steps]
    return Repetition(
        start=start,
        end=start + LENGTH,
        distance=0.8,
        motion=2.0,
        predicted_load=61.0,
        score=findings.score,
        phases=tuple(zip(steps, edges, edges[1:], strict=False)),
        feedback=findings,
    )


def pictures(seconds: float, rate: float = 15.0, size=(640, 480)):
    for n in range(round(seconds * rate)):
        picture = Image.new("RGB", size, "#445566")
        depth = np.sin(np.pi * (n / rate % LENGTH) / LENGTH) ** 2
        pen = ImageDraw.Draw(picture)
        pen.ellipse((280, 60 + 150 * depth, 360, 140 + 150 * depth), "#ddbb99")
        pen.rectangle((270, 140 + 150 * depth, 370, 420), "#336699")
        yield n / rate, picture


@pytest.fixture(scope="module")
def prediction(tmp_path_factory):
    """A set of ten repetitions, half of them with an error."""
    path = tmp_path_factory.mktemp("video") / "squat.mp4"
    video.write(path, pictures(COUNT * LENGTH), rate=15.0)
    time_s = np.arange(round(COUNT * LENGTH * 50)) / 50
    effort = np.sin(np.pi * (time_s % LENGTH) / LENGTH)[:, None] ** 2
    emg = (0.03 + effort * np.array([0.5, 0.3, 0.42, 0.33])).astype(np.float32)
    return Prediction(
        name="squat.mp4",
        videos={"front": str(path)},
        duration=COUNT * LENGTH,
        action="barbell_squat",
        recognition=Recognition({"barbell_squat": 1.0}),
        load=60.0,
        normalisation="mvc",
        simulated=True,
        time=time_s,
        muscles=MUSCLES,
        emg=emg,
        low=0.7 * emg,
        high=1.3 * emg,
        level=0.9,
        sample_in_domain=np.ones(len(time_s), bool),
        repetitions=tuple(scored_repetition(n) for n in range(COUNT)),
        warnings=("the model was trained on simulated people and simulated EMG",),
        run={"workdir": "runs/aqa", "dataset": "gymsim/crowd"},
    )


@pytest.fixture(scope="module")
def report_path(prediction, tmp_path_factory):
    """Its report, with measured EMG of one channel."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    measured = {MUSCLES[0]: prediction.emg[:, 0] * 0.8 + 0.02}
    report.write(prediction, path, graph=GRAPH, measured=measured)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Headless Chromium."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options, service)
    driver.set_window_size(1280, 1000)
    yield driver
    driver.quit()


def open_report(browser, path):
    browser.get(f"file://{path}")
    deadline = time.monotonic() + 60
    while not browser.execute_script("return document.documentElement.dataset.ready"):
        assert time.monotonic() < deadline, browser.get_log("browser")
        time.sleep(0.05)
    assert browser.get_log("browser") == []


def fill_of(browser, channel):
    return browser.execute_script(
        "return document.querySelector(`[data-channel='${arguments[0]}']`).style.fill", channel
    )


def scrub(browser, seconds):
    browser.execute_script(
        "const s = document.getElementById('scrub'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        seconds,
    )


def screenshot(browser, path):
    path.write_bytes(browser.get_screenshot_as_png())
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


def test_scrubbing_moves_the_cursor_and_recolours_the_muscles(prediction, report_path, browser):
    assert report_path.stat().st_size < 15 * 2**20
    open_report(browser, report_path)
    scrub(browser, 0.0)
    cursor = "return document.querySelector('.u-cursor-x').style.transform"
    fill_at_rest, cursor_at_rest = fill_of(browser, MUSCLES[0]), browser.execute_script(cursor)
    scrub(browser, 1.5)
    assert fill_of(browser, MUSCLES[0]) != fill_at_rest
    assert browser.execute_script(cursor) != cursor_at_rest
    assert "53 %" in browser.find_element("css selector", "#now").text
    clock = browser.find_element("id", "clock")
    assert clock.text == "1.5 / 30.0 s"
    assert fill_of(browser, "left_soleus") == ""
    deadline = time.monotonic() + 30
    video_state = (
        "const v = document.querySelector('video'); return [v.readyState, v.currentTime, v.error]"
    )
    while (state := browser.execute_script(video_state))[0] < 2 or abs(state[1] - 1.5) > 0.1:
        assert time.monotonic() < deadline and state[2] is None, state
        time.sleep(0.1)
    # By keyboard alone.
    browser.find_element("id", "scrub").send_keys("\ue014" * 5)  # → five times
    assert clock.text == "1.6 / 30.0 s"
    browser.find_element("css selector", ".lane.errors button").send_keys("\ue007")
    finding = prediction.repetitions[1].feedback.findings[0]
    assert clock.text.startswith(f"{finding.start:.1f} /")
    current = browser.find_elements("css selector", "article[aria-current='true'] h2")
    assert len(current) == 1 and current[0].text.startswith("Repetition 2: ")
    body = browser.find_element("tag name", "body").text
    assert finding.error_name in body and finding.advice[0] in body
    assert finding.effects_text in body
    assert f"−{finding.penalty:.1f}" in body
    assert browser.get_log("browser") == []


@pytest.mark.parametrize(
    "scheme, width", [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
)
def test_it_is_readable_in_light_and_dark_and_on_a_phone(
    report_path, browser, tmp_path, scheme, width
):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    open_report(browser, report_path)
    scrub(browser, 4.5)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    time.sleep(0.5)
    pixels = screenshot(browser, tmp_path / f"{scheme}_{width}.png")
    page = pixels[-3:, :3].mean()
    assert page > 200 if scheme == "light" else page < 60
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def luminance(colour):
    x = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    x = np.where(x <= 0.03928, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return x @ [0.2126, 0.7152, 0.0722]


def contrast(first, second):
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_lines_have_the_contrast_of_wcag_aa():
    style = (report.ASSETS / "report.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)[:2]
    for block in blocks:
        colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for text in ("ink", "quiet"):
            for background in ("page", "panel"):
                assert contrast(colour[text], colour[background]) >= 4.5, (text, background)
        assert contrast(colour["warn-ink"], colour["warn"]) >= 4.5
        assert contrast(colour["on-accent"], colour["accent"]) >= 4.5
        for phase in ("preparation", "concentric", "eccentric"):
            assert contrast(colour["on-phase"], colour[phase]) >= 4.5
        for line in ("left", "right", "accent", "edge"):
            assert contrast(colour[line], colour["panel"]) >= 3.0, line


def test_text_of_users_stays_text(prediction, browser, tmp_path):
    evil = dataclasses.replace(
        prediction,
        name=EVIL,
        videos={},
        warnings=(EVIL,),
        action="squat" + EVIL,
        run={"workdir": EVIL, "dataset": EVIL},
        repetitions=(),
    )
    path = tmp_path / "evil.html"
    report.write(evil, path)
    open_report(browser, path)
    assert browser.title.startswith("</script>")
    assert EVIL in browser.find_element("id", "title").text
    assert browser.find_elements("tag name", "img") == []


def test_the_samples_survive_their_encoding(prediction, tmp_path):
    path = tmp_path / "report.html"
    report.write(dataclasses.replace(prediction, videos={}), path, graph=GRAPH)
    data = json.loads(re.search(r'id="data">(.*?)</script>', path.read_text())[1])
    channel = data["channels"][2]
    emg = np.frombuffer(base64.b64decode(channel["emg"]), "<u2") * data["quantum"]
    column = prediction.muscles.index(f"{channel['side']}_{channel['muscle']}")
    np.testing.assert_allclose(emg, prediction.emg[:, column], atol=data["quantum"])
    peaks = {c["muscle"]: 0.0 for c in data["channels"]}  # the most active muscle comes first
    for c, name in enumerate(prediction.muscles):
        muscle = name.split("_", 1)[1]
        peaks[muscle] = max(peaks[muscle], float(np.quantile(prediction.emg[:, c], 0.998)))
    assert list(peaks.values()) == sorted(peaks.values(), reverse=True)
    for shown, repetition in zip(data["repetitions"], prediction.repetitions, strict=True):
        penalties = sum(finding["penalty"] for finding in shown["findings"])
        assert 100 - penalties + shown["remainder"] == pytest.approx(repetition.score)


def test_the_body_has_every_named_muscle_on_both_sides():
    shapes = {name for side in bodymap.SIDES for name in bodymap.figure(side)[1]}
    named = [
        m for m in vocabulary.MUSCLES if m not in (*vocabulary.UNNAMED, "quadriceps", "hamstrings")
    ]
    assert shapes == {f"{side}_{m}" for side in vocabulary.SIDES for m in named}
    front, back = (bodymap.figure(side)[1] for side in bodymap.SIDES)
    # Seen from the front, the subject's left is on the viewer's right.
    assert front["left_biceps_brachii"][:, 0].min() > 100
    assert back["left_triceps_brachii"][:, 0].max() < 100


def test_the_overlay_shows_frames_and_muscles(prediction, tmp_path):
    source = tmp_path / "first.mp4"
    video.write(source, pictures(LENGTH), rate=15.0)
    first_repetition = dataclasses.replace(prediction, videos={"front": str(source)})
    overlay.write(first_repetition, tmp_path / "overlay.mp4")
    frames = [(t, np.asarray(decode())) for t, decode in film.read_frames(tmp_path / "overlay.mp4")]
    assert len(frames) == pytest.approx(LENGTH * 15, abs=2)
    (_, rest), (_, turn) = frames[0], min(frames, key=lambda frame: abs(frame[0] - LENGTH / 2))
    assert rest.shape[0] == 480 and rest.shape[1] > 700
    # Muscles get redder with activation, and the picture moves.
    panel = slice(rest.shape[1] - 300, None)
    for part in (panel, slice(0, 480)):
        assert np.abs(turn[:, part].astype(int) - rest[:, part]).max() > 60
