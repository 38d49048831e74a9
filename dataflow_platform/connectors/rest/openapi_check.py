"""A connector held against its vendor's description, without a server: every name and place it states."""

from typing import TYPE_CHECKING

from dataflow_platform.connectors.rest import template, value_path
from dataflow_platform.connectors.rest.openapi import Description, Operation
from dataflow_platform.connectors.rest.openapi_auth_check import check_auths, check_scope, sent_by
from dataflow_platform.connectors.rest.openapi_findings import Report
from dataflow_platform.connectors.rest.openapi_graphql import GraphqlDescription
from dataflow_platform.connectors.rest.openapi_graphql_check import check_graphql
from dataflow_platform.connectors.rest.openapi_place import address, joined, locate, same_host, told_hosts
from dataflow_platform.connectors.rest.openapi_records_check import check_columns, record_of
from dataflow_platform.connectors.rest.openapi_request_check import RequestCheck
from dataflow_platform.connectors.rest.openapi_shape import Shape

if TYPE_CHECKING:
    from dataflow_platform.connectors.rest.spec import ConnectorSpec, ConnectorStream

_IN_ANSWER = (
    ("body_path", "verify.paging_path"),
    ("has_more", "verify.paging_end"),
    ("is_last", "verify.paging_end"),
    ("total", "verify.paging_end"),
    ("pages", "verify.paging_end"),
)
_PLAIN = frozenset({"verify.paging_path", "verify.paging_end", "verify.delta"})


def verify(spec: "ConnectorSpec", description: Description | GraphqlDescription) -> Report:
    """What ``description`` has against ``spec``, and what it does not say. Nothing is asked over a network."""
    report = (
        check_graphql(spec, description)
        if isinstance(description, GraphqlDescription)
        else _Verification(spec, description).run()
    )
    _unclaimed(spec, report)
    return report


def _unclaimed(spec: "ConnectorSpec", report: Report) -> None:
    """A stream that is labelled unverified claims nothing: what differs is told, and is no contradiction."""
    places = [
        f"streams.{name}" for name, each in spec.streams.items() if each.source and each.source.label == "unverified"
    ]
    for finding in list(report.findings):
        if any(finding.at == place or finding.at.startswith(f"{place}.") for place in places):
            report.findings.remove(finding)
            report.silent(finding.at, f"differs from the document, and is labelled unverified: {finding.what}")


