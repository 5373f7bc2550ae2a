"""Calls of the Python API that read or write local files: assets and portable archives."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from run402_cli.client import Client
from run402_cli.errors import UsageError


def put(
    client: Client,
    project_id: str,
    files: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    key: str | None = None,
    content_type: str | None = None,
    private: bool = False,
    immutable: bool = False,
    metadata: Mapping[str, Any] | None = None,
    exif_policy: str | None = None,
) -> list[dict[str, Any]]:
    """Upload files as assets: [{file, key, size_bytes, sha256, url, ...}] in order, sizes in bytes.

    An asset is named by the file's base name, by `key`, or below it when it ends in /. Bytes that are stored already are not
    sent again. Raises UsageError for a file that does not exist or one `key` for several files, and what `deploy.apply`
    raises. docs/assets.md
    """
    from run402_cli.deploy import assets as engine

    names = [os.fspath(files)] if isinstance(files, (str, PathLike)) else [os.fspath(each) for each in files]
    if len(names) > 1 and key is not None and not key.endswith("/"):
        raise UsageError(
            f"key={key!r} names one asset, and there are {len(names)} files.", hint=f"Use {key + '/'!r} as a prefix."
        )
    uploads = [_upload(name, key, content_type) for name in names]
    properties = engine.Properties(
        private=private, immutable=immutable, metadata=dict(metadata or {}), exif_policy=exif_policy
    )
    client.profile.keys.require(project_id)
    refs = engine.put(
        client, project_id, uploads, properties, command="run402 assets put", report=lambda _event, _fields: None
    )
    return [{"file": name, **ref} for name, ref in zip(names, refs, strict=True)]


def _upload(file: str, key: str | None, content_type: str | None) -> Any:
    from run402_cli.deploy.assets import Upload
    from run402_cli.services import assets

    name = Path(file).name
    target = name if key is None else key + name if key.endswith("/") else key
    assets.check_key(target)
    return Upload(file, target, content_type or assets.content_type_of(target))


def get(
    client: Client, project_id: str, key: str, output: str | PathLike[str], *, overwrite: bool = False
) -> dict[str, str]:
    """Download one asset to the file `output`: {key, project_id, output}. A broken download goes on where it stopped.

    Raises CommandError FILE_EXISTS unless `overwrite`, ValidationError CHECKSUM_MISMATCH, ApiError, NetworkError.
    docs/assets.md
    """
    from run402_cli.services.download import download

    return download(client, project_id, key, os.fspath(output), overwrite=overwrite)


def verify_archive(path: str | PathLike[str]) -> dict[str, Any]:
    """Check a portable archive, directory or tar, without a request: the report, whose `ok` is the verdict.

    The command prints {ok, verified, archive: the report}. Never raises for what an archive contains. docs/archives.md
    """
    from run402_cli.archive.verify import verify

    return verify(Path(path)).report()


def inspect_archive(path: str | PathLike[str]) -> dict[str, Any]:
    """The same report as `verify`. The command prints {archive: the report}, and exits 0 whatever it says."""
    return verify_archive(path)
