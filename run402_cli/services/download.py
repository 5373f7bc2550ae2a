"""One asset to a file: resumed where it stopped, checked against the digest, and in place only when it is whole.

docs/assets.md, "Download".
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from run402_cli.client import Client
from run402_cli.errors import CommandError, NetworkError, UsageError, ValidationError
from run402_cli.file_lock import try_lock
from run402_cli.services.assets import blob_path
from run402_cli.services.output_file import is_device, require_free, settle

if TYPE_CHECKING:
    from run402_cli.client.http import httpx

_RETRY_SECONDS = (1.0, 2.0, 4.0)
_COPY_BYTES = 1 << 20
_LONGEST_NAME = 150
# On Windows a locked byte can be written by nobody else; this one is beyond the end.
_LOCKED_BYTE = 2**40
_HEX = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


def download(client: Client, project_id: str, key: str, output: str, *, overwrite: bool = False) -> dict[str, str]:
    """GET /storage/v1/blob/{key} to the file `output`; parent directories are made. Service key.

    A connection that breaks is taken up again with a Range request, three times in this call and again by the next
    call: the bytes so far wait in a hidden file beside the output. Raises CommandError FILE_EXISTS (unless
    `overwrite`), ValidationError CHECKSUM_MISMATCH (nothing is left behind), ApiError, NetworkError. Returns
    {key, project_id, output}. docs/assets.md
    """
    path = Path(output)
    if path.is_dir():
        raise UsageError(f"--output {output} is a directory. Name the file: --output {path / key.rpartition('/')[2]}")
    require_free(path, overwrite=overwrite)
    fetch = _Fetch(client, project_id, key)
    try:
        if is_device(path):
            with path.open("wb") as handle:
                fetch.whole(handle)
        else:
            fetch.to_file(path, overwrite=overwrite)
    except OSError as exc:
        raise CommandError(
            f"Cannot write {output}: {exc.strerror or exc}.", code="BAD_FILE", details={"path": output}
        ) from exc
    return {"key": key, "project_id": project_id, "output": output}


@dataclass(slots=True)
class _Fetch:
    """Requests for one asset."""

    client: Client
    project_id: str
    key: str

    def whole(self, handle: BinaryIO) -> None:
        """Copy the asset to something that cannot be rewound."""
        with self._answer({}) as response:
            digest = hashlib.sha256()
            for chunk in _chunks(response):
                digest.update(chunk)
                handle.write(chunk)
            _compare(self.key, digest.hexdigest(), expected_sha256(response.headers))

    def to_file(self, path: Path, *, overwrite: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _Partial.beside(path)
        try:
            self._fill(partial)
            partial.finish(path, overwrite=overwrite)
        finally:
            partial.close()

    def _fill(self, partial: _Partial) -> None:
        begun_with = partial.size
        for delay in (*_RETRY_SECONDS, None):
            try:
                self._attempt(partial)
                return
            except NetworkError:
                # A server that never sent a byte to this call is more likely away than interrupted.
                if delay is None or not partial.resumable or partial.size == begun_with:
                    raise
            time.sleep(delay)

    def _attempt(self, partial: _Partial) -> None:
        with self._answer(partial.conditions()) as response:
            if response.status_code == 206 and _starts_at(response, partial.size):
                pass
            elif response.status_code == 206:
                raise NetworkError("The gateway answered with another range than was asked for.", read=True)
            else:
                partial.restart(expected_sha256(response.headers))
            for chunk in _chunks(response):
                partial.write(chunk)
            expected = expected_sha256(response.headers) or partial.expected
        try:
            _compare(self.key, partial.digest(), expected)
        except ValidationError:
            partial.discard()
            raise

    @contextlib.contextmanager
    def _answer(self, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        with self.client.stream(
            "GET",
            blob_path(self.key),
            context="downloading the asset",
            auth=self.client.service_key(self.project_id, apikey=True),
            # Stored bytes, not an encoding of them: ranges and digests are about those.
            headers={"Accept-Encoding": "identity", **headers},
        ) as response:
            if response.status_code in (204, 205):
                raise UsageError(f"The gateway sent no content for {self.key}.")
            yield response


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    encoded = response.headers.get("content-encoding", "identity").lower() != "identity"
    # No chunk size: what waits for a chunk to fill is lost when the connection breaks.
    return response.iter_bytes() if encoded else response.iter_raw()


def _starts_at(response: httpx.Response, size: int) -> bool:
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    return found is not None and int(found.group(1)) == size


def expected_sha256(headers: Mapping[str, str]) -> str | None:
    """The digest (lower-case hex) that the answer claims for the whole asset, or None when it claims none."""
    named = headers.get("x-run402-content-sha256", "").lower()
    tagged = headers.get("etag", "").strip('"').removeprefix("sha256-").lower()
    for text in (named, tagged):
        if _HEX.fullmatch(text):
            return text
    digest = re.fullmatch(r"sha-256=:([A-Za-z0-9+/=]+):", headers.get("content-digest", ""))
    encoded = digest.group(1) if digest else headers.get("x-amz-checksum-sha256", "")
    with contextlib.suppress(binascii.Error, ValueError):
        raw = base64.b64decode(encoded, validate=True)
        return raw.hex() if len(raw) == 32 else None
    return None


def _compare(key: str, actual: str, expected: str | None) -> None:
    if expected is not None and actual != expected:
        raise ValidationError(
            f"{key} arrived damaged: its SHA-256 is {actual}, the gateway announced {expected}. No file was left; "
            "run the command again.",
            code="CHECKSUM_MISMATCH",
            details={"key": key, "expected_sha256": expected, "observed_sha256": actual},
            next_actions=[{"type": "retry", "why": "Nothing was saved."}],
        )


def _is_ours(descriptor: int) -> bool:
    """Whether an open file is this user's own and has no other name: bytes that are written to it arrive nowhere else."""
    found = os.fstat(descriptor)
    own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return own and found.st_nlink == 1 and stat.S_ISREG(found.st_mode)


