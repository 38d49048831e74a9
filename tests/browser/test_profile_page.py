"""The page of `dataflow profile --html` in a headless Chromium: a file without a server, light and dark."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from dataflow_platform.cli.profile_page import page as written
from dataflow_platform.engine import profile
from dataflow_platform.engine.profile_drift import drift
from tests.browser.test_ui import CHROMEDRIVER, CHROMIUM, FLAGS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs chromium and chromedriver on PATH (Debian: chromium, chromium-driver)",
    ),
]
EVIL = "</dd><script>document.title = 'taken over'</script>"
TABLE = f"""
SELECT i AS id, CASE WHEN i % 4 = 0 THEN NULL ELSE i % 20 END AS holes, DATE '2026-01-01' + (i % 90)::INTEGER AS day,
    ['new', 'paid', '{EVIL.replace("'", "''")}'][1 + i % {{states}}] AS state, [i] AS list FROM range(40000) AS r(i)
"""


def html() -> str:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE before AS {TABLE.format(states=2)}")
        connection.execute(f"CREATE TABLE orders AS {TABLE.format(states=3)}")
        taken = profile.taken(connection, "orders")
        return written(taken, drift(profile.taken(connection, "before"), taken, "2026-01-01 10:00"), "2026-01-02 UTC")


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    opened = Chrome(options=options, service=ChromeService(CHROMEDRIVER))
    try:
        yield opened
    finally:
        opened.quit()


def test_the_page_shows_figures_charts_and_drift_by_day_and_night(window: Chrome, tmp_path: Path) -> None:
    text = html()
    assert not re.search(r"<script|src=|https?://|url\(", text)  # no script of its own, nothing from elsewhere
    file = tmp_path / "profile.html"
    file.write_text(text, encoding="utf-8")
    grounds = set()
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        window.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        window.get(file.as_uri())
        grounds.add(window.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    assert len(grounds) == 2
    assert window.title == "Profile of orders"
    # 10,000 of the 200,000 values are missing: a quarter of one of five columns.
    assert [each.text for each in window.find_elements(By.CSS_SELECTOR, ".figures b")] == ["40,000", "5", "5.0 %"]
    told = window.find_element(By.CSS_SELECTOR, "section.drift").text
    assert "state: new: " in told
    assert EVIL in told  # as text
    holes = window.find_element(By.ID, "c1")
    # i % 20 without the multiples of four: 15 values of 1 to 19 have a bar.
    assert len(holes.find_elements(By.CSS_SELECTOR, "svg rect.bar")) == 15
    assert holes.find_element(By.CSS_SELECTOR, ".missing").text == "25.0 %"
    assert all(chart.size["height"] > 40 for chart in window.find_elements(By.TAG_NAME, "svg"))
    assert len(window.find_elements(By.TAG_NAME, "svg")) == 4  # a list has no chart
    # Nothing is cut off at the side of a narrow window.
    window.set_window_size(500, 900)
    assert window.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [entry for entry in window.get_log("browser") if entry["level"] == "SEVERE"] == []
