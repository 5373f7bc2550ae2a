"""The type of a database connection: what every function that reads or writes rows is handed. The floor of core/."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

Connection = AsyncConnection[Any]
