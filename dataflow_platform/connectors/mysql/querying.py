"""A query as a stream: the server prepares it, which tells its columns, and never runs it to learn them.

What comes unchanged from a table has the type the table's catalogue declares (labels of an enum, json, uuid); what is
computed has the type of the prepared statement.
"""

from contextlib import closing
from typing import Any

from dataflow_platform.connectors.mysql.catalogue import table_definition
from dataflow_platform.connectors.mysql.columns import COLUMNS, SourceColumn, source_column
from dataflow_platform.connectors.mysql.connection import Ask, MySQLConnection
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.server_filter import find
from dataflow_platform.core.table_or_query import as_table, not_one_select, not_understood, refuse_repeated

_SYNTAX, _READ_ONLY = 1064, 1792
# Of a table these mean that it was altered meanwhile; of a query, that it names what is not there.
_UNKNOWN = (1054, 1146)
# The protocol's numbers of types, flags and of the character set that stands for bytes.
_KINDS = {
    0: "decimal", 1: "tinyint", 2: "smallint", 3: "int", 4: "float", 5: "double", 7: "timestamp", 8: "bigint",
    9: "mediumint", 10: "date", 11: "time", 12: "datetime", 13: "year", 16: "bit", 245: "json", 246: "decimal",
    255: "geometry",
}  # fmt: skip
_UNSIGNED, _BYTES = 32, 63


def query_columns(server: MySQLConnection, ask: Ask, query: str, as_text: tuple[str, ...]) -> list[SourceColumn]:
    """The columns of ``query``, in their order.

    ConfigError ``query.refused`` for anything but one SELECT, ``query.failed`` for what the server does not
    understand, ``query.columns`` for two columns of one name.
    """
    import pymysql

    alone = False
    try:
        with closing(server.connect()) as connection:
            # Alone at first: what is one statement alone cannot end the subselect and go on behind it.
            origins, parameters = _prepared(connection, query)
            alone = True
            refuse_repeated([origin.name for origin in origins], server.where())
            results, _ = _prepared(connection, f"SELECT * FROM {as_table(query)}")
    except pymysql.Error as error:
        raise _explained(server, error, alone) from None
    if parameters:
        raise not_understood("it holds a ?, which stands for a value nobody gives", server.where())
    columns = []
    for position, (origin, result) in enumerate(zip(origins, results, strict=True)):
        row, definition = _declared(ask, origin, result)
        columns.append(source_column(row, position, as_text, definition, server.where()))
    for name in as_text:
        find(columns, name, server.where())
    return columns


def _prepared(connection: Any, statement: str) -> tuple[list[Any], int]:
    """The columns of one prepared statement as the protocol describes them, and how many parameters it has.

    The driver has no call for it.
    """
    from pymysql.constants import COMMAND
    from pymysql.protocol import FieldDescriptorPacket

    connection._execute_command(COMMAND.COM_STMT_PREPARE, statement)
    told = connection._read_packet()
    told.advance(5)  # the status and the statement's number
    columns, parameters = told.read_uint16(), told.read_uint16()
    for _ in range(parameters + 1 if parameters else 0):
        connection._read_packet()
    fields = [connection._read_packet(FieldDescriptorPacket) for _ in range(columns)]
    if columns:
        connection._read_packet()
    return fields, parameters


def _declared(ask: Ask, origin: Any, result: Any) -> tuple[tuple[Any, ...], str]:
    """A column as ``COLUMNS`` has it (from the third field on), and the definition of its table."""
    database = origin.db.decode() if isinstance(origin.db, bytes) else str(origin.db)
    place = (database, origin.org_table)
    if all(place) and origin.org_name and origin.type_code == result.type_code:
        for row in ask(COLUMNS, *place):
            if (row[0], row[1], row[2]) == (*place, origin.org_name):
                definition = table_definition(ask, *place) if row[3] == "longtext" else ""
                return (result.name, *row[3:]), definition.replace(f"(`{origin.org_name}`)", f"(`{result.name}`)")
    return (result.name, *_computed(result)), ""


def _computed(field: Any) -> tuple[Any, ...]:
    """Type, declaration, precision, scale, collation and right of a column no table declares."""
    kind = _KINDS.get(field.type_code) or ("longblob" if field.charsetnr == _BYTES else "longtext")
    unsigned = bool(field.flags & _UNSIGNED)
    declared = f"bit({field.length})" if kind == "bit" else kind + (" unsigned" if unsigned else "")
    digits = field.length - bool(field.scale) - (not unsigned)
    # Whatever its collation, text is asked for as text.
    return kind, declared, digits, field.scale, "_bin" if kind == "longtext" else None, True


def _explained(server: MySQLConnection, error: Any, alone: bool) -> DataflowError:
    number = error.args[0] if error.args else None
    words = server.scrubbed(str(error.args[1] if len(error.args) > 1 else error))[:300]
    if number == _READ_ONLY or (number == _SYNTAX and alone):
        return not_one_select(words, server.where())
    known = None if number in _UNKNOWN else server.meant(error)
    return known or not_understood(words, server.where())
