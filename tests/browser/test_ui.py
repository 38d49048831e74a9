"""What a person sees of the demo in Dagster's own web UI, in a headless Chromium.

Pages are found by their words, not by the UI's class names, which change with every release of it.
With DATAFLOW_SCREENSHOTS=1 the pictures go to docs/images, else to the test's own folder.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import duckdb
import pytest
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from dataflow_platform.demo.environment import free_ports
from tests.fixtures.demo_estate import DemoEstate
from tests.fixtures.nyc_flights import Row, read_rows, read_texts

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# A mark, not a skip in the fixture: the estate would be built first.
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER),
        reason="needs chromium and chromedriver on PATH (Debian: chromium, chromium-driver)",
    ),
]

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
START_SECONDS, WAIT_SECONDS = 120, 60
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1600,1000",
)  # fmt: skip
LARGEST_PICTURE = 300_000  # bytes; they live in the repository

ASSETS = {
    *(f"raw/{table}" for table in ("airlines", "airports", "flights", "planes", "weather", "world_airports")),
    *(f"staging/stg_{table}" for table in ("airlines", "airports", "flights", "planes", "weather")),
    *(f"mart/delay_by_{what}" for what in ("carrier_month", "route", "weather")),
}
SOURCES = ["airlines", "faa_csv_gz", "flights", "planes", "weather", "world_csv_gz"]


@dataclass(frozen=True)
class Browser:
    """A window on the UI: every method waits until the page shows what it is asked for."""

    driver: Chrome
    url: str
    pictures: Path

    def open(self, path: str, height: int = 1000) -> None:
        size = {"width": 1600, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(self.url + path)

    def all(self, xpath: str) -> list[WebElement]:
        """What the page has now."""
        return self.driver.find_elements(By.XPATH, xpath)

    def find(self, xpath: str) -> WebElement:
        """The first visible element."""
        return self._until(lambda: [one for one in self.all(xpath) if one.is_displayed()], xpath)[0]

    def text(self, xpath: str) -> str:
        """The visible words of the first visible element that has any."""
        return self._until(lambda: [one.text for one in self.all(xpath) if one.text.strip()], xpath)[0].strip()

    def click(self, xpath: str) -> None:
        """Click the first visible element, once nothing lies over it."""

        def clicked() -> list[bool]:
            try:
                self.find(xpath).click()
            except ElementClickInterceptedException:
                return []
            return [True]

        self._until(clicked, xpath)

    def show(self, xpath: str) -> None:
        """Scroll the last visible element to the top."""
        self.find(xpath)
        shown = [one for one in self.all(xpath) if one.is_displayed()][-1]
        self.driver.execute_script("arguments[0].scrollIntoView()", shown)

    def until_gone(self, xpath: str) -> None:
        self._until(lambda: [] if self.all(xpath) else [True], f"no {xpath}")

    def metadata(self, key: str) -> str:
        """The value of a row of a metadata table."""
        return self.text(f"//tr[td[1][normalize-space()='{key}']]/td[last()]")

    def picture(self, name: str) -> Path:
        """Save what the window shows, once it has come to rest."""
        self.until_gone("//*[starts-with(normalize-space(text()), 'Loading')]")
        shots = [b""]

        def still() -> list[bytes]:
            shots.append(self.driver.get_screenshot_as_png())
            return [shots[-1]] if shots[-1] == shots[-2] else []

        file = self.pictures / f"{name}.png"
        file.write_bytes(self._until(still, "a page at rest")[0])
        assert file.stat().st_size < LARGEST_PICTURE
        return file

    def _until(self, look: Callable[[], list[T]], what: str) -> list[T]:
        waiting = WebDriverWait(self.driver, WAIT_SECONDS, 0.25, [StaleElementReferenceException])
        try:
            return waiting.until(lambda _: look())
        except TimeoutException:
            page = self.driver.find_element(By.TAG_NAME, "body").text
        pytest.fail(f"{self.driver.current_url} does not show {what} within {WAIT_SECONDS} s, but:\n{page}")


@pytest.fixture(scope="module")
def web_ui(demo_estate: DemoEstate) -> Iterator[str]:
    """The address of Dagster's web UI on the estate; stopped after the module."""
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    log = demo_estate.home / "webserver.log"
    command = [str(Path(sys.executable).parent / "dagster-webserver"), "-w", str(ROOT / "workspace.yaml")]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)], cwd=demo_estate.home,
            env=demo_estate.environment | {"PYTHONWARNINGS": "ignore"},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the web UI did not start:\n{log.read_text()}", pytrace=False)
            time.sleep(0.2)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless Chromium with a profile of its own."""
    assert CHROMIUM
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    window = Chrome(options=options, service=ChromeService(CHROMEDRIVER))
    try:
        yield window
    finally:
        window.quit()


@pytest.fixture
def browser(driver: Chrome, web_ui: str, tmp_path: Path) -> Browser:
    """The window with the narrow navigation bar, so that pages have room."""
    pictures = ROOT / "docs" / "images" if os.environ.get("DATAFLOW_SCREENSHOTS") == "1" else tmp_path
    window = Browser(driver, web_ui, pictures)
    window.open("/runs")
    window.find("//button[.//*[@aria-label='panel_show_left' or @aria-label='panel_show_right']]")
    if window.all("//*[text()='Hide navigation']"):
        window.click("//*[text()='Hide navigation']")
    return window


@pytest.fixture(scope="module")
def flights() -> list[Row]:
    """All scheduled flights, as the csv module reads the package's own file."""
    return read_rows(read_texts()["flights"])


