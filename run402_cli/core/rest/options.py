"""OPTIONS: the methods that a table, a view or a function takes, whoever asks. See docs/rest.md."""

from __future__ import annotations

from starlette.responses import Response

from run402_cli.core.rest.exchange import PRIVATE
from run402_cli.core.rest.routines import Routine
from run402_cli.core.rest.schema import Relation
from run402_cli.core.rest.session import Session

READS = ("OPTIONS", "GET", "HEAD")
# By the bit of PostgreSQL's command: what a view can do by itself or by its triggers.
_WRITES = (("POST", 8), ("PUT", 8 | 4), ("PATCH", 4), ("DELETE", 16))
_ALL = 4 | 8 | 16
_UPDATABLE = b"""
SELECT pg_catalog.pg_relation_is_updatable(c.oid, true)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2
"""


async def of_relation(session: Session, schema: str, relation: Relation) -> Response:
    """`session` is the caller's: to look at a view, PostgreSQL waits for who changes it."""
    able = _ALL if relation.kind in ("r", "p") else 0
    if relation.kind in ("v", "f"):
        found = await session.fetch(_UPDATABLE, (schema, relation.name), last=True)
        able = int(found.get_value(0, 0) or 0) if found.ntuples else 0
    writes = [method for method, needed in _WRITES if able & needed == needed]
    if not relation.primary_key and "PUT" in writes:
        writes.remove("PUT")
    return answer(*READS, *writes)


def of_routines(routines: tuple[Routine, ...]) -> Response:
    """A function that may write takes POST only."""
    reads = any(not routine.volatile for routine in routines)
    return answer(*(READS if reads else READS[:1]), "POST")


def answer(*methods: str) -> Response:
    return Response(status_code=200, headers={"Allow": ",".join(methods), **PRIVATE})
