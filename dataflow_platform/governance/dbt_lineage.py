"""The column lineage of a dbt project, from its manifest; nothing is run and no database is asked."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dataflow_platform.core.errors import ConfigError, DataflowError
from dataflow_platform.engine.lineage import Origin, Relation, Sources, of_table, of_unknown_table
from dataflow_platform.governance.column_graph import Asset, AssetKind, Exposure, Guard, told
from dataflow_platform.governance.dbt_rendering import Manifest, Node
from dataflow_platform.governance.lineage_cache import LineageCache

OF_DBT = frozenset({".sql", ".yml", ".yaml", ".csv", ".py", ".md"})
"""What a dbt project is made of."""
_TABLES = ("model", "seed", "snapshot")
_KINDS: Mapping[str, AssetKind] = {"source": "source"}
_OF_SNAPSHOTS = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")


def is_parsed(project: Path) -> bool:
    """Whether ``dbt parse`` has seen the project's files as they are."""
    file = project / "target" / "manifest.json"
    if not file.is_file():
        return False
    parsed, built = file.stat().st_mtime, {"target", "logs"}
    sources = (each for each in project.rglob("*") if each.suffix in OF_DBT)
    return all(each.stat().st_mtime <= parsed for each in sources if not built.intersection(each.parts))


def read_manifest(project: Path, target: Path | None = None) -> Manifest:
    """What the last ``dbt parse`` of ``project`` left; ConfigError ``dbt.manifest`` where there is nothing."""
    file = (target or project / "target") / "manifest.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        settings = yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(
            "dbt.manifest", f"the dbt project is not parsed: {error}", where=str(file),
            fix="dataflow setup   (or dbt parse, in the project)",
        ) from error  # fmt: skip
    return Manifest(content, settings.get("vars") or {})


def asset_key(node: Node) -> str:
    """The key dagster-dbt gives a node's asset."""
    config = node.get("config", {})
    meta = config.get("meta") or node.get("meta") or {}
    own = meta.get("dagster", {}).get("asset_key")
    if own:
        return "/".join(own)
    if node["resource_type"] == "source":
        return f"{node['source_name']}/{node['name']}"
    if node.get("version"):
        return str(node["alias"])
    schema = config.get("schema")
    return f"{schema}/{node['name']}" if schema is not None else str(node["name"])


