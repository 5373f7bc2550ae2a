"""The transaction of one request: who calls is said together with the first statement, in one round trip."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.sql import Composable

from run402_cli.core.role_connection import RoleConnection, Step
from run402_cli.core.sql import results


class Session:
    """`quiet`: nothing of the project runs in it; `unasking`: nor anything that looks at the request (quiet.py)."""

    def __init__(self, conn: RoleConnection, *, quiet: bool = False, unasking: bool = False) -> None:
        self.conn, self.quiet, self.unasking = conn, quiet, quiet and unasking
        self._before: list[Step] = [] if quiet else conn.touch()
        self._entered: list[Step] = []
        self._ends = False

    def enter(self, step: Step, *, ends: bool) -> None:
        """What is to be said before the first statement. `ends`: the transaction does with its last statement."""
        self._before.append(step)
        self._entered.append(step)
        self._ends = ends

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commits after the block, unless the last statement has; what an exception leaves is taken back."""
        try:
            yield
        except psycopg.Rollback:
            await self._end(b"ROLLBACK")
            return
        except Exception:
            await self._end(b"ROLLBACK")
            raise
        await self._end(b"COMMIT")

    async def fetch(self, statement: bytes, values: Sequence[Any], *, last: bool = False) -> PGresult:
        """The one row that a statement gives. `last`: no other comes after it."""
        begun = self._status() != TransactionStatus.IDLE
        ends = last and self._ends
        steps = [] if begun or ends else [Step(b"BEGIN")]
        steps += [*self._before, Step(statement, values, keep=self.quiet and last)]
        self._before = []
        at = len(steps) - 1
        if ends and begun:
            steps.append(Step(b"COMMIT"))
        return (await self.conn.together(steps, clean=ends))[at]

    async def each(self, statement: Composable, values: Sequence[Any], taker: results.Taker) -> None:
        """After the last statement of a read: one more, in a transaction that is entered as the first was. Its rows go to
        `taker` one by one.
        """
        before = [] if self.quiet else self.conn.touch()
        await self.conn.together([Step(b"BEGIN"), *before, *self._entered])
        self.conn.say(Step(statement.as_bytes(self.conn), values))
        await results.received(self.conn, taker)
        await self._end(b"COMMIT")

    async def check_constraints(self) -> None:
        """Before a rollback that was asked for: what a commit would refuse is refused."""
        if self._status() == TransactionStatus.INTRANS:
            await self.conn.together([Step(b"SET CONSTRAINTS ALL IMMEDIATE")])

    async def _end(self, how: bytes) -> None:
        if self._status() in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            await self.conn.together([Step(how)], clean=True)

    def _status(self) -> int:
        return self.conn.pgconn.transaction_status
