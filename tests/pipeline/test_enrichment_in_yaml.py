"""Steps that bring knowledge from elsewhere, declared in YAML and run through the engine."""

from datetime import date, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
from sklearn.linear_model import LogisticRegression

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine.replay import Selection, replay
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.rest_api import Seen, Stub, reply
from tests.fixtures.yaml_project import INBOX, Write

PIPELINE = (
    INBOX
    + """\
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: customers
      from: {path: customers.csv}
      load: replace
      transform:
"""
)


def materialized(folder: Path) -> dg.ExecuteInProcessResult:
    """What became of all assets of the project."""
    loaded = load_folder(folder / "defs").built
    assert loaded.problems == []
    return loaded.definitions().resolve_implicit_global_asset_job_def().execute_in_process()


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with DuckDB(path=str(folder / "w.duckdb")).reader() as connection:
        return connection.execute(query).fetchall()


def project(write: Write, steps: str, customers: str) -> Path:
    folder = write(PIPELINE + "".join(f"        - {line}\n" for line in steps.splitlines()))
    (folder / "inbox").mkdir()
    (folder / "inbox" / "customers.csv").write_text(customers)
    return folder


def test_values_in_one_form_and_misfits_in_quarantine(yaml_project: Write) -> None:
    steps = """\
cast: {phone: varchar}
normalise: {phone: {as: phone, region: DE}, land: {as: country, languages: [de], misfit: quarantine}}
"""
    folder = project(
        yaml_project, steps, 'id,phone,land\n1,"030 123456",Frankreich\n2,,deu\n3,"+49 30 123456",Erewhon\n'
    )
    result = materialized(folder)
    assert rows(folder, "SELECT id, phone, land FROM shop.customers ORDER BY id") == [
        (1, "+4930123456", "FR"),
        (2, None, "DE"),
    ]
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "normalise_land"]
    assert check.metadata["failing rows"].value == 1
    ((metadata,),) = [
        [each.step_materialization_data.materialization.metadata] for each in result.get_asset_materialization_events()
    ]
    lineage: Any = metadata["dagster/column_lineage"].value
    assert {name: [dep.column_name for dep in deps] for name, deps in lineage.deps_by_column.items()} == {
        "id": ["id"], "phone": ["phone"], "land": ["land"],
    }  # fmt: skip


def test_a_reference_file_of_the_project_is_looked_into(yaml_project: Write) -> None:
    steps = "lookup: {file: reference/lands.csv, by: {land: code}, columns: {name: country}, misfit: quarantine}"
    folder = project(yaml_project, steps, "id,land\n1,de\n2,xx\n3,\n")
    (folder / "reference").mkdir()
    (folder / "reference" / "lands.csv").write_text("code,name\nde,Germany\n")
    materialized(folder)
    assert rows(folder, "SELECT id, country FROM shop.customers ORDER BY id") == [(1, "Germany"), (3, None)]


def test_a_row_in_quarantine_is_replayed_once_its_key_is_known(yaml_project: Write) -> None:
    steps = "lookup: {file: lands.csv, by: {land: code}, columns: {name: country}, misfit: quarantine}"
    folder = project(yaml_project, steps, "id,land\n1,de\n2,xx\n")
    lands = folder / "lands.csv"
    lands.write_text("code,name\nde,Germany\n")
    materialized(folder)
    load = load_folder(folder / "defs").built.loads["shop", "customers"]
    assert replay(load(), Selection(), "somebody").still_bad == 1
    lands.write_text("code,name\nde,Germany\nxx,Nowhere\nxx,Elsewhere\n")
    # As in a load: a row would become two.
    with pytest.raises(DataError, match=r"lands\.csv has a key more than once"):
        replay(load(), Selection(), "somebody")
    lands.write_text("code,name\nde,Germany\nxx,Nowhere\n")
    assert replay(load(), Selection(), "somebody").loaded == 1
    assert rows(folder, "SELECT id, country FROM shop.customers ORDER BY id") == [(1, "Germany"), (2, "Nowhere")]


def test_a_key_twice_fails_before_a_row_is_staged(yaml_project: Write) -> None:
    steps = "lookup: {file: lands.csv, by: {land: code}, columns: {name: country}, misfit: 'null'}"
    folder = project(yaml_project, steps, "id,land\n1,de\n")
    (folder / "lands.csv").write_text("code,name\nde,Germany\nde,GDR\n")
    with pytest.raises(Exception, match=r"lands\.csv has a key more than once"):
        materialized(folder)
    assert rows(folder, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'customers'") == [(0,)]


API = """\
type: dataflow_platform.Connections
attributes:
  connections:
    crm: {type: rest, base_url: URL, auth: {type: bearer, token: "{{ env.CRM_TOKEN }}"}, max_retries: 1}
---
"""


def asked(write: Write, stub: Stub, step: str, customers: str) -> Path:
    folder = project(write, step, customers)
    file = folder / "defs" / "defs.yaml"
    file.write_text(API.replace("URL", stub.url) + file.read_text())
    return folder


@pytest.fixture(autouse=True)
def crm_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "crm-token-0123456789")


