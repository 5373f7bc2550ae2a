"""The functions of a release: rows that say where the code is and what was installed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from run402_cli import advice
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.rows import Project
from run402_cli.release.canonical import canonical_sha256

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_function_bundles (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  release_id text NOT NULL,
  name text NOT NULL,
  entry jsonb NOT NULL,
  code jsonb NOT NULL,
  lock jsonb,
  runtime_version text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, release_id, name)
);
"""
COLUMNS = "name, entry, code, lock, runtime_version, created_at::text, updated_at::text"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A function of a release. `entry` is as in the release state, `code` as in spec.code_of, `lock` npm's lock file."""

    name: str
    entry: Mapping[str, Any]
    code: Mapping[str, Any]
    lock: Mapping[str, Any] | None
    runtime_version: str
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def build_key(self) -> str:
        """Equal for bundles that become equal files."""
        return canonical_sha256(
            {
                "code": {**self.code},
                "deps": list(self.entry["deps"]),
                "lock": self.lock if self.entry["deps"] else None,
                "runtime": self.runtime_version,
            }
        )[:32]

    @property
    def deps_resolved(self) -> dict[str, str]:
        """Installed version of each package in `deps`."""
        packages = (self.lock or {}).get("packages", {})
        wanted = packages.get("", {}).get("dependencies", {})
        return {name: packages.get(f"node_modules/{name}", {}).get("version", "") for name in sorted(wanted)}

    def fingerprint(self) -> str:
        return f"fp_{self.build_key}"


async def load(conn: Connection, project_id: str, release_id: str | None, name: str | None = None) -> dict[str, Bundle]:
    """The functions of a release by name, or only one of them."""
    cursor = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_function_bundles WHERE project_id = %(project)s"
        " AND release_id = %(release)s AND (%(name)s::text IS NULL OR name = %(name)s) ORDER BY name",
        {"project": project_id, "release": release_id, "name": name},
    )
    return {row[0]: Bundle(*row) for row in await cursor.fetchall()}


async def load_by_code(conn: Connection, project_id: str, name: str, code_hash: str) -> Bundle | None:
    """A function with this code, of any release of the project."""
    cursor = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_function_bundles WHERE project_id = %s AND name = %s"
        " AND entry->>'code_hash' = %s ORDER BY updated_at DESC LIMIT 1",
        (project_id, name, code_hash),
    )
    row = await cursor.fetchone()
    return None if row is None else Bundle(*row)


async def save(conn: Connection, project_id: str, release_id: str, bundles: Mapping[str, Bundle]) -> None:
    """Make these the functions of a release. Times survive for what did not change."""
    await conn.execute(
        "DELETE FROM internal.core_function_bundles WHERE project_id = %s AND release_id = %s", (project_id, release_id)
    )
    for bundle in bundles.values():
        await conn.execute(
            "INSERT INTO internal.core_function_bundles (project_id, release_id, name, entry, code, lock,"
            " runtime_version, created_at, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s,"
            " coalesce(%s::timestamptz, now()), coalesce(%s::timestamptz, now()))",
            (
                project_id,
                release_id,
                bundle.name,
                Jsonb(bundle.entry),
                Jsonb(bundle.code),
                Jsonb(bundle.lock) if bundle.lock else None,
                bundle.runtime_version,
                bundle.created_at,
                bundle.updated_at,
            ),
        )


async def copy(conn: Connection, project_id: str, target_id: str) -> None:
    """Give another project, which has none yet, all of a project's."""
    await conn.execute(
        "INSERT INTO internal.core_function_bundles (project_id, release_id, name, entry, code, lock,"
        " runtime_version, created_at, updated_at) SELECT %s, release_id, name, entry, code, lock, runtime_version,"
        " created_at, updated_at FROM internal.core_function_bundles WHERE project_id = %s",
        (target_id, project_id),
    )


async def require_deployed(conn: Connection, project: Project, name: str) -> None:
    """404 function_not_found, with the names that there are, unless the active release has this function."""
    found = await load(conn, project.project_id, project.active_release_id)
    if name not in found:
        raise function_not_found(project, name, list(found))


def function_not_found(project: Project, name: str, known: list[str]) -> GatewayError:
    words = ("functions", "deploy", name, "--file", advice.Blank("file"), "--project", project.project_id)
    makes = advice.command(*words)
    there = f"It has: {', '.join(known[:20])}." if known else f"It has none; `{makes}` makes one."
    return GatewayError(
        404,
        "function_not_found",
        f"The active release of {project.project_id} has no function {name}. {there}",
        function_name=name,
    )
