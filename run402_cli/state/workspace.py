""".run402/project.json: which project a working directory deploys to. Written by `up`, not secret.

See docs/protocol/local-state.md, "Workspace link".
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.errors import EnvironmentFault, ValidationError
from run402_cli.state.catalogue import LINK, WORKSPACE_SCHEMA
from run402_cli.state.files import DamagedState, now_iso, read_state, rewritten, write_json
from run402_cli.state.ids import require_id


@dataclass(frozen=True, slots=True)
class WorkspaceLink:
    """One link. `target_kind` is cloud, core, unknown or None."""

    project_id: str
    name: str | None = None
    target_kind: str | None = None
    api_base: str | None = None
    created_at: str | None = None

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What must not change between reading a link and replacing it."""
        return (self.project_id, self.name, self.target_kind, self.api_base)


def link_path(workspace: Path) -> Path:
    return workspace / ".run402" / "project.json"


def read_link(workspace: Path) -> WorkspaceLink | None:
    """The link of a workspace, or None. Raises DamagedState RUN402_WORKSPACE_LINK_INVALID for a damaged file."""
    value = read_state(link_path(workspace), LINK)
    if value is None:
        return None
    target = value.get("target") or {}
    return WorkspaceLink(
        value["project_id"],
        _text(value.get("name")),
        _text(target.get("kind")),
        _text(target.get("api_base")),
        _text(value.get("created_at")),
    )


def require_writable_link(workspace: Path) -> None:
    """Raises EnvironmentFault unless a link can be written here: asked before anything is made that it shall name."""
    folder = link_path(workspace).parent
    place = folder if folder.exists() else workspace
    if not os.access(place, os.W_OK | os.X_OK) or (folder.exists() and not folder.is_dir()):
        raise EnvironmentFault(
            f"{folder} cannot be written, so nothing could remember which project this directory deploys to. Make "
            f"{place} writable for this user, or name the project: run402 up --project <id>"
        )


def write_link(workspace: Path, link: WorkspaceLink, *, replaces: WorkspaceLink | None) -> Path:
    """Write the link (0600) and return its path; `replaces` is the link as it was read before.

    Raises ValidationError RUN402_WORKSPACE_LINK_SYMLINK when a symlink would be followed, and
    RUN402_WORKSPACE_LINK_CONFLICT when another process changed the link meanwhile; CommandError BAD_PROJECT_ID.
    """
    from run402_cli import work_tree

    require_id(link.project_id)
    path = link_path(workspace)
    if (part := work_tree.linked(workspace, path)) is not None:
        raise ValidationError(
            f"{part} is a symbolic link; the workspace link is never written through one. Remove it: rm '{part}'",
            code="RUN402_WORKSPACE_LINK_SYMLINK",
            details={"path": str(path), "symlink": str(part)},
            next_actions=[advice.entry("run_command", advice.line("rm", str(part)))],
        )
    current = read_link(workspace)
    if (current and current.identity) != (replaces and replaces.identity):
        raise ValidationError(
            f"{path} was changed by another process while this command ran. Run the command again.",
            code="RUN402_WORKSPACE_LINK_CONFLICT",
            details={
                "path": str(path),
                "expected_project_id": replaces.project_id if replaces else None,
                "current_project_id": current.project_id if current else None,
            },
        )
    document = rewritten(path, LINK, _document(link, created_at=current.created_at if current else None))
    _write(path, document)
    return path


def _document(link: WorkspaceLink, *, created_at: str | None) -> dict[str, Any]:
    stamp = now_iso()
    fields: dict[str, Any] = {"schema_version": WORKSPACE_SCHEMA, "project_id": link.project_id}
    if link.name is not None:
        fields["name"] = link.name
    return {**fields, "target": {"kind": link.target_kind}, "created_at": created_at or stamp, "updated_at": stamp}


def _write(path: Path, document: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        write_json(path, document, temp=".project", newline=True)
    except DamagedState:
        raise
    except (OSError, EnvironmentFault) as exc:
        reason = exc.message if isinstance(exc, EnvironmentFault) else f"Cannot create {path.parent}: {exc.strerror}."
        raise EnvironmentFault(
            reason,
            hint="Make the workspace directory writable and run the command again.",
            details={"path": str(path)},
        ) from exc


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
