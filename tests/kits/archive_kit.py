"""Archives for tests: a good one with a bit of everything, and ways to spoil it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from run402_cli.archive.format import CAPABILITIES, COPY_TYPE
from run402_cli.archive.writer import ArchiveWriter

RELEASE = "rel_kit_1"
PAGE = b"<!doctype html><h1>kit</h1>\n"
CODE = b"export default async () => new Response('hello from the archive ' + process.env.API_TOKEN);\n"
PICTURE = b"public bytes\n"
PRE = """create sequence notes_id_seq;
create table notes (
  id bigint primary key default nextval('notes_id_seq'),
  owner_id text not null,
  body text
);
"""
POST = """create index notes_owner on notes (owner_id);
alter table notes enable row level security;
create policy notes_read on notes for select using (owner_id = auth.uid());
grant select on notes to anon, authenticated;
"""
ROWS = "1\talice\tfirst\n2\tbob\t\\N\n"
SUBJECTS = '{"subject_id":"alice","disabled":true,"references":["notes.owner_id"]}\n'


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def documents() -> dict[str, Any]:
    """The content of the good archive by descriptor name; JSON as objects, everything else as text."""
    page, code, picture = sha(PAGE), sha(CODE), sha(PICTURE)
    schema = "run402.project_archive."
    return {
        "release_spec": {"project": "kit", "base": {"release": "empty"}},
        "portable_release_state": {
            "state_version": "run402.portable_release_state.v1",
            "site": {
                "paths": [
                    {"path": "index.html", "content_sha256": page, "size_bytes": len(PAGE), "content_type": "text/html"}
                ]
            },
            "static_manifest": None,
            "functions": [{"name": "api", "code_hash": code, "runtime": "node22", "deps": [], "require_auth": False}],
            "secrets": {"keys": ["API_TOKEN"]},
            "subdomains": {"names": []},
            "routes": {
                "manifest_sha256": None,
                "entries": [
                    {
                        "pattern": "/api",
                        "kind": "exact",
                        "prefix": None,
                        "methods": ["GET"],
                        "target": {"type": "function", "name": "api"},
                    }
                ],
            },
            "migrations": [{"migration_id": "001", "checksum_hex": "a" * 64, "transaction": "default"}],
            "i18n": None,
        },
        "fact_set": {"schema_version": "run402.release_fact_set.v1", "facts": []},
        "portability_report": {"schema_version": f"{schema}portability_report.v1", "entries": []},
        "export_report": {"schema_version": f"{schema}export_report.v1", "export_scope": "portable-runtime-v1"},
        "database.pre_data_sql": PRE,
        "database.tables": {
            "schema_version": f"{schema}database_tables.v1",
            "tables": [
                {
                    "id": "notes",
                    "schema": "public",
                    "name": "notes",
                    "copy_path": "database/data/notes.copy",
                    "row_count": 2,
                }
            ],
        },
        "database.data.notes": ROWS,
        "database.sequences": {
            "schema_version": f"{schema}database_sequences.v1",
            "sequences": [{"schema": "public", "name": "notes_id_seq", "value": "2", "is_called": True}],
        },
        "database.post_data_sql": POST,
        "auth.config": {"schema_version": f"{schema}auth_config.v1", "auth_export": "stubs"},
        "auth.subjects": SUBJECTS,
        "storage.index": {
            "schema_version": f"{schema}storage_index.v1",
            "objects": [
                {
                    "key": "docs/a.txt",
                    "visibility": "public",
                    "content_type": "text/plain",
                    "immutable": False,
                    "size": len(PICTURE),
                    "digest": f"sha256:{picture}",
                    "blob_path": f"blobs/sha256/{picture}",
                }
            ],
        },
        "runtime.index": {
            "schema_version": f"{schema}runtime_index.v1",
            "functions": [
                {
                    "name": "api",
                    "runtime": "node22",
                    "entrypoint": "default",
                    "artifact_digest": f"sha256:{code}",
                    "artifact_path": f"blobs/sha256/{code}",
                }
            ],
        },
        "secret_requirements": {
            "schema_version": f"{schema}secret_requirements.v1",
            "secrets": [{"name": "API_TOKEN", "required": True, "targets": ["function:api"]}],
        },
        "secret_env_template": "API_TOKEN=\n",
    }


def write_tar(
    path: Path, content: dict[str, Any] | None = None, *, blobs: Iterable[bytes] = (PAGE, CODE, PICTURE)
) -> Path:
    """The archive as a tar, written by the code under test."""
    with ArchiveWriter(path) as writer:
        for name, value in (content or documents()).items():
            if name.startswith("database.data."):
                source = path.with_name("rows.tmp")
                source.write_text(value)
                table = name.rpartition(".")[2]
                writer.add_file(name, f"database/data/{table}.copy", COPY_TYPE, source)
                source.unlink()
            elif isinstance(value, str):
                writer.add_bytes(name, value.encode())
            else:
                writer.add_json(name, value)
        for data in blobs:
            source = path.with_name("blob.tmp")
            source.write_bytes(data)
            writer.add_blob(sha(data), source)
            source.unlink()
        writer.finish(
            core_compatibility={"runtime_kernel": ">=0.1.5", "release_spec": "run402.release_spec.v1"},
            source={"platform": "run402-core-fixture"},
            required_capabilities=CAPABILITIES,
            consistency={"mode": "core_fixture_v1", "pinned_release_id": RELEASE},
        )
    return path


def write_directory(path: Path, content: dict[str, Any] | None = None) -> Path:
    """The same as a directory, unpacked by Python's own tarfile."""
    path.mkdir(parents=True)
    packed = write_tar(path.with_name(f"{path.name}.tar"), content)
    with tarfile.open(packed) as archive:
        archive.extractall(path, filter="data")
    packed.unlink()
    return path


