"""Writes the archive of a picture and a dumped database; blocking, so in a thread. See docs/archives.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from run402_cli import advice
from run402_cli.archive.diagnostics import diagnostic
from run402_cli.archive.format import (
    AUTH_SCHEMA,
    CAPABILITIES,
    COPY_TYPE,
    EXPORT_REPORT_SCHEMA,
    FACTS_SCHEMA,
    PORTABILITY_SCHEMA,
    RUNTIME_SCHEMA,
    SECRETS_SCHEMA,
    SEQUENCES_SCHEMA,
    STORAGE_SCHEMA,
    TABLES_SCHEMA,
)
from run402_cli.archive.writer import ArchiveWriter
from run402_cli.core.archives.dumping import DumpedDatabase
from run402_cli.core.archives.picture import Picture
from run402_cli.core.archives.release import spec_of
from run402_cli.core.archives.rows import ArchiveRecord
from run402_cli.core.content.store import ContentStore
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.bundle_rows import Bundle
from run402_cli.core.functions.functions_request import code_content

SCOPE: Final = "portable-runtime-v1"
CONSISTENCY: Final = "cloud_write_pause_v1"
_SSR: Final = "run402.core.astro-ssr.v1"


def write(
    store: ContentStore, file: Path, record: ArchiveRecord, picture: Picture, database: DumpedDatabase
) -> dict[str, Any]:
    consistency = {
        "mode": CONSISTENCY,
        "pinned_release_id": picture.project.active_release_id,
        "database": {"postgres_version": picture.postgres_version},
        "storage": {"mutation_pause": "not_applicable"},
        "runtime": {"artifact_capture": "captured" if picture.bundles else "not_applicable"},
    }
    portability = {"schema_version": PORTABILITY_SCHEMA, "entries": _portability(picture)}
    export_report = _export_report(record, picture, database)
    with ArchiveWriter(file) as writer:
        codes = {name: bundle.code for name, bundle in picture.bundles.items()}
        spec = spec_of(picture.project.name, picture.state, codes)
        if picture.expose is not None:
            spec["database"] = {"expose": picture.expose}
        writer.add_json("release_spec", spec)
        writer.add_json("portable_release_state", picture.state)
        writer.add_json("fact_set", {"schema_version": FACTS_SCHEMA, "facts": _facts(picture)})
        writer.add_json("portability_report", portability)
        writer.add_json("export_report", export_report)
        _write_database(writer, database)
        _write_auth(writer, record, picture)
        _write_content(writer, store, picture)
        _write_secrets(writer, picture)
        ssr = any(entry.get("class") == "ssr" for entry in picture.state["functions"])
        writer.finish(
            core_compatibility={"runtime_kernel": ">=0.1.5", "release_spec": "run402.release_spec.v1"},
            source={"platform": "run402-core", "label": picture.project.name},
            required_capabilities=[name for name in CAPABILITIES if ssr or name != _SSR],
            consistency=consistency,
        )
    return {"consistency": consistency, "export_report": export_report, "portability_report": portability}


def _write_database(writer: ArchiveWriter, database: DumpedDatabase) -> None:
    writer.add_bytes("database.pre_data_sql", database.pre_data.encode())
    tables = [table.entry for table in database.tables]
    writer.add_json("database.tables", {"schema_version": TABLES_SCHEMA, "tables": tables})
    for table in database.tables:
        name = f"database.data.{table.entry['id']}"
        writer.add_file(name, table.entry["copy_path"], COPY_TYPE, table.file)
    writer.add_json("database.sequences", {"schema_version": SEQUENCES_SCHEMA, "sequences": database.sequences})
    writer.add_bytes("database.post_data_sql", database.post_data.encode())


def _write_auth(writer: ArchiveWriter, record: ArchiveRecord, picture: Picture) -> None:
    config = {
        "schema_version": AUTH_SCHEMA,
        "auth_export": record.auth_export,
        "subject_id_namespace": "run402-auth-subject",
    }
    writer.add_json("auth.config", config)
    lines = [json.dumps(subject, ensure_ascii=False, separators=(",", ":")) + "\n" for subject in picture.subjects]
    writer.add_bytes("auth.subjects", "".join(lines).encode())


def _write_content(writer: ArchiveWriter, store: ContentStore, picture: Picture) -> None:
    stored = []
    for item in picture.objects:
        stored.append(
            {
                "key": item.key,
                "visibility": item.visibility,
                "content_type": item.content_type,
                "immutable": item.immutable,
                "size": item.size_bytes,
                "digest": f"sha256:{item.sha256}",
                "blob_path": _blob(writer, store, item.sha256),
                **({"metadata": item.metadata} if item.metadata else {}),
            }
        )
    writer.add_json("storage.index", {"schema_version": STORAGE_SCHEMA, "objects": stored})
    for entry in picture.state["site"]["paths"]:
        _blob(writer, store, entry["content_sha256"])
    functions = [_runtime_entry(writer, store, picture, bundle) for bundle in picture.bundles.values()]
    ssr = next((entry["name"] for entry in picture.state["functions"] if entry.get("class") == "ssr"), None)
    astro = {"enabled": ssr is not None, **({"function": ssr} if ssr else {})}
    writer.add_json("runtime.index", {"schema_version": RUNTIME_SCHEMA, "functions": functions, "astro_ssr": astro})


def _blob(writer: ArchiveWriter, store: ContentStore, sha256: str) -> str:
    try:
        return writer.add_blob(sha256, store.path(sha256))
    except (FileNotFoundError, ValueError) as exc:
        raise GatewayError(
            409,
            "storage_object_digest_mismatch",
            f"The content {sha256} is missing from the content directory, or damaged. Deploy it again.",
        ) from exc


def _runtime_entry(writer: ArchiveWriter, store: ContentStore, picture: Picture, bundle: Bundle) -> dict[str, Any]:
    for sha256 in code_content(bundle.code):
        _blob(writer, store, sha256)
    files = bundle.code["files"]
    main = files.get((bundle.code["entrypoint"] or "").partition("#")[0].removeprefix("./"), bundle.code["source"])
    artifact = bundle.code["source"] or main or next(iter(files.values()))
    return {
        "name": bundle.name,
        "runtime": "node22",
        "entrypoint": bundle.code["entrypoint"] or "default",
        "artifact_digest": f"sha256:{artifact['sha256']}",
        "artifact_path": f"blobs/sha256/{artifact['sha256']}",
        "required_secrets": list(picture.state["secrets"]["keys"]),
        "class": bundle.entry.get("class") or "standard",
        # Beyond the format, for functions of several files and with packages; other importers pass it over.
        "bundle": {**bundle.code, "lock": bundle.lock},
    }


def _write_secrets(writer: ArchiveWriter, picture: Picture) -> None:
    writer.add_json("secret_requirements", {"schema_version": SECRETS_SCHEMA, "secrets": picture.secrets})
    template = "".join(f"{secret['name']}=\n" for secret in picture.secrets)
    writer.add_bytes("secret_env_template", template.encode())


def _facts(picture: Picture) -> list[dict[str, str]]:
    found = {f"static:{entry['path']}": entry["content_sha256"] for entry in picture.state["site"]["paths"]}
    found |= {f"function:{entry['name']}": entry["code_hash"] for entry in picture.state["functions"]}
    return [
        {"protocol": "run402.fact.content.v1", "resource": resource, "digest": f"sha256:{digest}"}
        for resource, digest in found.items()
    ]


def _portability(picture: Picture) -> list[dict[str, Any]]:
    entries = []
    if picture.subjects:
        entries.append(
            diagnostic(
                "AUTH_SUBJECT_STUBS_IMPORTED",
                "Users come as disabled stubs: rows keep their owners, and nobody can sign in with them.",
                "auth_subject",
                severity="info",
                next_action={"type": "none"},
            )
        )
    for secret in picture.secrets:
        entries.append(
            diagnostic(
                "SECRET_VALUES_REQUIRED",
                f"{secret['name']} has a value in the source project, which is not in the archive.",
                "secret",
                resource_id=secret["name"],
                severity="warning",
                next_action={"type": "set_secret", "env_var": secret["name"]},
                retryable=True,
            )
        )
    for name in picture.subdomains:
        entries.append(
            diagnostic(
                "CLOUD_ONLY_FEATURE_EXCLUDED",
                f"The subdomain {name} stays with the source project. Claim a name for the new one.",
                "subdomain",
                resource_id=name,
                severity="warning",
                next_action=advice.run("subdomains", "claim", advice.Blank("name")),
            )
        )
    return entries


def _export_report(record: ArchiveRecord, picture: Picture, database: DumpedDatabase) -> dict[str, Any]:
    code: dict[str, int] = {}
    for bundle in picture.bundles.values():
        code |= code_content(bundle.code)
    return {
        "schema_version": EXPORT_REPORT_SCHEMA,
        "export_scope": SCOPE,
        "auth_export": record.auth_export,
        "consistency": CONSISTENCY,
        "omitted_sensitive_resource_count": len(picture.secrets),
        "unsupported_resource_count": len(picture.subdomains),
        "counts": {
            "tables": len(database.tables),
            "rows": database.rows,
            "storage_objects": len(picture.objects),
            "functions": len(picture.bundles),
            "auth_subject_stubs": len(picture.subjects),
        },
        "bytes": {
            "storage": sum(item.size_bytes for item in picture.objects),
            "runtime": sum(code.values()),
        },
    }
