"""The connectors in YAML files: what they state is held against the vendors' descriptions, where these are at hand."""

import os
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from dataflow_platform.connectors.rest.openapi_check import verify
from dataflow_platform.connectors.rest.openapi_evidence import evidence_of, write, written
from dataflow_platform.connectors.rest.spec import ConnectorSpec
from tests.connectors.spec_mutants import of_connector, of_stream, plain
from tests.fixtures.api_descriptions import NAMES, description_file, description_of, spec_of

# Sources that a contract may rest on have been looked at by a program: a page of documentation has not.
CONTRACTS = [name for name in NAMES if spec_of(name).source.label == "contract"]
WITHOUT_KEY = {("google_sheets", "values"), ("workday", "report")}
"""Streams whose rows nothing tells apart."""

ASKED_FOR = """
adyen airtable alpha_vantage amazon_sp amplitude asana bigcommerce braze chargebee clickup coingecko datadog ecb
facebook_ads fred freshdesk github gitlab google_ads google_analytics google_drive google_search_console google_sheets
hubspot intercom jira klaviyo linear linkedin_ads magento mailchimp mastodon mixpanel monday netsuite notion okta openaq
openfda pagerduty paypal pipedrive plaid polygon posthog quickbooks recurly reddit salesforce sec_edgar segment sendgrid
sentry servicenow shopify slack square stripe tiktok_ads trello twilio typeform weather_gov woocommerce workday
world_bank x_twitter xero youtube zendesk zoom
"""


def test_the_catalogue_has_what_users_ask_for() -> None:
    assert set(ASKED_FOR.split()) <= set(NAMES)
    assert len(NAMES) >= 80


@pytest.mark.parametrize("name", NAMES)
def test_a_connector_says_what_it_is_and_where_that_was_found(name: str) -> None:
    spec = spec_of(name)
    assert spec.title
    assert spec.description
    assert spec.category
    assert spec.docs.startswith("https://")
    for stream, said in spec.streams.items():
        assert said.primary_key or (name, stream) in WITHOUT_KEY, stream
    for source in (spec.source, *(each.source for each in spec.streams.values() if each.source)):
        if source.label == "unverified":
            assert source.source.startswith("https://"), "an unverified fact names the page it was read on"


@pytest.mark.parametrize("name", CONTRACTS)
def test_what_a_connector_states_is_what_its_vendor_describes(name: str) -> None:
    report = verify(spec_of(name), description_of(name))
    assert [str(finding) for finding in report.findings] == []
    unverified = {
        each for each, said in spec_of(name).streams.items() if said.source and said.source.label == "unverified"
    }
    for fact in report.unsaid:
        place = fact.partition(":")[0].split(".")
        # Where a list is and what tells its rows apart is never left to belief.
        essential = place[0] == "streams" and place[-1] in ("records", "primary_key")
        assert not essential or place[1] in unverified, fact


def test_the_catalogue_claims_what_was_found() -> None:
    """The counts on the catalogue's page are those of the descriptions (written by DATAFLOW_WRITE_EVIDENCE=1)."""
    here = [name for name in CONTRACTS if description_file(name)]
    if not here:
        pytest.skip("no description is here: see tests/fixtures/api_descriptions.py")
    found = {name: evidence_of(spec_of(name), description_of(name)) for name in here}
    if os.environ.get("DATAFLOW_WRITE_EVIDENCE") == "1":
        write(found)
    assert {name: written().get(name) for name in here} == found
    assert set(written()) == set(CONTRACTS), "a contract was held against a description, and nothing else was"


def _missed(name: str) -> Iterator[tuple[str, bool, bool]]:
    """Of each break of one connector: its kind, whether it was missed, and whether the description tells the fact."""
    spec, description = spec_of(name), description_of(name)
    written = plain(spec)
    mutants = list(of_connector(written))
    for stream, said in spec.streams.items():
        if not (said.source and said.source.label == "unverified"):
            mutants += of_stream(written, stream, spec)
    unsaid = {fact.partition(": ")[0] for fact in verify(spec, description).unsaid}
    unsaid = {re.sub(r"auth\[\d+\]", "auth", place) for place in unsaid}
    for kind, place, broken in mutants:
        try:
            found = bool(verify(ConnectorSpec.model_validate(broken), description).findings)
        except ValueError:
            found = True  # the model itself refuses it
        yield f"{name}: {kind}", not found, place not in unsaid


def test_a_fact_that_is_wrong_is_found() -> None:
    """Every fact that a description tells, broken one at a time in every connector: at least 99 of 100 are found.

    What a description does not tell (a header `Link`, where tokens come from) cannot be found by it and is counted
    apart: `dataflow connectors verify --unsaid` names it.
    """
    breaks = [each for name in CONTRACTS if description_file(name) for each in _missed(name)]
    if not breaks:
        pytest.skip("no description is here: see tests/fixtures/api_descriptions.py")
    described = [(kind, missed) for kind, missed, told in breaks if told]
    missed = Counter(kind for kind, missed in described if missed)
    assert len(described) > 0.95 * len(breaks), "nearly all facts are described"
    caught = 1 - sum(missed.values()) / len(described)
    print(f"{caught:.2%} of {len(described)} breaks found; of all {len(breaks)}: {sum(m for _, m, _ in breaks)} not")
    assert caught >= 0.99, f"{caught:.2%} of {len(described)} found; missed: {missed.most_common(40)}"