def files(path: Path) -> dict[str, bytes]:
    """Every file of a tar, by path, in order."""
    with tarfile.open(path) as archive:
        found = {}
        for member in archive.getmembers():
            handle = archive.extractfile(member)
            found[member.name] = handle.read() if handle else b""
        return found


def header(
    name: str | bytes, size: int | bytes = 0, type_: bytes = b"0", *, prefix: bytes = b"", link: bytes = b""
) -> bytes:
    """A ustar header with anything in it, and a right checksum."""
    raw = name.encode() if isinstance(name, str) else name
    block = bytearray(512)
    block[0:100] = raw[:100].ljust(100, b"\0")
    block[100:108] = b"0000644\0"
    block[124:136] = (b"%011o\0" % size if isinstance(size, int) else size)[:12].ljust(12, b"\0")
    block[148:156] = b" " * 8
    block[156:157] = type_
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = b"ustar\x0000"
    block[345:500] = prefix[:155].ljust(155, b"\0")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def entry(name: str | bytes, data: bytes = b"", type_: bytes = b"0", **more: Any) -> bytes:
    """A header with its padded payload."""
    return header(name, len(data), type_, **more) + data + b"\0" * (-len(data) % 512)


def pack(entries: Iterable[bytes], end: bytes = b"\0" * 1024) -> bytes:
    return b"".join(entries) + end


def repack(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Change the files of a tar, whatever that does to its digests."""
    found = files(path)
    change(found)
    path.write_bytes(pack(entry(name, data) for name, data in found.items()))
    return path


def reindex(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Change index.json of a tar."""

    def edit(found: dict[str, bytes]) -> None:
        index = json.loads(found["index.json"])
        change(index)
        found["index.json"] = json.dumps(index).encode()

    return repack(path, edit)


def replaced(path: Path, file: str, data: bytes) -> Path:
    """Replace one file of a tar and describe the new one rightly, so that only its content is new."""

    def edit(found: dict[str, bytes]) -> None:
        found[file] = data
        index = json.loads(found["index.json"])
        for descriptor in index["descriptors"].values():
            if descriptor.get("path") == file:
                descriptor |= {"digest": f"sha256:{sha(data)}", "size": len(data)}
        index.pop("archive_digest", None)
        found["index.json"] = json.dumps(index).encode()

    return repack(path, edit)


def gzipped(data: bytes) -> bytes:
    import gzip

    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as handle:
        handle.write(data)
    return buffer.getvalue()