def test_an_api_is_asked_once_for_each_key(yaml_project: Write, stub: Stub) -> None:
    stub.on("/c/", lambda _: [{"name": "everybody"}, {"name": "else"}])
    stub.on("/", lambda _: {"data": {"name": "the API itself"}})
    stub.on("/c/a b", lambda _: {"data": {"name": "Ada", "points": 1.10, "tags": ["x"]}})
    stub.on("/c/2", lambda _: {"data": {"name": None, "points": 7}})
    step = """\
lookup: {api: {connection: crm, path: 'c/{key}', records: data, types: {points: 'decimal(9,2)'}}, by: {key: id}, \
columns: [name, points, tags], misfit: quarantine}"""
    # The last two would ask for the path above, and for the whole list.
    customers = "n,key\n" + "".join(f"{n},{('a b', '2', 'gone')[n % 3]}\n" for n in range(6000)) + '9,\n10,..\n11,""\n'
    folder = asked(yaml_project, stub, step, customers)
    materialized(folder)
    taken = "SELECT name, points::VARCHAR, tags, count(*) FROM shop.customers GROUP BY ALL ORDER BY ALL NULLS LAST"
    # 6,000 rows, several batches, share three keys; the third is not known, its rows are set aside. A row without a key
    # takes NULL.
    assert rows(folder, taken) == [("Ada", "1.10", '["x"]', 2000), (None, "7.00", None, 2000), (None, None, None, 1)]
    assert sorted(seen.path for seen in stub.seen) == ["/c/2", "/c/a b", "/c/gone"]
    assert {seen.headers["Authorization"] for seen in stub.seen} == {"Bearer crm-token-0123456789"}


def test_keys_are_asked_in_batches_and_matched_by_their_key(yaml_project: Write, stub: Stub) -> None:
    def answer(seen: Seen) -> Any:
        ids = [int(text) for text in seen.query["ids"].split(",")]
        return [{"id": number, "double": number * 2} for number in reversed(ids) if number != 4]

    stub.on("/c", answer)
    step = """\
lookup: {api: {connection: crm, path: c, params: {ids: '{keys}'}, batch: 2, types: {double: bigint}}, by: {n: id}, \
columns: [double], default: {double: -1}}"""
    folder = asked(yaml_project, stub, step, "n\n1\n2\n3\n4\n5\n1\n")
    materialized(folder)
    # 4 is not known and takes the default. Five keys by twos are three requests.
    assert rows(folder, "SELECT n, double FROM shop.customers ORDER BY n") == [
        (1, 2), (1, 2), (2, 4), (3, 6), (4, -1), (5, 10),
    ]  # fmt: skip
    assert sorted(seen.query["ids"] for seen in stub.seen) == ["1,2", "3,4", "5"]


@pytest.mark.parametrize(("failure", "kept"), [("null", [(1, "Ada"), (2, None)]), ("quarantine", [(1, "Ada")])])
def test_a_key_without_an_answer_goes_its_declared_way(
    yaml_project: Write, stub: Stub, failure: str, kept: list[Any]
) -> None:
    stub.on("/c/1", lambda _: {"name": "Ada"})
    stub.on("/c/2", lambda _: reply(503, headers={"Retry-After": "0"}))
    step = (
        f"lookup: {{api: {{connection: crm, path: 'c/{{key}}', failure: '{failure}'}}, by: {{n: id}}, columns: [name]}}"
    )
    folder = asked(yaml_project, stub, step, "n\n1\n2\n")
    materialized(folder)
    assert rows(folder, "SELECT n, name FROM shop.customers ORDER BY n") == kept
    assert [seen.path for seen in stub.seen].count("/c/2") == 2  # max_retries: 1


def test_a_refused_login_fails_whatever_the_policy(yaml_project: Write, stub: Stub) -> None:
    stub.on("/c/1", lambda _: reply(401, b"crm-token-0123456789 is no token"))
    step = "lookup: {api: {connection: crm, path: 'c/{key}', failure: 'null'}, by: {n: id}, columns: [name]}"
    folder = asked(yaml_project, stub, step, "n\n1\n")
    with pytest.raises(Exception, match=r"rest\.unauthorized") as raised:
        materialized(folder)
    assert "crm-token" not in str(raised.value)


