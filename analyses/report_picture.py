"""A picture of a report of `predict`, at one time of the film, by headless Chromium.

    python -m analyses.report_picture --report runs/squat/report.html --seconds 8 --out report.png

Needs Chromium, its driver and `pip install selenium`.
"""

import argparse
import shutil
import time
from pathlib import Path

from PIL import Image

_TIMEOUT_S = 60.0
_COLOURS = 128  # of the picture; the film keeps its look, and the file becomes small


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1000)
    options = parser.parse_args()
    picture(options.report, options.seconds, options.out, (options.width, options.height))


def picture(report: Path, seconds: float, out: Path, size: tuple[int, int]) -> None:
    """Writes what a browser shows of a report.

    Args:
      report: the HTML file.
      seconds: of the cursor.
      out: PNG file.
      size: width and height of the window, px.
    """
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.set_window_size(*size)
        browser.get(report.resolve().as_uri())
        ready = "return document.documentElement.dataset.ready"
        _wait(lambda: bool(browser.execute_script(ready)))
        browser.execute_script(
            "const s = document.getElementById('scrub'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            seconds,
        )
        time.sleep(2.0)  # until the film has moved there
        out.write_bytes(browser.get_screenshot_as_png())
    finally:
        browser.quit()
    Image.open(out).convert("RGB").quantize(_COLOURS).save(out, optimize=True)


def _wait(condition) -> None:
    """Waits until a condition holds.

    Raises:
      TimeoutError: it does not.
    """
    end = time.monotonic() + _TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the report did not load")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