class _Partial:
    """The file beside the output that collects the bytes; its name holds the digest that it should end with."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder = folder
        self._stem = stem
        self._handle: BinaryIO | None = None
        self._path: Path | None = None
        self._sha = hashlib.sha256()
        self._whole = False
        self.expected: str | None = None
        self.size = 0

    @classmethod
    def beside(cls, output: Path) -> _Partial:
        """Take up what an earlier call left for this output; one that another process is writing is left alone."""
        partial = cls(output.parent, f".{output.name[:_LONGEST_NAME]}.")
        for path in sorted(output.parent.iterdir()):
            name = path.name
            if not name.startswith(partial._stem) or not name.endswith(".part"):
                continue
            digest = name[len(partial._stem) : -len(".part")]
            if _HEX.fullmatch(digest) and partial._open(path):
                partial.expected = digest
                partial._rehash()
                break
        return partial

    @property
    def resumable(self) -> bool:
        return self.expected is not None

    def conditions(self) -> dict[str, str]:
        """Headers that ask for the rest, provided that the asset is still the same."""
        if not self.resumable or self.size == 0:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": f'"sha256-{self.expected}"'}

    def restart(self, expected: str | None) -> None:
        """Begin from the first byte of an asset with this digest."""
        if self._handle is None or expected != self.expected:
            self.discard()
            self.expected = expected
            own = f"{self._stem}{os.getpid()}-{os.urandom(6).hex()}.part"
            name = f"{self._stem}{expected}.part" if expected else own
            if not self._open(self._folder / name) and not self._open(self._folder / own):
                raise OSError(f"{self._folder / name} is in use by another process")
        assert self._handle is not None
        self._handle.seek(0)
        self._handle.truncate()
        self.size, self._sha = 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        assert self._handle is not None
        self._handle.write(data)
        self._sha.update(data)
        self.size += len(data)

    def digest(self) -> str:
        return self._sha.hexdigest()

    def finish(self, output: Path, *, overwrite: bool) -> None:
        """Give the complete file its name. CommandError FILE_EXISTS when another one has appeared there."""
        assert self._handle is not None
        assert self._path is not None
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._whole = True
        self._handle.close()
        self._handle = None
        try:
            settle(self._path, output, self.digest(), overwrite=overwrite)
        except CommandError:
            self._path.unlink(missing_ok=True)
            raise

    def discard(self) -> None:
        """Drop the bytes collected so far."""
        if self._handle is not None and self._path is not None:
            self._handle.close()
            self._path.unlink(missing_ok=True)
        self._handle, self._path, self.size, self._sha = None, None, 0, hashlib.sha256()

    def close(self) -> None:
        """Keep what a later call can go on with, drop the rest."""
        if self._handle is None:
            return
        if self.resumable and self.size and not self._whole:
            self._handle.close()
            self._handle = None
        else:
            self.discard()

    def _open(self, path: Path) -> bool:
        # A link planted here must not redirect the bytes.
        if path.is_symlink():
            return False
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        taken = False
        descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
        try:
            taken = _is_ours(descriptor) and try_lock(descriptor, offset=_LOCKED_BYTE)
        finally:
            if not taken:
                os.close(descriptor)
        if taken:
            self._handle, self._path = os.fdopen(descriptor, "r+b"), path
        return taken

    def _rehash(self) -> None:
        assert self._handle is not None
        while chunk := self._handle.read(_COPY_BYTES):
            self._sha.update(chunk)
            self.size += len(chunk)
