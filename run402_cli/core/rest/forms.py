"""How values of a domain are written outside of PostgreSQL, as its casts to and from json and text say. See docs/rest.md.

PostgreSQL itself ignores casts on domains. Their functions run in the statement of a request, as its caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier


@dataclass(frozen=True, slots=True)
class Form:
    """A function of one argument, of the type `takes`; `roles` are those that may call it."""

    schema: str
    name: str
    takes: str
    roles: frozenset[str]

    def of(self, value: Composable) -> Composable:
        return SQL("{}({}::{})").format(Identifier(self.schema, self.name), value, SQL(self.takes))


@dataclass(frozen=True, slots=True)
class Forms:
    """`shown` makes the json of an answer, `compared` reads the text of a filter, `read` the json of a body."""

    shown: Form | None = None
    compared: Form | None = None
    read: Form | None = None

    def seen_by(self, role: str) -> Forms:
        """Those that the role may call: for the others a value is as without a cast."""
        shown, compared, read = (
            form if form is not None and role in form.roles else None for form in (self.shown, self.compared, self.read)
        )
        return Forms(shown, compared, read)


PLAIN = Forms()