@pytest.fixture(scope="module")
def airports() -> set[str]:
    """The codes on the FAA's list."""
    return {airport["faa"] for airport in read_rows(read_texts()["airports"])}


def test_lineage_graph_runs_from_source_tables_to_marts(browser: Browser) -> None:
    browser.open("/locations/dataflow_platform/asset-groups/nyc_flights/lineage", height=1290)
    node = "//*[name()='foreignObject']"
    browser.find(f"{node}[.//*[text()='delay_by_route']]")
    # The UI leaves a wide margin: closer, and a little aside from under its buttons.
    browser.click("//button[.//*[@aria-label='zoom_in']]")
    ActionChains(browser.driver).move_by_offset(150, 260).click_and_hold().move_by_offset(-20, 0).release().perform()
    browser.picture("lineage")
    # A node has no key, but the link of its checks has.
    links = [urlsplit(link.get_attribute("href")).path for link in browser.all(f"{node}//a[contains(., 'Passed')]")]
    assert sorted(links) == sorted(f"/assets/{asset}" for asset in ASSETS)
    titles = [one.text.split("\n")[0] for one in browser.all(f"{node}[.//*[text()='Source']]")]
    assert sorted(titles) == SOURCES
    # 6 sources into 6 raw tables, airports into flights (its foreign key), 5 raw tables into 5 staging models
    # (nothing reads world_airports), and 2 staging models into each of 3 marts.
    assert len(browser.all("//*[name()='path'][@marker-end]")) == 6 + 1 + 5 + 2 * 3
    browser.click(f"{node}[.//*[text()='Source']]//*[text()='flights']")
    assert browser.text("//*[contains(text(), 'operations_db')]") == "operations_db / public / flights"


def test_mart_shows_its_columns(browser: Browser, demo_estate: DemoEstate) -> None:
    browser.open("/assets/mart/delay_by_route")
    table = "//table[.//td[text()='Column name']]"
    browser.show("//*[text()='Columns']")
    browser.find(table)
    browser.picture("columns")
    rows = [[cell.text for cell in row.find_elements(By.XPATH, "./td")] for row in browser.all(f"{table}/tbody/tr")]
    with duckdb.connect(str(demo_estate.warehouse), read_only=True) as warehouse:
        columns = [name for name, *_ in warehouse.execute("DESCRIBE mart.delay_by_route").fetchall()]
    assert [name for name, _, _ in rows] == columns
    assert [name for name, _, description in rows if not description.strip()] == []
    described = "Mean arrival delay in minutes; early arrivals count as negative."
    assert ["mean_arrival_delay_minutes", "DOUBLE", described] in rows


