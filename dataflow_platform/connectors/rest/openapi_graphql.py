"""A GraphQL schema, as SDL or as the answer to the introspection query, and what a query against it answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors.rest.openapi_shape import Schema, Shape
from dataflow_platform.core.errors import ConfigError

if TYPE_CHECKING:
    from graphql import GraphQLNamedType, GraphQLSchema, SelectionSetNode

_SCALARS = {"Int": "integer", "Float": "number", "Boolean": "boolean"}
_DEPTH = 40


class GraphqlDescription:
    """A GraphQL schema to hold queries against."""

    def __init__(self, schema: "GraphQLSchema", name: str) -> None:
        self._schema = schema
        self.name = name
        self.title = name
        self.version = ""

    def complaints(self, query: str) -> list[str]:
        """What the schema has against ``query``, a sentence each; they name the nearest valid name."""
        from graphql import GraphQLError, parse, validate

        try:
            return [error.message for error in validate(self._schema, parse(query, no_location=True))]
        except GraphQLError as error:
            return [error.message]

    def variables(self, query: str) -> dict[str, str]:
        """The variables ``query`` declares, with their types as written."""
        from graphql import OperationDefinitionNode, parse, print_ast

        return {
            variable.variable.name.value: print_ast(variable.type)
            for definition in parse(query, no_location=True).definitions
            if isinstance(definition, OperationDefinitionNode)
            for variable in definition.variable_definitions
        }

    def input_fields(self, type_text: str) -> frozenset[str] | None:
        """The fields of the input type ``type_text`` (``IssueFilter!``); None where it has none."""
        from graphql import GraphQLInputObjectType

        found = self._schema.get_type(type_text.strip("[]!"))
        return frozenset(found.fields) if isinstance(found, GraphQLInputObjectType) else None

    def input_type(self, type_text: str, name: str) -> str:
        """The type of field ``name`` of an input type, as written."""
        from graphql import GraphQLInputObjectType

        found = self._schema.get_type(type_text.strip("[]!"))
        return str(found.fields[name].type) if isinstance(found, GraphQLInputObjectType) else ""

    def answer(self, query: str) -> Shape:
        """The body that answers ``query``: what was selected below ``data``. The query has to be valid."""
        from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse

        document = parse(query, no_location=True)
        fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
        operation = next(each for each in document.definitions if isinstance(each, OperationDefinitionNode))
        root = self._schema.get_root_type(operation.operation)
        if root is None:
            return Shape([], lambda reference: None)
        data = self._selected(root, operation.selection_set, fragments, 0)
        return Shape([{"type": "object", "properties": {"data": data}}], lambda reference: None)

    def _selected(
        self, of: "GraphQLNamedType", chosen: "SelectionSetNode", fragments: Mapping[str, Any], depth: int
    ) -> Schema:
        from graphql import FieldNode, FragmentSpreadNode, get_named_type

        properties: dict[str, Any] = {}
        if depth > _DEPTH:
            return {}
        for selection in chosen.selections:
            if isinstance(selection, FieldNode):
                name = selection.name.value
                answered = (selection.alias or selection.name).value
                found = getattr(of, "fields", {}).get(name)
                if found is None:  # __typename and its like
                    properties[answered] = {"type": "string"}
                    continue
                inner: Schema = {"type": _SCALARS.get(get_named_type(found.type).name, "string")}
                if selection.selection_set:
                    inner = self._selected(get_named_type(found.type), selection.selection_set, fragments, depth + 1)
                properties[answered] = _listed(found.type, inner)
            else:
                spread = isinstance(selection, FragmentSpreadNode)
                part: Any = fragments[selection.name.value] if isinstance(selection, FragmentSpreadNode) else selection
                condition = part.type_condition
                narrowed = self._schema.get_type(condition.name.value) if condition else None
                told = self._selected(narrowed or of, part.selection_set, fragments, depth + 1 + spread)
                properties.update(told.get("properties", {}))
        return {"type": "object", "properties": properties}


def _listed(of: Any, inner: Schema) -> Schema:
    from graphql import is_list_type, is_non_null_type

    if is_non_null_type(of):
        return _listed(of.of_type, inner)
    return {"type": "array", "items": _listed(of.of_type, inner)} if is_list_type(of) else inner


def of_text(text: str, name: str) -> GraphqlDescription:
    """The schema in an SDL text; ConfigError ``openapi.unreadable`` where it is none."""
    from graphql import GraphQLError, build_schema

    try:
        return GraphqlDescription(build_schema(text, assume_valid=True, no_location=True), name)
    except (GraphQLError, TypeError) as error:
        raise _unreadable(name, str(error).splitlines()[0]) from error


def of_introspection(answer: Mapping[str, Any], name: str) -> GraphqlDescription:
    """The schema in the answer to an introspection query, with or without ``data`` around it."""
    from graphql import GraphQLError, build_client_schema

    inner = answer.get("data", answer)
    try:
        return GraphqlDescription(build_client_schema(inner, assume_valid=True), name)
    except (GraphQLError, TypeError, KeyError) as error:
        raise _unreadable(name, str(error).splitlines()[0]) from error


def _unreadable(name: str, why: str) -> ConfigError:
    return ConfigError(
        "openapi.unreadable",
        f"'{name}' is no GraphQL schema: {why}",
        fix="give the schema as SDL (`type Query { ... }`) or as the answer to an introspection query",
    )