class DbtLineage:
    """The assets and exposures of one manifest. ``known``: tables of others by asset key, with their columns."""

    def __init__(self, manifest: Manifest, known: Mapping[str, Relation], cache: LineageCache) -> None:
        self._manifest = manifest
        self._known = known
        self._cache = cache
        self._relations: dict[str, Relation] = {}
        """Unique id -> the table as those see it that read it."""
        self._by_table = {_table_of(node): node for node in self._tables()}
        self._guards: dict[str, list[Guard]] = {}
        self._missing: list[Origin] = []

    def _tables(self) -> Iterator[Node]:
        for node in self._manifest.nodes.values():
            if node["resource_type"] in (*_TABLES, "source"):
                yield node

    def assets(self) -> list[Asset]:
        """Every model, seed and snapshot, each behind those it reads; sources that no pipeline loads as well."""
        found = [self._asset(node) for node in self._upstream_first()]
        self._read_tests()
        return [replace(each, guards=tuple(self._guards.get(each.key, ()))) for each in found]

    def guards_of_sources(self) -> dict[str, list[Guard]]:
        """The tests on tables that pipelines load."""
        return {key: guards for key, guards in self._guards.items() if key in self._known}

    def _upstream_first(self) -> list[Node]:
        order: dict[str, Node] = {}

        def visit(identity: str) -> None:
            stack = [(identity, False)]
            while stack:
                each, done = stack.pop()
                node = self._manifest.nodes.get(each)
                if node is None or each in order or node["resource_type"] not in (*_TABLES, "source"):
                    continue
                if done:
                    order[each] = node
                else:
                    stack.append((each, True))
                    stack += [(above, False) for above in node.get("depends_on", {}).get("nodes", ())]

        for node in self._tables():
            visit(str(node["unique_id"]))
        return [node for node in order.values() if asset_key(node) not in self._known]

    def _asset(self, node: Node) -> Asset:
        key, above = asset_key(node), node.get("depends_on", {}).get("nodes", ())
        self._missing = []
        lineage, unknown, sql = self._lineage(node)
        if unknown:
            self._relations[node["unique_id"]] = of_unknown_table(key, list(lineage.columns))
        else:
            self._relations[node["unique_id"]] = of_table(list(lineage.columns), key)
        types = {name: str(each.get("data_type") or "") for name, each in node.get("columns", {}).items()}
        reads = tuple(
            dict.fromkeys(asset_key(self._manifest.nodes[each]) for each in above if each in self._manifest.nodes)
        )
        kind = _KINDS.get(node["resource_type"], "model")
        wrong = tuple(dict.fromkeys(f"reads {told(each)}, which is not there" for each in self._missing))
        return Asset(key, kind, lineage, reads, unknown, self._owners(node), (), types, sql, wrong)

    def _lineage(self, node: Node) -> tuple[Relation, str, str]:
        """Lineage, why it is not whole, and the SQL."""
        declared = Relation({name: {} for name in node.get("columns", {})})
        if node["resource_type"] == "source":
            return declared, "dbt declares a source and no pipeline loads it", ""
        if node["resource_type"] == "seed":
            return self._seed(node), "" if self._seed(node).columns else "its file is not there", ""
        if node.get("language") == "python":
            return declared, "a dbt model in Python says nothing of its columns", ""
        try:
            sql = self._manifest.sql(node)
            found = self._of_sql(sql, node)
        except DataflowError as error:
            return declared, error.what, ""
        if node["resource_type"] == "snapshot":
            more: dict[str, Sources] = {
                name: {} for name in ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")
            }
            found = Relation({**found.columns, **more}, found.rows, found.rest, found.others)
        unknown = "the columns of what it selects are not all known" if found.is_open() else ""
        return found, unknown, sql

    def _seed(self, node: Node) -> Relation:
        root = node.get("root_path") or ""
        file = Path(root) / str(node.get("original_file_path", ""))
        if not file.is_file():
            return Relation()
        with file.open(encoding="utf-8") as lines:
            return Relation({name.strip().strip('"'): {} for name in lines.readline().split(",")})

    def _of_sql(self, sql: str, node: Node) -> Relation:
        above = [self._manifest.nodes[each] for each in node["depends_on"]["nodes"] if each in self._manifest.nodes]
        tables = {asset_key(each): self._read(each) for each in above}
        known = [(name, list(table.columns), table.rest) for name, table in sorted(tables.items())]
        key = self._cache.key(self._manifest.dialect, sql, known)
        held = self._cache.get(key)
        if held is not None:
            self._missing = [Origin(column, table) for column, table in held[1]]
            return held[0]
        relation, self._missing, read = self._found(sql)
        if read <= tables.keys():  # else it names tables that dbt does not know it reads
            self._cache.put(key, relation, self._missing)
        return relation

    def _found(self, sql: str) -> tuple[Relation, list[Origin], set[str]]:
        """The lineage of a query, the columns no table has, and the assets it reads."""
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        from dataflow_platform.engine.query_lineage import QueryLineage

        read: set[str] = set()

        def table(named: exp.Table) -> Relation:
            node = self._by_table.get((named.db.lower(), named.name.lower()))
            read.add(asset_key(node) if node is not None else f"{named.db or 'main'}/{named.name}")
            return self._read(node) if node is not None else of_unknown_table(f"{named.db or 'main'}/{named.name}")

        try:
            found = QueryLineage(table)
            relation = found.of(sqlglot.parse_one(sql, read=self._manifest.dialect))
        except (SqlglotError, RecursionError) as error:
            raise ConfigError(
                "dbt.sql", f"its SQL does not parse: {str(error).splitlines()[0]}", fix="see the model"
            ) from error
        return relation, found.missing, read

    def _read(self, node: Node) -> Relation:
        own = self._relations.get(str(node["unique_id"]))
        if own is not None:
            return own
        key = asset_key(node)
        return self._known.get(key) or of_unknown_table(key)

    def _owners(self, node: Node) -> tuple[str, ...]:
        meta = node.get("meta") or {}
        told = meta.get("dagster", {}).get("owners") or meta.get("owner")
        group = self._group(node.get("group"))
        owner = told or group.get("owner", {}).get("email") or group.get("owner", {}).get("name")
        return (owner,) if isinstance(owner, str) else tuple(owner or ())

    def _group(self, name: str | None) -> Mapping[str, Any]:
        groups: Iterable[Mapping[str, Any]] = self._manifest.content.get("groups", {}).values()
        return next((group for group in groups if group["name"] == name), {})

    def _read_tests(self) -> None:
        content = self._manifest.content
        for node in content.get("nodes", {}).values():
            if node["resource_type"] == "test":
                key = self._tested(node)
                if key is not None:
                    self._guards.setdefault(key, []).append(
                        Guard("dbt test", node["name"], self._columns_of(node, key))
                    )
        for test in content.get("unit_tests", {}).values():
            above = test.get("depends_on", {}).get("nodes", ())
            node = self._manifest.nodes.get(above[0]) if above else None
            if node is not None:
                self._guards.setdefault(asset_key(node), []).append(
                    Guard("dbt unit test", test["name"], self._given(test))
                )

    def _tested(self, test: Node) -> str | None:
        named = test.get("attached_node") or next(iter(test.get("depends_on", {}).get("nodes", ())), None)
        node = self._manifest.nodes.get(str(named))
        return None if node is None else asset_key(node)

    def _columns_of(self, test: Node, key: str) -> tuple[Origin, ...]:
        """The columns a test looks at, of its own table and of others."""
        kwargs = (test.get("test_metadata") or {}).get("kwargs", {})
        if not kwargs:
            return self._of_singular(test)
        own = self._manifest.nodes.get(str(test.get("attached_node")))
        found: list[Origin] = []
        if kwargs.get("column_name") and own is not None:
            found += self._named(str(kwargs["column_name"]), self._read(own))
        others = [each for each in test["depends_on"]["nodes"] if each != test.get("attached_node")]
        if kwargs.get("field") and len(others) == 1 and others[0] in self._manifest.nodes:
            found += self._named(str(kwargs["field"]), self._read(self._manifest.nodes[others[0]]))
        for setting in ("combination_of_columns", "columns"):
            for name in kwargs.get(setting) or ():
                found.append(Origin(str(name), key))
        return tuple(dict.fromkeys(found))

    def _of_singular(self, test: Node) -> tuple[Origin, ...]:
        try:
            relation = self._of_sql(self._manifest.sql(test), test)
        except DataflowError:
            return ()
        return _all_of(relation)

    def _named(self, expression: str, table: Relation) -> Sequence[Origin]:
        """The columns of ``table`` in an expression."""
        import sqlglot
        from sqlglot.errors import SqlglotError

        from dataflow_platform.engine.query_lineage import lineage_of

        try:
            tree = sqlglot.parse_one(f"SELECT {expression} FROM tested", read=self._manifest.dialect)
        except SqlglotError:
            return ()
        return _all_of(lineage_of(tree, {"tested": table}))

    def _given(self, test: Mapping[str, Any]) -> tuple[Origin, ...]:
        """The columns whose values a unit test makes up."""
        found: list[Origin] = []
        above = [self._manifest.nodes[each] for each in test["depends_on"]["nodes"] if each in self._manifest.nodes]
        tables = [above[0], *(self._manifest.nodes[each] for each in above[0].get("depends_on", {}).get("nodes", ()))]
        for given in test.get("given") or ():
            node = next((each for each in tables if f"'{each['name']}'" in str(given.get("input"))), None)
            if node is None:
                continue
            for row in given.get("rows") or ():
                found += [Origin(str(name), asset_key(node)) for name in row]
        for row in (test.get("expect") or {}).get("rows") or ():
            found += [Origin(str(name), asset_key(above[0])) for name in row]
        return tuple(dict.fromkeys(found))

    def exposures(self) -> list[Exposure]:
        """What dbt says is built on its models."""
        found = []
        for node in self._manifest.content.get("exposures", {}).values():
            above = [each for each in node["depends_on"]["nodes"] if each in self._manifest.nodes]
            owner = node.get("owner") or {}
            owners = tuple(str(each) for each in (owner.get("email") or owner.get("name"),) if each)
            found.append(Exposure(node["name"], tuple(asset_key(self._manifest.nodes[each]) for each in above), owners))
        return found


def _all_of(relation: Relation) -> tuple[Origin, ...]:
    found = [origin for sources in relation.columns.values() for origin in sources]
    return tuple(dict.fromkeys([*found, *relation.rows]))


def _table_of(node: Node) -> tuple[str, str]:
    name = node.get("identifier") or node.get("alias") or node["name"]
    return str(node.get("schema", "")).lower(), str(name).lower()
