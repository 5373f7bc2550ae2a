"""What migration SQL creates, renames and drops, read from its text. Nothing is executed.

Pure. What cannot be told (DO blocks, CREATE TABLE AS, a changed search_path) is remembered in `Schema.doubts`
so that a missing name becomes a warning instead of a wrong error. See docs/expose.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from run402_cli.core.expose.signatures import Signature, arguments, type_name
from run402_cli.core.sql.lexer import SqlTextError, Token, each_statement, in_parens, split_commas


@dataclass(slots=True)
class Relation:
    """A table or a view; `columns` maps names to types, and `open` means that there may be more than those."""

    kind: Literal["table", "view"]
    columns: dict[str, str] = field(default_factory=dict)
    open: bool = False


@dataclass(slots=True)
class Schema:
    """The names that a manifest may refer to. `doubts`: reasons why there may be more than these."""

    relations: dict[str, Relation] = field(default_factory=dict)
    functions: dict[str, list[Signature]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def add_function(self, name: str, signature: Signature) -> None:
        others = [known for known in self.functions.get(name, []) if known.types != signature.types]
        self.functions[name] = [*others, signature]


_CONSTRAINT = ("constraint", "primary", "unique", "check", "foreign", "exclude")
_AFTER_TYPE = (
    *("constraint", "not", "null", "default", "primary", "unique", "references", "check", "generated", "collate"),
    *("storage", "compression", "deferrable", "initially", "using", "as", "options"),
)


class _Reader:
    """Walks one statement; `take`/`skip` advance over words that may or may not be there."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def rest(self) -> Sequence[Token]:
        return self.tokens[self.at :]

    def peek(self, offset: int = 0) -> Token | None:
        index = self.at + offset
        return self.tokens[index] if index < len(self.tokens) else None

    def skip(self, *words: str) -> bool:
        """Advance over the whole sequence of words, or not at all."""
        for offset, word in enumerate(words):
            token = self.peek(offset)
            if token is None or not token.is_word(word):
                return False
        self.at += len(words)
        return True

    def skip_any(self, *words: str) -> str | None:
        token = self.peek()
        if token is not None and token.is_word(*words):
            self.at += 1
            return token.text
        return None

    def name(self) -> tuple[str | None, str]:
        """`[schema.]name`."""
        parts = [self._identifier()]
        while (dot := self.peek()) is not None and dot.is_punct("."):
            self.at += 1
            parts.append(self._identifier())
        return (parts[-2] if len(parts) > 1 else None), parts[-1]

    def _identifier(self) -> str:
        token = self.peek()
        if token is None or not token.is_name:
            raise SqlTextError("a name is missing")
        self.at += 1
        return token.text

    def parenthesized(self) -> list[Token] | None:
        token = self.peek()
        if token is None or not token.is_punct("("):
            return None
        inside, self.at = in_parens(self.tokens, self.at)
        return inside


def read_migrations(sql: str, schema: Schema, *, own_schema: str | None = None) -> None:
    """Apply the statements of `sql` to `schema`; names qualified with a schema other than `own_schema` are passed over."""
    try:
        found = list(each_statement(sql, repeats=False))
    except SqlTextError as exc:
        schema.doubts.append(f"the migration SQL could not be read to its end: {exc}")
        return
    for tokens in found:
        try:
            _read_statement(_Reader(tokens), schema, own_schema)
        except SqlTextError as exc:
            schema.doubts.append(f"a statement that begins `{_beginning(tokens)}` could not be read: {exc}")


def _beginning(tokens: Sequence[Token]) -> str:
    return " ".join(token.text.upper() if token.kind == "word" else token.text for token in tokens[:4])[:60]


def _read_statement(reader: _Reader, schema: Schema, own: str | None) -> None:
    verb = reader.skip_any("create", "alter", "drop", "do", "call", "select", "with", "set", "import", "execute")
    if verb == "create":
        _create(reader, schema, own)
    elif verb == "alter":
        if reader.skip("table"):
            _alter_table(reader, schema, own)
        else:
            _rename_other(reader, schema, own)
    elif verb == "drop":
        _drop(reader, schema, own)
    elif verb in ("do", "call", "import", "execute"):
        schema.doubts.append(f"{verb.upper()} may create or change objects")
    elif verb in ("select", "with") and any(token.is_word("into") for token in reader.rest):
        schema.doubts.append("SELECT ... INTO may create a table")
    elif verb == "set" and any(token.is_word("search_path", "schema") for token in reader.rest):
        schema.doubts.append("SET search_path changes where objects are created")


def _create(reader: _Reader, schema: Schema, own: str | None) -> None:
    reader.skip("or", "replace")
    temporary = False
    while word := reader.skip_any("global", "local", "temp", "temporary", "unlogged", "recursive", "foreign"):
        temporary = temporary or word in ("temp", "temporary")
    materialized = reader.skip("materialized")
    kind = reader.skip_any("table", "view", "function", "procedure", "extension", "schema")
    if kind == "extension":
        schema.doubts.append("CREATE EXTENSION brings objects of its own")
    elif kind == "schema":
        schema.doubts.append("CREATE SCHEMA may contain further CREATE statements")
    elif kind in ("function", "procedure"):
        where, name = reader.name()
        inside = reader.parenthesized()
        if inside is None:
            raise SqlTextError(f"the argument list of {name} is missing")
        if where in (None, own):
            schema.add_function(name, arguments(inside))
    elif kind in ("table", "view"):
        fresh = not reader.skip("if", "not", "exists")
        where, name = reader.name()
        if where not in (None, own) or temporary or (not fresh and name in schema.relations):
            return
        view = kind == "view" or materialized
        schema.relations[name] = _view(reader) if view else _table(reader)


