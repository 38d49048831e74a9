"""The page of `dataflow quality --html` in a headless Chromium: opened from a file, without a server."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from dataflow_platform.cli.main import group
from tests.browser.test_ui import CHROMEDRIVER, CHROMIUM, FLAGS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs chromium and chromedriver on PATH (Debian: chromium, chromium-driver)",
    ),
]


@pytest.fixture
def page(checked_project: Path, tmp_path: Path) -> Iterator[Chrome]:
    file = tmp_path / "quality.html"
    result = CliRunner().invoke(group, ["quality", "--html", str(file)])
    assert result.exit_code == 1, result.output  # errors fail there
    assert not re.search(r"(src|href)=|https?://", file.read_text())  # nothing from elsewhere
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    window = Chrome(options=options, service=ChromeService(CHROMEDRIVER))
    try:
        window.get(file.as_uri())
        yield window
    finally:
        window.quit()


def shown(page: Chrome) -> list[str]:
    """The assets on the page, from above."""
    cards = page.find_elements(By.CSS_SELECTOR, ".asset")
    return [str(card.get_attribute("data-asset")) for card in cards if card.is_displayed()]


def test_the_page_shows_what_fails_first_and_searches(page: Chrome) -> None:
    assert page.find_element(By.CSS_SELECTOR, ".errors b").text == "2"
    assert page.find_element(By.CSS_SELECTOR, ".warnings b").text == "1"
    # One error and a warning; one error; then those that have nothing.
    assert shown(page)[:2] == ["raw/orders", "mart/by_city"]
    assert "raw/customers" in shown(page)
    card = page.find_element(By.CSS_SELECTOR, '[data-asset="raw/orders"]')
    for words in (
        "FAILS in_range_net", "1 of 3 (33.33 %)", "mart.by_city: revenue, large_revenue", "exposure city_dashboard",
        "WARNS foreign_key_customer", "anna@example.com", "2 loads", "dataflow quarantine show shop orders",
        "1 row in quarantine",
    ):  # fmt: skip
        assert words in card.text
    passing = card.find_element(By.TAG_NAME, "details")
    assert "not_null_id" not in card.text
    passing.find_element(By.TAG_NAME, "summary").click()
    assert "not_null_id" in card.text
    page.find_element(By.ID, "failing").click()
    assert shown(page) == ["raw/orders", "mart/by_city"]
    page.find_element(By.ID, "search").send_keys("anna@")
    assert shown(page) == ["raw/orders"]
    # It fits a telephone: nothing is wider than the window.
    page.set_window_size(420, 900)
    assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_names_from_the_project_are_text_on_the_page() -> None:
    from dataflow_platform.cli.quality_page import page as written
    from dataflow_platform.governance.quality_report import AssetQuality, QualityReport

    evil = "</script><script>alert(1)</script>"
    html = written(QualityReport((AssetQuality(evil, "stream", (), ()),), ()))
    assert html.count("</script>") == 1
