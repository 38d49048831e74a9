"""Tables by patterns: each an asset of its own, from a list that is kept in a file; over real databases."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.demo.environment import free_ports
from dataflow_platform.pipeline.loader import Loaded, load_folder
from tests.fixtures.sales_databases import SalesDatabase, sqlite_file

ALL = {"include": ["*"], "exclude": ["*_tmp"]}


class Project:
    """One pipeline over one connection, and a warehouse."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        monkeypatch.setenv("DATAFLOW_HOME", str(home))
        monkeypatch.setenv("DATAFLOW_DEFS", "defs")
        self._environment = monkeypatch
        (home / "defs").mkdir()

    def write(self, database: SalesDatabase | dict[str, Any], streams: Any, **pipeline: Any) -> None:
        if isinstance(database, SalesDatabase):
            for name, value in database.environment.items():
                self._environment.setenv(name, value)
        source = database.fields if isinstance(database, SalesDatabase) else database
        connections = {"warehouse": {"type": "duckdb", "path": "w.duckdb"}, "shop_db": source}
        copy = {"name": "copy", "source": "shop_db", "streams": streams, **pipeline}
        documents = [
            {"type": "dataflow_platform.Connections", "attributes": {"connections": connections}},
            {"type": "dataflow_platform.Pipeline", "attributes": copy},
        ]
        (self.home / "defs" / "defs.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False))

    def load(self) -> Loaded:
        return load_folder(self.home / "defs")

    def streams(self) -> list[str]:
        loaded = self.load()
        assert loaded.built.problems == []
        return sorted(stream for _, stream in loaded.built.loads)

    def problem(self) -> str:
        loaded = self.load()
        (problem,) = loaded.built.problems
        assert any("broken" in spec.kinds for spec in loaded.built.definitions().resolve_all_asset_specs())
        return str(problem)

    def run(self) -> None:
        defs = self.load().built.definitions()
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)
        assert result.success, list(result.get_step_failure_events())

    def dataflow(self, *arguments: str) -> Result:
        return CliRunner().invoke(group, arguments)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / "w.duckdb")) as connection:
            return connection.execute(sql).fetchall()

    @property
    def cached(self) -> Path:
        return self.home / ".dataflow" / "tables" / "shop_db.json"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


@pytest.fixture
def sales_file(tmp_path: Path) -> dict[str, Any]:
    return {"type": "sqlite", "path": str(sqlite_file(tmp_path))}


def test_a_whole_database(project: Project, sales_database: SalesDatabase) -> None:
    """Rows of every table arrive; those of views and of excluded tables do not. Twice: a merge finds its rows."""
    orders, rest = f"{sales_database.sales}orders", sorted({f"{sales_database.sales}*", f"{sales_database.hr}people"})
    merged = {"include": [orders], "load": "merge", "cursor": "sold", "checks": [{"not_null": "sold"}]}
    project.write(sales_database, [merged, {"include": rest, "exclude": ["*_tmp", "visits"]}])
    # In the order the key declares, which is not that of the columns.
    assert project.load().built.loads["copy", "orders"]().stream.primary_key == ("line", "id")
    for _ in range(2):
        project.run()
    tables = project.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'copy' ORDER BY 1")
    assert [name for (name,) in tables if not name.startswith("_dataflow")] == ["customers", "orders", "people"]
    assert project.rows("SELECT id, line FROM copy.orders ORDER BY ALL") == [(1, 1), (1, 2), (2, 1)]
    assert project.rows("SELECT * FROM copy.customers ORDER BY id") == [(1, "Ann"), (2, "Bob")]
    assert project.rows("SELECT * FROM copy.people") == [(7,)]


def test_each_table_is_an_asset_with_the_settings_of_the_patterns(project: Project, sales_file: dict[str, Any]) -> None:
    project.write(sales_file, {**ALL, "owners": ["team:sales"], "tags": {"tier": "1"}, "checks": [{"not_null": "id"}]})
    defs = project.load().built.definitions()
    graph = defs.resolve_asset_graph()
    keys = {dg.AssetKey(["copy", name]) for name in ("orders", "customers", "people")}
    assert graph.materializable_asset_keys == keys
    for key in keys:
        node = graph.get(key)
        assert (node.owners, node.tags["tier"]) == (["team:sales"], "1")
        # Read from a table of its own.
        assert node.parent_keys == {dg.AssetKey(["shop_db", key.path[-1]])}
        assert {check.name for check in node.check_keys} == {"not_null_id"}


