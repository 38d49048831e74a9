"""GraphQL streams held against a schema: the query itself, and every path that looks into its answer."""

from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors.rest import template
from dataflow_platform.connectors.rest.openapi_findings import Report
from dataflow_platform.connectors.rest.openapi_graphql import GraphqlDescription
from dataflow_platform.connectors.rest.openapi_records_check import check_columns, record_of

if TYPE_CHECKING:
    from dataflow_platform.connectors.rest.spec import ConnectorSpec, ConnectorStream


def check_graphql(spec: "ConnectorSpec", schema: GraphqlDescription) -> Report:
    """What ``schema`` has against the queries of ``spec``."""
    report = Report()
    for place in ("base_url", "auth", "scopes"):
        report.silent(place, "a GraphQL schema says neither where the API is nor how it is told who asks")
    for name, stream in spec.streams.items():
        at = f"streams.{name}"
        if stream.graphql is None:
            report.silent(at, "no GraphQL query")
            continue
        complaints = schema.complaints(stream.graphql.query)
        for complaint in complaints:
            report.wrong("verify.query", complaint, f"{at}.graphql.query", "write what the schema has")
        if not complaints:
            report.right()
            _stream(report, stream, schema, at)
    return report


def _stream(report: Report, stream: "ConnectorStream", schema: GraphqlDescription, at: str) -> None:
    if stream.graphql is None:
        return
    answer = schema.answer(stream.graphql.query)
    check_columns(report, stream, record_of(report, stream, answer, at), at)
    for word in ("body_path", "has_more", "is_last", "total"):
        path = getattr(stream.paging, word, None)
        if path is not None and report.step_into(answer, path, f"{at}.paging.{word}", "verify.paging_path") is not None:
            report.right()
    if stream.delta and report.step_into(answer, stream.delta.body_path, f"{at}.delta", "verify.delta") is not None:
        report.right()
    _variables(report, stream, schema, at)


def _variables(report: Report, stream: "ConnectorStream", schema: GraphqlDescription, at: str) -> None:
    graphql = stream.graphql
    if graphql is None:
        return
    declared = schema.variables(graphql.query)
    sent: dict[str, Any] = dict(graphql.variables)
    paging = stream.paging
    names = [
        ("paging.param", getattr(paging, "param", None)),
        ("paging.size_param", getattr(paging, "size_param", None)),
    ]
    names += [("paging.limit_param", getattr(paging, "limit_param", None))]
    if stream.cursor:
        names.append(("cursor.param", stream.cursor.param))
    for word, name in names:
        if name is None:
            continue
        first, *inner = name.removeprefix("variables.").split(".")
        if not name.startswith("variables.") or first not in declared:
            known = [f"variables.{each}" for each in declared]
            report.unknown("verify.variable", f"the query has no '{name}'", f"{at}.{word}", name, known, "it has")
            continue
        sent.setdefault(first, "{value}")
        _input(report, schema, declared[first], inner, f"{at}.{word}")
    for name, value in graphql.variables.items():
        if name not in declared:
            what = f"the query declares no variable '{name}'"
            report.unknown("verify.variable", what, f"{at}.graphql.variables", name, declared, "it declares")
        elif isinstance(value, dict):
            for path in _paths(value):
                _input(report, schema, declared[name], path, f"{at}.graphql.variables.{name}")
        else:
            report.right()
    for name in declared:
        # Also where it may be null: a page's cursor that nobody gives asks for the first page for ever.
        if name not in sent:
            fix = f"give it by paging, or by graphql: {{variables: {{{name}: ...}}}}; else leave it out of the query"
            report.wrong("verify.required", f"nothing gives the query its '{name}'", f"{at}.graphql.variables", fix)


def _paths(value: dict[str, Any]) -> list[list[str]]:
    """The keys inside ``value``, each as the way to it; what a template stands for is not looked into."""
    found = []
    for name, inner in value.items():
        found.append([name])
        if isinstance(inner, dict) and not any(template.names(list(inner))):
            found += [[name, *path] for path in _paths(inner)]
    return found


def _input(report: Report, schema: GraphqlDescription, kind: str, path: list[str], at: str) -> None:
    for name in path:
        fields = schema.input_fields(kind)
        if fields is None:
            return
        if name not in fields:
            report.unknown("verify.variable", f"{kind} has no '{name}'", at, name, fields, "it has")
            return
        kind = schema.input_type(kind, name)
    report.right()
