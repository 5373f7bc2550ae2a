"""The `assets` section at work: what a plan would change, and the change itself when the release is activated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.sections import Planned, Section
from run402_cli.core.releases.wire_spec import WireSpec
from run402_cli.core.storage import images, object_rows, objects
from run402_cli.core.storage.assets_request import AssetSpec, Put, Sync, read
from run402_cli.core.storage.object_rows import StoredObject
from run402_cli.core.storage.objects import asset_ref

SAMPLE_KEYS: Final = 50
# Under this name the plan keeps what the prefix held when it was made.
REVISION: Final = "asset_base_revision"


@dataclass(frozen=True, slots=True)
class Effects:
    """What a section would do to the objects as they are now."""

    spec: AssetSpec
    current: Mapping[str, StoredObject]  # what the put keys hold
    puts: tuple[Put, ...]  # those that change something
    deletes: tuple[str, ...]  # those that exist
    base_revision: str | None  # of the keys below sync's prefix
    pruned: tuple[str, ...]

    @property
    def noop(self) -> bool:
        return not (self.puts or self.deletes or self.pruned)

    def sync(self) -> dict[str, Any] | None:
        """The plan's `asset_sync`; its three confirm values go into sync.confirm."""
        if self.spec.sync is None:
            return None
        return {
            "prefix": self.spec.sync.prefix,
            "prune": True,
            "base_revision": self.base_revision,
            "delete_set_digest": objects.revision(self.pruned),
            "expected_delete_count": len(self.pruned),
            "sample_keys": list(self.pruned[:SAMPLE_KEYS]),
            "over_inline_threshold": len(self.pruned) > SAMPLE_KEYS,
        }