@pytest.mark.parametrize(("failing", "words"), [(None, r"lookup\.unknown"), (422, r"rest\.rejected")])
def test_by_default_the_run_fails(yaml_project: Write, stub: Stub, failing: int | None, words: str) -> None:
    if failing:
        stub.on("/c/1", lambda _: reply(failing, headers={"Retry-After": "0"}))
    step = "lookup: {api: {connection: crm, path: 'c/{key}'}, by: {n: id}, columns: [name]}"
    folder = asked(yaml_project, stub, step, "n\n1\n")
    with pytest.raises(Exception, match=words):
        materialized(folder)


@pytest.mark.parametrize(("name", "code"), [("cmr", "connection.unknown"), ("inbox", "connector.no_keys")])
def test_a_connection_that_cannot_be_asked_is_told_with_its_line(
    yaml_project: Write, stub: Stub, name: str, code: str
) -> None:
    step = f"lookup: {{api: {{connection: {name}, path: 'c/{{key}}'}}, by: {{n: id}}, columns: [name]}}"
    folder = asked(yaml_project, stub, step, "n\n1\n")
    (error,) = load_folder(folder / "defs").built.problems
    assert (error.code, error.where.line) == (code, 21)


def test_places_and_addresses_are_located_offline(yaml_project: Write) -> None:
    steps = """\
geocode: {place: city, country: land, columns: {timezone: zone}, misfit: quarantine}
locate_ip: {column: ip, database: ip.csv, columns: {place: came_from}, misfit: 'null'}
"""
    folder = project(
        yaml_project, steps, "id,city,land,ip\n1,Leipzig,DE,192.0.2.1\n2,Atlantis,GR,192.0.2.1\n3,Lyon,FR,\n"
    )
    (folder / "ip.csv").write_text("network,place\n192.0.2.0/24,Here\n")
    materialized(folder)
    assert rows(folder, "SELECT id, zone, came_from FROM shop.customers ORDER BY id") == [
        (1, "Europe/Berlin", "Here"), (3, "Europe/Paris", None),
    ]  # fmt: skip


MODEL = LogisticRegression().fit([[0.0], [1.0], [9.0], [10.0]], ["small", "small", "large", "large"])


def test_a_model_scores_the_rows(yaml_project: Write) -> None:
    steps = f"score: {{model: '{__name__}:MODEL', inputs: [orders], outputs: {{class: {{type: varchar}}}}}}"
    folder = project(yaml_project, steps, "id,orders\n1,2\n2,8\n3,\n")
    result = materialized(folder)
    assert rows(folder, "SELECT id, class FROM shop.customers ORDER BY id") == [(1, "small"), (2, "large"), (3, None)]
    (event,) = result.get_asset_materialization_events()
    lineage: Any = event.step_materialization_data.materialization.metadata["dagster/column_lineage"].value
    assert [dep.column_name for dep in lineage.deps_by_column["class"]] == ["orders"]


def test_entities_are_resolved(yaml_project: Write) -> None:
    steps = """\
cast: {uid: uuid, price: 'decimal(9,2)', seen: timestamptz, note: json}
resolve_entities: {key: id, blocking: [[surname], [given, born]], certain: [[given, surname, born]], \
comparisons: {given: jaro_winkler, surname: {by: levenshtein, at: [1]}, born: days}, match: 0.9}
"""
    # A hundred persons whose names are digests; each stands there again, every second with a letter left out.
    lines = ["id,given,surname,born,uid,price,seen,note"]
    for person in range(100):
        given, surname = (md5(f"{word}{person % 30}".encode()).hexdigest()[:8] for word in ("given", "surname"))
        born, uid = date(1950, 1, 1) + timedelta(person * 7919 % 20000), UUID(int=person)
        rest = f"{born},{uid},{person}.50,2024-01-01 00:00:00+00,[1]"
        lines += [f"{person},{given},{surname},{rest}", f"{1000 + person},{given},{surname[person % 2 :]},{rest}"]
    folder = project(yaml_project, steps, "\n".join(lines) + "\n")
    result = materialized(folder)
    counted = "SELECT count(*), count(DISTINCT cluster_id), count(*) FILTER (id % 1000 = cluster_id)"
    assert rows(folder, f"{counted} FROM shop.customers") == [(200, 100, 200)]
    kinds = dict(rows(folder, "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'customers'"))
    assert [kinds[name] for name in ("uid", "price", "seen", "note", "cluster_id", "match_weight", "review_with")] == [
        "UUID", "DECIMAL(9,2)", "TIMESTAMP WITH TIME ZONE", "JSON", "BIGINT", "DOUBLE", "BIGINT",
    ]  # fmt: skip
    (event,) = result.get_asset_materialization_events()
    lineage: Any = event.step_materialization_data.materialization.metadata["dagster/column_lineage"].value
    used = {dep.column_name for dep in lineage.deps_by_column["cluster_id"]}
    assert used == {"id", "given", "surname", "born"}
    assert [dep.column_name for dep in lineage.deps_by_column["price"]] == ["price"]
