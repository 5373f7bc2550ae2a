"""What is known of the schemas of projects: each is read once, and again after it has changed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from run402_cli.core.changes import Mark
from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway
from run402_cli.core.rest import catalog, quiet
from run402_cli.core.rest.quiet import Quiet
from run402_cli.core.rest.routines import Routines, load_routines
from run402_cli.core.rest.schema import Catalog

# Where nothing tells of DDL, what somebody else did is noticed after so long.
LOOK_SECONDS: Final = 1.0


@dataclass(slots=True)
class Schema:
    """A schema as it was read; `quiet`: what can be read without running anything that is the project's."""

    catalog: Catalog
    quiet: Quiet
    mark: Mark | None
    stamp: str | None
    routines: dict[tuple[str, str], Routines] = field(default_factory=dict)
    # Who may write what: table, role, whether it is an update.
    writers: set[tuple[str, str, bool]] = field(default_factory=set)
    looked: float = 0.0
    asked: int = 0


async def schema_of(gateway: Gateway, slot: str) -> Schema:
    """The schema as it is now."""
    known: Schema | None = gateway.known_schemas.get(slot)
    if known is not None and _holds(gateway, slot, known):
        return known
    async with _lock(gateway, slot):
        # Somebody may have read it meanwhile.
        again: Schema | None = gateway.known_schemas.get(slot)
        if again is not None and _holds(gateway, slot, again):
            return again
        return await _read(gateway, slot, again)


async def routines_of(gateway: Gateway, slot: str, function: str, role: str) -> Routines:
    """The overloads of a function, with what a role may do with them."""
    schema = await schema_of(gateway, slot)
    found = schema.routines.get((function, role))
    # A stamp has nothing of functions.
    if found is None or schema.mark is None:
        async with gateway.connection() as conn:
            found = await load_routines(conn, slot, function, role)
        if found.found:
            schema.routines[function, role] = found
    return found


def _holds(gateway: Gateway, slot: str, known: Schema) -> bool:
    if known.mark is not None:
        return known.mark == gateway.changes.of_schema(slot)
    recent = known.asked == gateway.changes.asked and time.monotonic() - known.looked < LOOK_SECONDS
    return recent and not gateway.changes.hears_schemas


async def _read(gateway: Gateway, slot: str, known: Schema | None) -> Schema:
    changes = gateway.changes
    mark, asked, looked = changes.of_schema(slot), changes.asked, time.monotonic()
    async with gateway.connection() as conn:
        stamp = None if mark is not None else await catalog.stamp(conn, slot)
        if known is None or stamp is None or stamp != known.stamp:
            known = await _read_all(conn, slot, mark, stamp)
    known.looked, known.asked = looked, asked
    size = 1 + sum(len(relation.columns) for relation in known.catalog.relations.values())
    gateway.known_schemas.put(slot, known, size)
    return known


async def _read_all(conn: Connection, slot: str, mark: Mark | None, stamp: str | None) -> Schema:
    found = await catalog.read(conn, slot)
    # What a stamp does not tell of, such as an operator, is no reason to trust.
    silent = Quiet() if mark is None else await quiet.relations(conn, slot)
    return Schema(found, silent, mark, stamp)


def _lock(gateway: Gateway, slot: str) -> asyncio.Lock:
    """One that whoever waits for it keeps alive."""
    return gateway.reading_schemas.setdefault(slot, asyncio.Lock())
