"""The documentation builds as a site without a warning, and the site needs no network."""

import html.parser
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Loaded(html.parser.HTMLParser):
    """Collects the addresses that a browser fetches by itself."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        wanted = {"script": "src", "img": "src", "iframe": "src", "link": "href"}.get(tag)
        given = dict(attrs)
        if wanted and given.get(wanted) and given.get("rel") != "canonical":
            self.found.append(given[wanted])


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        parser = Loaded()
        parser.feed(page.read_text())
        assert parser.found
        assert not [address for address in parser.found if "//" in address], page


def test_what_it_shows_comes_from_the_code_and_the_results(site):
    predicting = (site / "api" / "inference.html").read_text()
    assert "Predicts one recording." in predicting and "video2emg.load" in predicting
    readme = (ROOT / "README.md").read_text()
    row = next(line for line in readme.splitlines() if line.startswith("template "))
    assert row.split()[1] in (site / "results.html").read_text()
    questions = (site / "faq.html").read_text()
    assert questions.count("<strong>") >= 18