def _view(reader: _Reader) -> Relation:
    inside = reader.parenthesized()
    if inside is None:
        return Relation("view", {}, open=True)
    return Relation("view", {token.text: "" for token in inside if token.is_name})


def _table(reader: _Reader) -> Relation:
    table = Relation("table")
    inside = reader.parenthesized()
    if inside is None:
        table.open = True
        return table
    for item in split_commas(inside):
        if item[0].is_word("like"):
            table.open = True
        elif not item[0].is_word(*_CONSTRAINT):
            _add_column(table, item)
    if any(token.is_word("as", "inherits") for token in reader.rest):
        table.open = True
    return table


def _add_column(table: Relation, tokens: Sequence[Token]) -> None:
    if not tokens or not tokens[0].is_name:
        raise SqlTextError("a column name is missing")
    end = next((i for i, t in enumerate(tokens) if i > 0 and t.is_word(*_AFTER_TYPE)), len(tokens))
    table.columns[tokens[0].text] = type_name(tokens[1:end])


def _alter_table(reader: _Reader, schema: Schema, own: str | None) -> None:
    reader.skip("if", "exists")
    reader.skip("only")
    where, name = reader.name()
    table = schema.relations.get(name)
    if where not in (None, own) or table is None:
        return
    if (star := reader.peek()) is not None and star.is_punct("*"):
        reader.at += 1
    for action in split_commas(reader.rest):
        _alter_action(_Reader(action), schema, name, table)


def _alter_action(reader: _Reader, schema: Schema, name: str, table: Relation) -> None:
    verb = reader.skip_any("add", "drop", "rename", "alter", "set", "inherit", "of")
    if verb == "set" and reader.skip("schema"):
        schema.relations.pop(name, None)
    elif verb in ("inherit", "of"):
        table.open = True
    elif verb == "rename":
        _rename(reader, schema, name, table)
    elif verb in ("add", "drop", "alter"):
        token = reader.peek()
        if token is not None and token.is_word(*_CONSTRAINT):
            return
        reader.skip("column")
        reader.skip("if", "not", "exists") or reader.skip("if", "exists")
        if verb == "add":
            _add_column(table, reader.rest)
            return
        _, column = reader.name()
        if verb == "drop":
            table.columns.pop(column, None)
        elif reader.skip("type") or reader.skip("set", "data", "type"):
            end = next((i for i, t in enumerate(reader.rest) if t.is_word(*_AFTER_TYPE)), len(reader.rest))
            table.columns[column] = type_name(reader.rest[:end])


def _rename(reader: _Reader, schema: Schema, name: str, table: Relation) -> None:
    if reader.skip("constraint"):
        return
    if reader.skip("to"):
        _, new = reader.name()
        schema.relations[new] = schema.relations.pop(name)
        return
    reader.skip("column")
    _, old = reader.name()
    if not reader.skip("to"):
        raise SqlTextError("RENAME without TO")
    _, new = reader.name()
    table.columns = {(new if column == old else column): kind for column, kind in table.columns.items()}


def _rename_other(reader: _Reader, schema: Schema, own: str | None) -> None:
    """ALTER VIEW and ALTER FUNCTION ... RENAME TO."""
    materialized = reader.skip("materialized")
    kind = reader.skip_any("view", "function", "procedure")
    if kind is None:
        return
    reader.skip("if", "exists")
    where, name = reader.name()
    arguments_given = reader.parenthesized()
    if where not in (None, own) or not reader.skip("rename", "to"):
        return
    _, new = reader.name()
    if kind == "view" or materialized:
        if name in schema.relations:
            schema.relations[new] = schema.relations.pop(name)
        return
    for signature in list(schema.functions.get(name, [])):
        if arguments_given is None or signature.types == arguments(arguments_given).types:
            schema.functions[name].remove(signature)
            schema.add_function(new, signature)


def _drop(reader: _Reader, schema: Schema, own: str | None) -> None:
    materialized = reader.skip("materialized")
    kind = reader.skip_any("table", "view", "function", "procedure", "routine", "schema", "owned")
    if kind in ("schema", "owned"):
        schema.doubts.append(f"DROP {kind.upper()} may remove objects")
        return
    if kind is None:
        return
    reader.skip("if", "exists")
    one: Callable[[_Reader], None] = (
        (lambda item: _drop_relation(item, schema, own))
        if kind in ("table", "view") or materialized
        else (lambda item: _drop_function(item, schema, own))
    )
    for tokens in split_commas(reader.rest):
        one(_Reader(tokens))


def _drop_relation(item: _Reader, schema: Schema, own: str | None) -> None:
    where, name = item.name()
    if where in (None, own):
        schema.relations.pop(name, None)


def _drop_function(item: _Reader, schema: Schema, own: str | None) -> None:
    where, name = item.name()
    inside = item.parenthesized()
    if where not in (None, own):
        return
    if inside is None:
        schema.functions.pop(name, None)
        return
    types = arguments(inside).types
    schema.functions[name] = [known for known in schema.functions.get(name, []) if known.types != types]