class _Verification:
    def __init__(self, spec: "ConnectorSpec", description: Description) -> None:
        self.spec = spec
        self.description = description
        self.report = Report()
        self.records: dict[str, list[Shape]] = {}
        self.used: dict[str, Operation] = {}

    def run(self) -> Report:
        for name, stream in self.spec.streams.items():
            if stream.graphql:
                self.report.silent(f"streams.{name}", "a GraphQL query is held against a GraphQL schema")
            else:
                self._stream(name, stream)
        for name, stream in self.spec.streams.items():
            self._parent(name, stream)
        check_auths(self.report, self.spec.auths, self.description, self.used.values())
        check_scope(self.report, self.spec.scopes, self.description, None, "scopes")
        self._hosts()
        return self.report

    def _defaults(self, stream: "ConnectorStream") -> dict[str, str]:
        known = {**self.spec.variables, **stream.variables}
        return {name: template.as_text(each.default) for name, each in known.items() if each.default is not None}

    def _operation(self, name: str, stream: "ConnectorStream", method: str, path: str, at: str) -> Operation | None:
        url = joined(self.spec.base_url, path)
        found = locate(self.description, method, url, self._defaults(stream))
        if found.operation is not None:
            self.report.right()
            for part in found.free:
                self.report.silent(f"{at}.path", f"the document leaves '{part}' of the path to the caller")
            if found.operation.deprecated:
                self.report.silent(f"{at}.path", "the document calls the operation deprecated")
            self.used.setdefault(name, found.operation)
        elif found.methods:
            what = f"{path} takes {', '.join(found.methods)}, not {method}"
            self.report.wrong("verify.method", what, f"{at}.method", f"set method: {found.methods[0]}")
        else:
            fix = f"did you mean '{found.nearest}'?" if found.nearest else "see the paths of the document"
            self.report.wrong("verify.path", f"the document has no {method} {url}", f"{at}.path", fix)
        return found.operation

    def _stream(self, name: str, stream: "ConnectorStream") -> None:
        at = f"streams.{name}"
        operation = self._operation(name, stream, stream.verb, stream.path, at)
        if operation is None:
            return
        check_scope(self.report, stream.scope, self.description, operation, f"{at}.scope")
        auths = [sent for auth in self.spec.auths for sent in sent_by(auth)]
        logs_in = any(auth.type != "none" for auth in self.spec.auths)
        RequestCheck(self.report, operation, stream, at).run(self.spec.headers, auths, logs_in)
        if stream.job:
            self._job(name, stream)
            return
        if stream.format not in ("json", "jsonl"):
            self.report.silent(f"{at}.records", f"the document does not say what is in an answer of {stream.format}")
            return
        self.records[name] = record_of(self.report, stream, operation.answer, at)
        check_columns(self.report, stream, self.records[name], at)
        self._answer(stream, operation, at)

    def _answer(self, stream: "ConnectorStream", operation: Operation, at: str) -> None:
        places = [(f"paging.{word}", getattr(stream.paging, word, None), code) for word, code in _IN_ANSWER]
        if stream.delta:
            places.append(("delta.body_path", stream.delta.body_path, "verify.delta"))
        if stream.deleted:
            places.append(("deleted.records", stream.deleted.records, "verify.deleted"))
        for word, path, code in places:
            if path is not None:
                self._in_answer(stream, operation, path, f"{at}.{word}", code)
        if stream.paging.type == "next_link" and stream.paging.body_path is None:
            self._in_answer(stream, operation, "header:Link", f"{at}.paging", "verify.paging_path")
        if stream.deleted and stream.deleted.field:
            for record in self.records[at.removeprefix("streams.")]:
                if self.report.step_into(record, stream.deleted.field, f"{at}.deleted.field", "verify.deleted"):
                    self.report.right()

    def _in_answer(self, stream: "ConnectorStream", operation: Operation, path: str, at: str, code: str) -> None:
        if path.startswith("header:"):
            if path.removeprefix("header:").lower() in operation.answer_headers:
                self.report.right()
            else:
                self.report.silent(at, f"the document does not tell the header {path.removeprefix('header:')}")
            return
        if operation.answer is None:
            self.report.silent(at, "the document shows no answer")
            return
        if (
            not _beside(operation.answer, stream)
            and operation.answer.names
            and Report().step_into(operation.answer, path, at, code) is None
        ):
            self.report.silent(at, f"the document shows nothing but the records ('{path}')")
            return
        shape = self.report.step_into(operation.answer, path, at, code)
        if shape is None:
            return
        if code in _PLAIN and (shape.names or shape.items is not None):
            self.report.wrong(code, f"'{path}' is no plain value", at, "name the value inside it")
        else:
            self.report.right()

    def _job(self, name: str, stream: "ConnectorStream") -> None:
        job = stream.job
        if job is None:
            return
        at = f"streams.{name}.job"
        poll = None
        if not job.poll.path.startswith("{job."):
            poll = self._operation(name, stream, job.poll.method, job.poll.path, f"{at}.poll")
        if poll is not None:
            self._in_answer(stream, poll, job.status, f"{at}.status", "verify.job")
        if job.result is not None and not job.result.startswith("{job."):
            self._operation(name, stream, "GET", job.result, f"{at}.result")

    def _parent(self, name: str, stream: "ConnectorStream") -> None:
        parent = stream.parent
        if parent is None or parent.stream is None:
            return
        holder = self.spec.streams[parent.stream]
        for word, paths in (("values", parent.values), ("columns", parent.columns), ("where", parent.where)):
            wanted = paths.values() if word != "where" else paths
            for path in wanted:
                at = f"streams.{name}.parent.{word}"
                if str(path).partition(".")[0] in holder.fields:
                    self.report.right()
                    continue
                for record in self.records.get(parent.stream, []):
                    if self.report.step_into(record, str(path), at, "verify.parent") is not None:
                        self.report.right()

    def _hosts(self) -> None:
        servers = [server for operation in self.used.values() for server in operation.servers]
        servers = servers or [server for _, _, told in self.description.keys for server in told]
        hosts = told_hosts(servers)
        ours = address(self.spec.base_url).host
        defaults = {
            name: template.as_text(v.default) for name, v in self.spec.variables.items() if v.default is not None
        }
        if not hosts:
            self.report.silent("base_url", f"the document does not say where the API is ('{ours}')")
        elif any(same_host(ours, host, defaults) for host in hosts):
            self.report.right()
        else:
            what = f"the API is not at '{ours}'"
            self.report.unknown("verify.host", what, "base_url", ours, hosts, "the document says")


def _beside(answer: Shape, stream: "ConnectorStream") -> set[str]:
    """What the answer has beside the records, on the way to them."""
    found: set[str] = set()
    for path in stream.records.paths:
        shape: Shape | None = answer
        for step in value_path.steps(path):
            if shape is None or not isinstance(step, str):
                break
            found |= shape.names - {step}
            shape = shape.field(step)
    return found
