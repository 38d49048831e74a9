"""The page of `dataflow lineage --html` in a headless Chromium: opened from a file, without a server."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

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
def page(lineage_project: Path, tmp_path: Path) -> Iterator[Chrome]:
    """The page of raw.orders.net."""
    file = tmp_path / "lineage.html"
    result = CliRunner().invoke(group, ["lineage", "raw.orders.net", "--html", str(file)])
    assert result.exit_code == 0, result.output
    assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org/2000/svg)", file.read_text())  # nothing from elsewhere
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


def row(page: Chrome, asset: str, column: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, f'[data-asset="{asset}"] [data-column="{column}"]')


def lit(page: Chrome) -> set[str]:
    found = page.find_elements(By.CSS_SELECTOR, ".row.lit")
    return {str(each.get_attribute("data-column")) for each in found}


def test_the_page_shows_searches_zooms_and_follows_a_column(page: Chrome) -> None:
    # What net is made of, what is made of it, over two pipelines and dbt.
    assert lit(page) == {"amount", "net", "worth", "revenue", "large_revenue"}
    assert row(page, "raw/orders", "net").get_attribute("class") == "row lit start"
    # Another column, by a click: its way ends at the rows it decides on.
    row(page, "raw/orders", "late").click()
    assert lit(page) == {"note", "late", ""}
    page.find_element(By.ID, "indirect").click()
    assert lit(page) == {"late"}  # a value of note never flows: it only chooses
    page.find_element(By.ID, "indirect").click()
    search = page.find_element(By.ID, "search")
    search.send_keys("by_city.rev")
    assert [each.text for each in page.find_elements(By.CSS_SELECTOR, ".row.found")] == ["revenue"]
    assert page.find_element(By.ID, "told").text == "1 found"
    search.send_keys("\n")
    assert "start" in str(row(page, "mart/by_city", "revenue").get_attribute("class"))
    view = page.find_element(By.ID, "view")
    before = view.get_attribute("transform")
    page.find_element(By.ID, "in").click()
    assert view.get_attribute("transform") != before
    page.find_element(By.ID, "fit").click()
    assert row(page, "inbox/orders_csv", "id").is_displayed()
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_names_from_the_project_are_text_on_the_page() -> None:
    from dataflow_platform.cli.lineage_page import page as written
    from dataflow_platform.engine.lineage import Origin, of_table
    from dataflow_platform.governance.column_graph import Asset, connected

    evil = "</script><script>alert(1)</script>"
    html = written(connected([Asset("a", "model", of_table([evil], "b"))]), Origin(evil, "a"))
    assert html.count("</script>") == 1
