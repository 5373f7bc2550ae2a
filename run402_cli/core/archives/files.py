"""Where the bytes of archives are, and when they go."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection
from pathlib import Path

from run402_cli.core.archives import rows
from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway


def file_of(gateway: Gateway, archive_id: str) -> Path:
    """Where the archive's bytes are."""
    return gateway.settings.data_dir / "archives" / f"{archive_id}.r402ar"


async def sweep(gateway: Gateway, conn: Connection) -> None:
    """Remove the files of archives that have expired, failed, or gone with their project."""
    kept = await rows.wanted(conn)
    await asyncio.to_thread(_remove_others, gateway.settings.data_dir / "archives", kept)


def _remove_others(folder: Path, kept: Collection[str]) -> None:
    for path in folder.glob("*") if folder.exists() else ():
        if path.stem not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
