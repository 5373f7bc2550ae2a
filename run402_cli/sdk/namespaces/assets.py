"""Files in content-addressed storage.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk import _files
from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import assets as _assets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from typing import Any


class Assets(Namespace[Id]):
    """Files in content-addressed storage. `project.assets` fills in `project_id`."""

    @of_project
    def ls(
        self,
        project_id: str,
        *,
        prefix: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort: str | None = None,
        filters: Mapping[str, str] | None = None,
    ) -> Any:
        """List assets, by key unless --sort says otherwise.

        GET /storage/v1/blobs[?prefix&limit&cursor&sort&filter[k]=v] -> {blobs: [{key, size_bytes, ...}], next_cursor}.

        Service key. Sizes in bytes; `limit` 1-1000. Raises ApiError, NetworkError. docs/assets.md
        """
        return self._call(_assets.ls, project_id, prefix=prefix, limit=limit, cursor=cursor, sort=sort, filters=filters)

    @of_project
    def rm(self, project_id: str, key: str) -> dict[str, Any]:
        """Delete one asset.

        DELETE /storage/v1/blob/{key}. Service key. Returns {key, project_id, deleted: true}. docs/assets.md
        """
        return self._call(_assets.rm, project_id, key)

    @of_project
    def sign(self, project_id: str, key: str, *, ttl_seconds: int | None = None) -> Any:
        """Make a URL that reads one asset for a limited time, private or not.

        POST /storage/v1/blob/{key}/sign {ttl_seconds?} -> {signed_url, expires_at, expires_in}, seconds. Service key.

        docs/assets.md
        """
        return self._call(_assets.sign, project_id, key, ttl_seconds=ttl_seconds)

    @of_project
    def diagnose(self, project_id: str, url: str) -> dict[str, Any]:
        """Compare what a public URL serves with what it should serve.

        GET /storage/v1/blobs/diagnose?url= -> what a public URL serves and what it should serve. Service key.

        Every key is there, with a default for what the gateway left out; camelCase keys are read too. docs/assets.md
        """
        return self._call(_assets.diagnose, project_id, url)

    @of_project
    def put(
        self,
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
        """Upload files.

        Upload files as assets: [{file, key, size_bytes, sha256, url, ...}] in order, sizes in bytes.

        An asset is named by the file's base name, by `key`, or below it when it ends in /. Bytes that are stored
        already are not sent again. Raises UsageError for a file that does not exist or one `key` for several files, and
        what `deploy.apply` raises. docs/assets.md
        """
        return self._call(
            _files.put,
            project_id,
            files,
            key=key,
            content_type=content_type,
            private=private,
            immutable=immutable,
            metadata=metadata,
            exif_policy=exif_policy,
        )

    @of_project
    def get(self, project_id: str, key: str, output: str | PathLike[str], *, overwrite: bool = False) -> dict[str, str]:
        """Download one asset to a file.

        Download one asset to the file `output`: {key, project_id, output}. A broken download goes on where it stopped.

        Raises CommandError FILE_EXISTS unless `overwrite`, ValidationError CHECKSUM_MISMATCH, ApiError, NetworkError.
        docs/assets.md
        """
        return self._call(_files.get, project_id, key, output, overwrite=overwrite)