class AssetSection(Section):
    """`assets`: put, delete, sync. Promoting an older release leaves assets as they are: they are data."""

    name = "assets"

    def check(self, value: Any) -> None:
        if value is not None:
            read(value)

    async def plan(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> Planned:
        spec = _section(wire)
        if spec is None:
            return Planned()
        effects = await work_out(conn, project.project_id, spec)
        _check_confirm(effects)
        if wire.dialect == "core":
            answer: dict[str, Any] = {"storage_effects": _storage_effects(effects)}
        else:
            answer = await _cloud_answer(gateway, conn, project, effects)
        counts = [(len(effects.puts), "put"), (len(effects.deletes), "deleted"), (len(effects.pruned), "pruned")]
        told = ", ".join(f"{count} {word}" for count, word in counts if count)
        return Planned(
            changes=not effects.noop,
            content={put.sha256: put.size_bytes for put in spec.puts},
            answer=answer,
            summary=f"assets: {told}" if told else "",
            remember={REVISION: effects.base_revision} if spec.sync else {},
        )

    async def stage(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> None:
        spec = _section(wire)
        if spec is None or spec.sync is None or spec.sync.confirm is not None or wire.dialect == "core":
            return
        effects = await work_out(conn, project.project_id, spec)
        if effects.pruned:
            sync = effects.sync() or {}
            confirm = {key: sync[key] for key in ("base_revision", "delete_set_digest", "expected_delete_count")}
            raise GatewayError(
                409,
                "prune_confirmation_required",
                f"The sync of {spec.sync.prefix} deletes {len(effects.pruned)} assets, first {effects.pruned[0]}. "
                "Put these values into assets.sync.confirm and deploy again.",
                resource="assets.sync",
                details={"confirm": confirm, "sample_keys": sync["sample_keys"]},
                retryable=False,
            )

    async def activate(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        spec = _section(wire)
        if spec is None:
            return {}
        await object_rows.lock(conn, project.project_id)
        effects = await work_out(conn, project.project_id, spec)
        if spec.sync is not None and effects.base_revision != wire.remembered.get(REVISION):
            raise _drift(spec.sync, "Assets below it came or went after the plan was made")
        facts = await asyncio.to_thread(_images, gateway, effects.puts)
        gone = await object_rows.remove(conn, project.project_id, [*effects.deletes, *effects.pruned])
        await object_rows.save(conn, project.project_id, [(put, facts.get(put.sha256)) for put in effects.puts])
        replaced = [effects.current[put.key].sha256 for put in effects.puts if put.key in effects.current]
        await forget(gateway, conn, project.project_id, [*replaced, *(sha256 for _, sha256 in gone)])
        return {}

    async def branched(self, gateway: Gateway, conn: Connection, project_id: str, branch_id: str) -> None:
        await object_rows.copy(conn, project_id, branch_id)


async def forget(gateway: Gateway, conn: Connection, project_id: str, digests: Iterable[str]) -> None:
    """Give up content that nothing of the project needs any more; it no longer counts as the project's storage."""
    for sha256 in await object_rows.unreferenced(conn, project_id, digests):
        gateway.store.ref_path(project_id, sha256).unlink(missing_ok=True)


async def work_out(conn: Connection, project_id: str, spec: AssetSpec) -> Effects:
    """Compare the section with the objects there are."""
    keys = [put.key for put in spec.puts]
    current = await object_rows.find_many(conn, project_id, [*keys, *spec.deletes])
    below = await object_rows.keys_below(conn, project_id, spec.sync.prefix) if spec.sync else []
    kept = {*keys, *spec.deletes}
    return Effects(
        spec,
        {key: current[key] for key in keys if key in current},
        tuple(put for put in spec.puts if put.key not in current or not current[put.key].matches(put)),
        tuple(key for key in spec.deletes if key in current),
        objects.revision(below) if spec.sync else None,
        tuple(key for key in below if key not in kept),
    )


def _section(wire: WireSpec) -> AssetSpec | None:
    section = wire.document.get("assets")
    return None if section is None else read(section)


def _check_confirm(effects: Effects) -> None:
    sync = effects.spec.sync
    if sync is None or sync.confirm is None:
        return
    now = effects.sync() or {}
    changed = [key for key, value in sync.confirm.items() if now[key] != value]
    if changed:
        raise _drift(sync, f"Its {changed[0]} is not the confirmed one")


def _drift(sync: Sync, why: str) -> GatewayError:
    return GatewayError(
        409,
        "asset_sync_drift",
        f"The sync of {sync.prefix} was not carried out. {why}. Plan again to see what it would delete now "
        "(`run402 deploy apply --plan`), then confirm that.",
        resource="assets.sync",
        retryable=False,
        safe_to_retry=False,
    )


def _images(gateway: Gateway, puts: Iterable[Put]) -> dict[str, dict[str, Any]]:
    found = {put.sha256: images.describe(gateway.store.path(put.sha256), put.content_type) for put in puts}
    return {sha256: facts for sha256, facts in found.items() if facts is not None}


def _storage_effects(effects: Effects) -> dict[str, Any]:
    sync = effects.sync()
    return {
        "puts": [
            {
                "key": put.key,
                "sha256": put.sha256,
                "size_bytes": put.size_bytes,
                "content_type": put.content_type,
                "visibility": put.visibility,
                "immutable": put.immutable,
            }
            for put in effects.puts
        ],
        "deletes": list(effects.deletes),
        "sync_prune": None
        if sync is None
        else {
            "prefix": sync["prefix"],
            "base_revision": sync["base_revision"],
            "delete_set_digest": sync["delete_set_digest"],
            "planned_delete_keys": list(effects.pruned),
        },
        "noop": effects.noop,
    }


async def _cloud_answer(gateway: Gateway, conn: Connection, project: Project, effects: Effects) -> dict[str, Any]:
    puts = effects.spec.puts
    stored = await asyncio.to_thread(gateway.store.sizes, project.project_id, [put.sha256 for put in puts])
    present = [put for put in puts if stored[put.sha256] == put.size_bytes]
    facts = await asyncio.to_thread(_images, gateway, present)
    base = gateway.settings.public_url
    coming: set[str] = set()
    entries = []
    for put in puts:
        if stored[put.sha256] == put.size_bytes:
            status = "present"
        else:
            status = "satisfied_by_plan" if put.sha256 in coming else "upload_pending"
            coming.add(put.sha256)
        old = effects.current.get(put.key)
        metadata = old.metadata if old is not None and old.sha256 == put.sha256 else None
        ref = asset_ref(base, project.project_id, put, facts.get(put.sha256), metadata=metadata)
        own = {key: ref[key] for key in _ENTRY_KEYS}
        entries.append({**own, "status": status, "asset_ref": ref})
    sync = effects.sync()
    return {
        "asset_entries": entries,
        "asset_deletes": [*effects.deletes, *effects.pruned],
        **({} if sync is None else {"asset_sync": sync}),
        "cost": await _cost(conn, project.project_id, effects),
    }


_ENTRY_KEYS: Final = ("key", "sha256", "size_bytes", "content_type", "visibility", "immutable")


async def _cost(conn: Connection, project_id: str, effects: Effects) -> dict[str, Any]:
    """What the plan adds and frees, in bytes and keys. Nothing costs money here."""
    before = await object_rows.count(conn, project_id)
    going = await object_rows.find_many(conn, project_id, [*effects.deletes, *effects.pruned])
    added = sum(put.size_bytes for put in effects.puts)
    freed = sum(item.size_bytes for item in going.values())
    freed += sum(effects.current[put.key].size_bytes for put in effects.puts if put.key in effects.current)
    new = sum(1 for put in effects.puts if put.key not in effects.current)
    return {
        "storage_bytes_added": added,
        "storage_bytes_freed": freed,
        "storage_bytes_net": added - freed,
        "asset_keys_added": new,
        "asset_keys_removed": len(going),
        "asset_keys_after_commit": before + new - len(going),
        "billable_delta_usd_micros": 0,
        "payment_required": None,
    }


SECTION = AssetSection()
