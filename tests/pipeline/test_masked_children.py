"""A child stream reads the rows that its parent masks: nothing clear of them comes along."""

import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.planted import search
from tests.fixtures.yaml_project import INBOX, Write
from tests.pipeline.test_child_streams import ORDERS, load, write

MASKED = (
    INBOX
    + """\
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: orders
      from: {path: orders.jsonl}
      load: replace
      primary_key: id
      transform:
        - drop: [items]
        - mask: {columns: {email: redact, extra: redact}}
      children:
        order_items:
          of: items
          type: struct(sku varchar, n integer, tags varchar[])[]
          keys: [id]
          checks:
            - in_range: {column: n, min: 1, severity: warn}
"""
)


def test_what_the_parent_masks_is_not_in_quarantine_of_its_children(yaml_project: Write) -> None:
    """The child's bad row, of order 3, came with the address and the marks that the parent masks."""
    project = yaml_project(MASKED)
    write(project, [{**order, "email": f"qzplant{order['id']}@mail.example"} for order in ORDERS])
    assert load(project).success
    with DuckDB(path=str(project / "w.duckdb")).reader() as connection:
        kept = connection.execute("SELECT row_values, source_values FROM shop._dataflow_quarantine").fetchall()
    assert kept == [('{"id":3,"position":1,"sku":"a","n":0,"tags":[]}', "{}")]
    assert search(project, leave_out=(project / "inbox",)) == {}


@pytest.mark.parametrize("wrong", ["keys: [id, email]", "of: extra.marks"])
def test_a_child_does_not_take_in_clear_what_its_parent_masks(yaml_project: Write, wrong: str) -> None:
    project = yaml_project(MASKED.replace("keys: [id]" if "keys" in wrong else "of: items", wrong))
    write(project, ORDERS)
    assert [each.code for each in load_folder(project / "defs").built.problems] == ["children.unmasked"]
