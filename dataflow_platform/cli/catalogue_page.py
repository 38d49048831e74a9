"""The pages about connectors that are YAML files: how one is written, and those that are shipped."""

import json
from collections.abc import Iterator
from typing import Any

from dataflow_platform.core import registry

CATALOG_MODULE = "dataflow_platform.connectors.catalog."

_EXAMPLE = """\
```yaml
# connectors/shop.yaml: the project has a connector `shop`
# yaml-language-server: $schema=../docs/connector.schema.json
title: Shop
docs: https://shop.example.com/docs
source: {label: unverified, checked: 2026-11-22, source: https://shop.example.com/docs}
variables:
  account: {description: Name of the account}
  api_key: {description: Key of the account, secret: true}
base_url: https://{account}.shop.example.com/v1
auth: {type: header, name: X-Key, key: "{api_key}"}
rate: {requests: 100, per_seconds: 60}
defaults:
  records: data
  primary_key: id
  paging: {type: last_id, param: after, has_more: more}
streams:
  orders:
    path: orders
    description: What was bought.
    cursor: {field: changed, param: since, format: iso}
    columns: {changed: TIMESTAMPTZ}
  lines:
    path: orders/{order}/lines
    parent: {stream: orders, values: {order: id}, columns: {order_id: id}}
    primary_key: [order_id, line]
```

```yaml
# defs.yaml
type: dataflow_platform.Connections
attributes:
  connections:
    shop: {type: shop, account: my-shop, api_key: "{{ env.SHOP_KEY }}"}
---
type: dataflow_platform.Pipeline
attributes:
  name: sales
  source: shop
  streams:
    - {name: orders, load: merge}
    - {name: order_lines, from: {stream: lines}, load: merge}
```
"""


def shipped() -> list[str]:
    """The names of the connectors in the catalogue."""
    return [name for name, module in sorted(registry.modules("connectors").items())
            if module.startswith(CATALOG_MODULE)]  # fmt: skip


def connector_schema() -> str:
    """The JSON schema of a connector's file, for completion and checking in an editor."""
    from dataflow_platform.connectors.rest.spec import ConnectorSpec

    schema = ConnectorSpec.model_json_schema()
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A connector to an API"}
    stream = schema["$defs"]["ConnectorStream"]
    fields = next(each["properties"] for each in (stream, *stream.get("anyOf", ())) if "properties" in each)
    # A stream is checked with the defaults in it; in the file it may leave out what they say.
    whole["properties"]["defaults"] = {
        "type": "object", "description": schema["properties"]["defaults"]["description"],
        "properties": fields,
    }  # fmt: skip
    return json.dumps(whole, indent=2, sort_keys=True) + "\n"


def rest_sections() -> Iterator[str]:
    """docs/rest_connectors.md, below its title."""
    from dataflow_platform.cli.reference import model_section
    from dataflow_platform.connectors.rest.spec import ConnectorSpec

    yield _EXAMPLE
    yield (
        "Paths of values: `data.items`; `[1]` an item by its place; `list[].customer` each item; "
        '`link[relation=next].url` the item whose field has that text; `a."b.c"` a key with a dot; `$` the whole. '
        "Names in braces stand for variables, values of a parent, `{cursor}` and `{cursor_end}`; a parameter that "
        "names what is not there is left out.\n"
    )
    yield "## Fields\n"
    yield model_section(ConnectorSpec, 3)


def catalogue_sections() -> Iterator[str]:
    """docs/catalogue.md, below its title."""
    yield "| connector | product | category | streams | facts |\n|---|---|---|---|---|"
    found = {name: registry.source(name) for name in shipped()}
    for name, kind in found.items():
        spec: Any = kind.spec  # type: ignore[attr-defined]
        yield f"| [{name}](#{name}) | {spec.title} | {spec.category} | {len(spec.streams)} | {spec.source.label} |"
    yield (
        "\n`contract`: held against the vendor's machine-readable description by a program; no server was reached. "
        "`unverified`: held against nothing, and never tried; the vendor's page to compare it with is named, and a "
        "note says how it was written.\n"
    )
    for name, kind in found.items():
        yield from connector_sections(name, kind)


def connector_sections(name: str, kind: Any) -> Iterator[str]:
    """What a reader wants to know of one connector: where its facts are from, what to set, what can be read."""
    from dataflow_platform.cli.reference import field_table
    from dataflow_platform.connectors.rest.declared import DeclaredApi
    from dataflow_platform.connectors.rest.openapi_evidence import written

    spec = kind.spec
    yield f"## {name}\n"
    yield f"{spec.description or spec.title}\n"
    noted = f"; {spec.source.note}" if spec.source.note else ""
    yield f"- documentation: {spec.docs}"
    yield f"- facts: {spec.source.label}, {spec.source.source}, {spec.source.checked}{noted}"
    if (evidence := written().get(name)) is not None and spec.source.label == "contract":
        yield f"- held against `{evidence.description}`: {evidence.held} facts hold, none is contradicted"
        if evidence.unsaid:
            yield f"- not told by it: {', '.join(f'`{place}`' for place in evidence.unsaid)}"
    if spec.scopes:
        yield f"- least rights: {spec.scopes}"
    secrets = ", ".join(f"`{field}`" for field in sorted(kind.secret_fields))
    if secrets:
        yield f"- secrets, accepted only as `{{{{ env.NAME }}}}`: {secrets}"
    yield f"- logs in by: {', or '.join(way.type for way in spec.auths)}\n"
    if spec.variables:
        yield field_table(kind, DeclaredApi)
    yield "| stream | path | key | cursor | rows |\n|---|---|---|---|---|"
    for stream, said in spec.streams.items():
        cursor = said.cursor.field if said.cursor and said.cursor.field else ""
        about = f"{said.description} " + (f"([documentation]({said.docs}))" if said.docs else "")
        if said.source and said.source.label != spec.source.label:
            about += f" {said.source.label}: {said.source.source}"
        cells = (stream, f"`{said.verb} {said.path}`", ", ".join(said.primary_key), cursor, about.strip())
        yield "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
    yield ""
