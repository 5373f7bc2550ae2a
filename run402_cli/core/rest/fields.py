"""Fields of the rows of one level, and the filters on them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from run402_cli.core.rest.casts import cast_type
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.forms import PLAIN, Form, Forms
from run402_cli.core.rest.nodes import Field, Filter
from run402_cli.core.rest.statement import Parameters, Source, raw

_COMPARISONS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "LIKE",
    "ilike": "ILIKE",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
    "isdistinct": "IS DISTINCT FROM",
}
_TEXT_SEARCH = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
_SYSTEM = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
IS = {"null": "NULL", "not_null": "NOT NULL", "true": "TRUE", "false": "FALSE", "unknown": "UNKNOWN"}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of `source` under the name `alias`."""

    source: Source
    alias: str
    parameters: Parameters
    schema: str

    def whole(self) -> Composable:
        """A row with its type, which tells overloads of a function apart also where it comes from a write or a call."""
        row, relation = Identifier(self.alias), self.source.relation
        return SQL("{}::{}").format(row, Identifier(self.schema, relation.name)) if relation is not None else row

    def _named(self, name: str) -> Composable:
        """A column, or a function of the row that is one of the project's schema and of no other on the path."""
        relation = self.source.relation
        if relation is None or name in relation.columns or name in _SYSTEM:
            return Identifier(self.alias, name)
        if name in relation.functions:
            return SQL("{}({})").format(Identifier(self.schema, name), self.whole())
        raise RestError(400, "42703", f"column {self.alias}.{name} does not exist")

    def field(self, field: Field) -> Composable:
        value = self._named(field.name)
        if not field.steps:
            return value
        relation = self.source.relation
        info = relation.columns.get(field.name) if relation else None
        # The types of what functions give are not known here.
        if info is None or not info.is_json:
            value = SQL("to_jsonb({})").format(value)
        for step in field.steps:
            arrow = SQL("->>") if step.as_text else SQL("->")
            key = raw(str(step.key)) if isinstance(step.key, int) else self._text(step.key)
            value = SQL("({} {} {})").format(value, arrow, key)
        return value

    def shown(self, field: Field) -> Composable:
        """The field as an answer shows it."""
        value, form = self.field(field), self._forms(field).shown
        return form.of(value) if form is not None else value

    def formed(self, field: Field) -> bool:
        return self._forms(field).shown is not None

    def _forms(self, field: Field) -> Forms:
        """A value inside of a column is no value of the column's domain."""
        relation = self.source.relation
        return relation.forms(field.name) if relation is not None and not field.steps else PLAIN

    def _text(self, value: str) -> Composable:
        return SQL("{}::text").format(self.parameters.add(value))

    def comparison(self, condition: Filter) -> Composable:
        field, op = self.field(condition.field), condition.op
        if op == "is":
            return SQL("{} IS {}").format(field, raw(IS[str(condition.value)]))
        form = self._forms(condition.field).compared
        if op == "in":
            values = self.parameters.add_of(condition)
            return SQL("{} = ANY ({})").format(field, values if form is None else _each(form, values))
        if op in _TEXT_SEARCH:
            return self._text_search(condition, field)
        if op in ("like", "ilike"):
            # A pattern is no value of a domain.
            form = None
        operator = raw(_COMPARISONS[op])
        wanted: Composable = self.parameters.add_of(condition)
        if condition.modifier:
            wanted = wanted if form is None else _each(form, wanted)
            return SQL("{} {} {} ({})").format(field, operator, raw(condition.modifier.upper()), wanted)
        return SQL("{} {} {}").format(field, operator, wanted if form is None else form.of(wanted))

    def _text_search(self, condition: Filter, field: Composable) -> Composable:
        add = self.parameters.add
        relation = self.source.relation
        info = relation.columns.get(condition.field.name) if relation else None
        if condition.field.steps:
            searchable = condition.field.steps[-1].as_text
        else:
            searchable = info is not None and info.is_searchable
        language = condition.language
        if searchable:
            given = [SQL("{}::regconfig").format(add(language))] if language else []
            field = SQL("to_tsvector({})").format(SQL(", ").join([*given, field]))
        given = [SQL("{}::regconfig").format(add(language))] if language else []
        wanted = SQL(", ").join([*given, self.parameters.add_of(condition)])
        return SQL("{} @@ {}({})").format(field, raw(_TEXT_SEARCH[condition.op]), wanted)


def _each(form: Form, values: Composable) -> Composable:
    """An array of texts as an array of what the form makes of each."""
    made = form.of(SQL("pgrst_v"))
    return SQL("ARRAY(SELECT {} FROM unnest({}::text[]) AS pgrst_v)").format(made, values)


def cast(value: Composable, type_name: str | None) -> Composable:
    if type_name is None:
        return value
    return SQL("CAST({} AS {})").format(value, raw(cast_type(type_name)))