def test_the_list_is_asked_for_once_and_kept(project: Project, sales_file: dict[str, Any]) -> None:
    """After the first time definitions load without the source; a new table waits for a new list."""
    project.write(sales_file, ALL)
    assert project.streams() == ["customers", "orders", "people"]
    file = Path(sales_file["path"])
    held = file.read_bytes()
    file.unlink()
    assert project.streams() == ["customers", "orders", "people"]
    file.write_bytes(held)
    _add_table(file)
    assert "added" not in project.streams()
    done = project.dataflow("connections", "discover", "shop_db", "--save")
    assert done.exit_code == 0, done.output
    assert "added" in project.streams()


def _add_table(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE added (id int)")
    connection.close()


def test_another_database_behind_the_connection_is_asked_anew(project: Project, sales_file: dict[str, Any]) -> None:
    project.write(sales_file, ALL)
    project.streams()
    other = Path(sales_file["path"]).with_name("other.db")
    _add_table(other)
    project.write({**sales_file, "path": str(other)}, ALL)
    assert project.streams() == ["added"]


def test_a_list_beside_the_yaml_is_used_before_the_cached_one(project: Project, sales_file: dict[str, Any]) -> None:
    """It is written by one word, needs no source at all, and says nothing that changes from day to day."""
    project.write(sales_file, ALL)
    done = project.dataflow("connections", "discover", "shop_db", "--to-commit")
    assert done.exit_code == 0, done.output
    committed = project.home / "defs" / "shop_db.tables.json"
    held = json.loads(committed.read_text())
    assert [table["name"] for table in held["tables"]] == ["customers", "orders", "orders_tmp", "people", "recent"]
    assert "estimated_rows" not in committed.read_text()
    assert not project.cached.exists()
    Path(sales_file["path"]).unlink()
    assert project.streams() == ["customers", "orders", "people"]
    committed.write_text(committed.read_text().replace('"people"', '"persons"'))
    assert project.streams() == ["customers", "orders", "persons"]


def test_a_stream_of_its_own_and_the_first_entry_win(project: Project, sales_file: dict[str, Any]) -> None:
    own = {"name": "sold", "from": {"table": "orders"}, "load": "append"}
    project.write(sales_file, [own, {"include": "p*", "load": "append"}, {"include": ["*"], "exclude": "*_tmp"}])
    loads = project.load().built.loads
    told = {stream: make().strategy_name for (_, stream), make in loads.items()}
    assert told == {"sold": "append", "people": "append", "customers": "replace"}


def test_views_of_all_kinds_and_partitions(project: Project, sales_postgres: SalesDatabase) -> None:
    project.write(sales_postgres, {"include": ["sales.*"], "kinds": ["view", "materialized_view"]})
    assert project.streams() == ["recent", "totals"]
    project.run()
    assert project.rows("SELECT * FROM copy.totals") == [(3,)]
    assert project.rows("SELECT * FROM copy.recent") == [(1, 2)]
    # The partitioned table is read whole; its part only where somebody asks for parts.
    project.write(sales_postgres, {"include": ["visits*"]})
    assert project.streams() == ["visits"]
    project.write(sales_postgres, {"include": ["visits*"], "kinds": ["partition"]})
    assert project.streams() == ["visits_2026"]


@pytest.mark.parametrize(
    ("streams", "code", "words"),
    [
        ({"include": ["order", "people"]}, "streams.no_match", "did you mean 'orders'?"),
        ({"include": ["recent"]}, "streams.no_match", "kinds: [table, view]"),
        ({"include": ["*_tmp"], "exclude": ["orders*"]}, "streams.nothing_left", "narrower"),
        ({**ALL, "load": "merge"}, "streams.primary_key", "people"),
        ({**ALL, "cursor": "sold"}, "streams.column", "cursor 'sold' is no column of customers, people"),
        ({**ALL, "primary_key": "line"}, "streams.column", "primary_key 'line' is no column of customers, people"),
        ({**ALL, "name": "copy_of_{schema}"}, "streams.same_name", "would both be loaded into table 'copy_of_'"),
        ({**ALL, "excluded": []}, "key.unknown", "did you mean 'exclude'?"),
        ([{**ALL, "lode": "merge"}], "key.unknown", "did you mean 'load'?"),
        ([{"name": "a", "primary_kee": "id"}], "key.unknown", "did you mean 'primary_key'?"),
        ({**ALL, "load": "murge"}, "load_strategy.unknown", "did you mean 'merge'?"),
        ({"exclude": ["*"]}, "key.missing", "'include' is missing"),
        ([], "value.type", "streams"),
    ],
)
def test_mistakes_are_told_with_line_and_fix(
    project: Project, sales_file: dict[str, Any], streams: Any, code: str, words: str
) -> None:
    project.write(sales_file, streams)
    problem = project.problem()
    assert problem.startswith(f"[{code}]"), problem
    assert words in problem
    assert "defs.yaml:" in problem


def test_a_source_without_a_catalogue(project: Project) -> None:
    project.write({"type": "files", "root": "inbox"}, ALL)
    assert "[streams.no_catalogue] connector 'files' has no catalogue of tables" in project.problem()


def test_a_server_that_does_not_answer_while_definitions_load(project: Project, sales_postgres: SalesDatabase) -> None:
    """The location loads, with a failing asset; once the list is there, the server is not needed any more."""
    closed = {**sales_postgres.fields, "port": free_ports(1)[0]}
    project.write(SalesDatabase(closed), ALL)
    problem = project.problem()
    assert "the tables of connection 'shop_db' are not known yet, and asking failed: nothing answers" in problem
    assert "dataflow connections discover shop_db --save" in problem
    project.write(sales_postgres, ALL)
    assert "people" in project.streams()
    # Another port is another database for all we know; the list beside the YAML is believed.
    assert project.dataflow("connections", "discover", "shop_db", "--to-commit").exit_code == 0
    project.write(SalesDatabase(closed), ALL)
    assert "people" in project.streams()


def test_a_list_that_cannot_be_read(project: Project, sales_file: dict[str, Any]) -> None:
    project.write(sales_file, ALL)
    project.streams()
    project.cached.write_text('{"tables": [{"nam')
    assert "[tables.unreadable]" in project.problem()
    assert project.dataflow("connections", "discover", "shop_db", "--save").exit_code == 0
    assert project.streams() == ["customers", "orders", "people"]


def test_hostile_names_of_tables(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's name is data: it is no template of ours, and Dagster gets a name it can hold."""
    monkeypatch.setenv("SECRET_OF_MINE", "hush")
    file = tmp_path / "odd.db"
    names = ["{{ env.SECRET_OF_MINE }}", 'Odd "Nä.me', "select", "a'; DROP TABLE x; --"]
    with sqlite3.connect(file) as connection:
        for number, name in enumerate(names):
            quoted = name.replace('"', '""')
            connection.execute(f'CREATE TABLE "{quoted}" (id INTEGER)')
            connection.execute(f'INSERT INTO "{quoted}" VALUES ({number})')
    connection.close()
    project.write({"type": "sqlite", "path": str(file)}, {"include": ["*"]})
    made = {"___env.SECRET_OF_MINE___": 0, "Odd__N_.me": 1, "select": 2, "a___DROP_TABLE_x__--": 3}
    assert project.streams() == sorted(made)
    project.run()
    assert {name: project.rows(f'SELECT id FROM copy."{name}"')[0][0] for name in made} == made
    assert "hush" not in project.cached.read_text()


def test_the_five_lines_through_the_command_line(project: Project, sales_postgres: SalesDatabase) -> None:
    project.write(sales_postgres, {"include": ["sales.*"], "exclude": ["*_tmp"]})
    done = project.dataflow("run", "copy")
    assert done.exit_code == 0, done.output
    assert project.rows("SELECT (SELECT count(*) FROM copy.orders), (SELECT count(*) FROM copy.visits)") == [(3, 1)]