def test_column_lineage_leads_to_the_postgres_column(browser: Browser) -> None:
    """Dagster's open-source UI draws no graph of columns; it shows them with the run's materialization."""
    path = [("mart/delay_by_route", "mean_arrival_delay_minutes")]
    while path[-1][0] in ASSETS:
        asset, column = path[-1]
        (origin,) = _origins_seen(browser, asset)[column]
        path.append(origin)
    browser.show("//*[@role='dialog']")
    browser.picture("column-lineage")
    assert path[1:] == [
        ("staging/stg_flights", "arrival_delay_minutes"),
        ("raw/flights", "arr_delay"),
        ("operations_db/public/flights", "arr_delay"),
    ]


def _origins_seen(browser: Browser, asset: str) -> dict[str, list[tuple[str, str]]]:
    """A log that is drawn anew takes an opened dialog away: look again, as a person would."""
    for _ in range(2):
        with suppress(pytest.fail.Exception):
            return _origins(browser, asset)
    return _origins(browser, asset)


def _origins(browser: Browser, asset: str) -> dict[str, list[tuple[str, str]]]:
    """Asset and column of what each column of ``asset`` is made from, as the log of its latest run shows it."""
    browser.open(f"/assets/{asset}?view=events")
    run = browser.find("//a[contains(@href, '/runs/')]").get_attribute("href")
    browser.open(f"{urlsplit(str(run)).path}?logs={quote('Materialized value ' + asset.replace('/', ' '))}")
    browser.click("//button[contains(., 'View full message')]")
    entry = "*[normalize-space(text())='dagster/column_lineage']"
    browser.click(f"//*[@role='dialog']//{entry}/following::*[text()='[Show JSON]']")
    shown = browser.text(f"//*[@role='dialog'][.//{entry}][.//button[contains(., 'Copy')]]")
    lineage: list[dict[str, Any]] = json.loads(shown[shown.index("[") : shown.rindex("]") + 1])
    return {
        column["columnName"]: [("/".join(dep["assetKey"]["path"]), dep["columnName"]) for dep in column["columnDeps"]]
        for column in lineage
    }


def test_failed_check_counts_the_rows_it_quarantined(browser: Browser, flights: list[Row], airports: set[str]) -> None:
    abroad = sum(flight["dest"] not in airports for flight in flights)
    nameless = sum(flight["tailnum"] == "NA" for flight in flights)
    # 4 airports in Puerto Rico and the Virgin Islands; all of the nameless were cancelled.
    assert (abroad, nameless) == (7602, 2512)
    for check, failing in (("Flown_tailnum_not_null", nameless), ("foreign_key_dest", abroad)):
        browser.open(f"/assets/raw/flights?view=checks&checkDetail={check}")
        browser.find(f"//*[text()='{check}']/following::*[text()='Evaluation result']")
        assert browser.text("//*[text()='Evaluation result']/following::*[text()][1]") == "Failed"
        assert browser.metadata("failing rows") == str(failing)
        assert browser.metadata("quarantined") == str(failing)
        assert browser.metadata("rows") == str(len(flights))
    assert set(browser.metadata("samples").split(", ")) <= {flight["dest"] for flight in flights} - airports
    browser.picture("failed-check")


def test_asset_shows_its_rows_and_what_was_kept_apart(browser: Browser, flights: list[Row], airports: set[str]) -> None:
    kept_apart = sum(
        flight["dest"] not in airports or "NA" in (flight["tailnum"], flight["dep_time"]) for flight in flights
    )
    browser.open("/assets/raw/flights")
    upstream = browser.find("//*[text()='Upstream assets']/following::a[contains(@href, '/assets/')]")
    assert upstream.text == "operations_db / public / flights"
    assert browser.metadata("rows quarantined") == str(kept_apart)
    assert browser.metadata("rows read") == str(len(flights))
    assert browser.text("//*[text()='Row count']/following::*[text()][1]") == f"{len(flights) - kept_apart:,}"
    reasons = json.loads(browser.metadata("quarantine reasons"))
    assert reasons["foreign_key_dest"] == sum(flight["dest"] not in airports for flight in flights)
