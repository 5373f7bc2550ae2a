"""Where a release has effects beyond its state: the parts that plan and commit call, one object per spec section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.wire_spec import WireSpec


@dataclass(frozen=True, slots=True)
class Planned:
    """What a section adds to a plan."""

    changes: bool = False  # there is something to do although the release state stays the same
    content: Mapping[str, int] = field(default_factory=dict)  # objects that the commit needs: sha256 to size in bytes
    warnings: tuple[Mapping[str, Any], ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict)  # further keys of the plan's answer
    summary: str = ""  # what the plan's one-sentence summary says about it
    remember: Mapping[str, Any] = field(default_factory=dict)  # kept with the plan: `wire.remembered` at commit


class Section:
    """One spec section's effects. Each method is called for every plan, whether the spec has the section or not.

    The exception is `check`, which is called where the spec has the section of this `name`.
    """

    name = ""

    def check(self, value: Any) -> None:
        """What only this gateway knows of the section's shape, after `check_wire` of `release/sections/`. The two errors."""

    async def plan(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> Planned:
        """What a spec would do besides turning the release state into `target`. Writes nothing."""
        return Planned()

    async def refuse(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> None:
        """GatewayError at the plan for what `stage` would refuse, as far as the content is there. Keeps nothing."""

    async def stage(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> None:
        """Prepare what may fail (build, check) before the release is activated. GatewayError stops the deploy."""

    async def activate(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Write the section's effects, inside the transaction that activates; further keys of the commit's answer."""
        return {}

    async def switched(self, gateway: Gateway, conn: Connection, project_id: str, state: Mapping[str, Any]) -> None:
        """The active release is now one with this state: after a commit or a promote, in the same transaction."""

    async def branched(self, gateway: Gateway, conn: Connection, project_id: str, branch_id: str) -> None:
        """Copy what the section keeps for a project beside its release state to a branch of it, in one transaction."""
