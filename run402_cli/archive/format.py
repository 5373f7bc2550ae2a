"""Names and limits of run402-project-archive.v1. See docs/protocol/archive-format.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VERSION: Final = "run402-project-archive.v1"
LAYOUT_PATH: Final = "run402-layout.json"
INDEX_PATH: Final = "index.json"
BLOB_FOLDER: Final = "blobs/sha256"
LAYOUT_SCHEMA: Final = "run402.project_archive.layout.v1"
INDEX_SCHEMA: Final = "run402.project_archive.index.v1"
TABLES_SCHEMA: Final = "run402.project_archive.database_tables.v1"
SEQUENCES_SCHEMA: Final = "run402.project_archive.database_sequences.v1"
AUTH_SCHEMA: Final = "run402.project_archive.auth_config.v1"
STORAGE_SCHEMA: Final = "run402.project_archive.storage_index.v1"
RUNTIME_SCHEMA: Final = "run402.project_archive.runtime_index.v1"
SECRETS_SCHEMA: Final = "run402.project_archive.secret_requirements.v1"
EXPORT_REPORT_SCHEMA: Final = "run402.project_archive.export_report.v1"
PORTABILITY_SCHEMA: Final = "run402.project_archive.portability_report.v1"
FACTS_SCHEMA: Final = "run402.release_fact_set.v1"
IMPORT_RESULT_SCHEMA: Final = "run402.project_archive.import_result.v1"
LOGICAL_IDENTITY: Final = "run402-project-archive-logical-v1"

_P: Final = "application/vnd.run402.project-archive."
LAYOUT_TYPE: Final = f"{_P}layout.v1+json"
INDEX_TYPE: Final = f"{_P}index.v1+json"
SQL_TYPE: Final = "application/sql; dialect=postgresql"
COPY_TYPE: Final = "application/vnd.postgresql.copy.text"
SUBJECTS_TYPE: Final = "application/x-ndjson; profile=run402-auth-subject-stubs-v1"
ENV_TEMPLATE_TYPE: Final = "text/plain; profile=run402-required-env-template-v1"
BLOB_TYPE: Final = "application/octet-stream"

# Descriptors with a meaning: name -> (where the file is, its media type).
WELL_KNOWN: Final = {
    "release_spec": ("manifest/release-spec.json", "application/vnd.run402.release-spec.v1+json"),
    "portable_release_state": (
        "manifest/portable-release-state.json",
        "application/vnd.run402.portable-release-state.v1+json",
    ),
    "fact_set": ("manifest/fact-set.json", "application/vnd.run402.release-fact-set.v1+json"),
    "portability_report": ("manifest/portability-report.json", f"{_P}portability-report.v1+json"),
    "export_report": ("manifest/export-report.json", f"{_P}export-report.v1+json"),
    "database.pre_data_sql": ("database/pre-data.sql", SQL_TYPE),
    "database.tables": ("database/tables.json", f"{_P}database-tables.v1+json"),
    "database.sequences": ("database/sequences.json", f"{_P}database-sequences.v1+json"),
    "database.post_data_sql": ("database/post-data.sql", SQL_TYPE),
    "auth.config": ("auth/config.json", f"{_P}auth-config.v1+json"),
    "auth.subjects": ("auth/subjects.ndjson", SUBJECTS_TYPE),
    "storage.index": ("storage/index.json", f"{_P}storage-index.v1+json"),
    "runtime.index": ("runtime/index.json", f"{_P}runtime-index.v1+json"),
    "secret_requirements": ("secrets/requirements.json", f"{_P}secret-requirements.v1+json"),
    "secret_env_template": ("secrets/required.env.template", ENV_TEMPLATE_TYPE),
}
MEDIA_TYPES: Final = frozenset(
    {
        *(media_type for _, media_type in WELL_KNOWN.values()),
        LAYOUT_TYPE,
        INDEX_TYPE,
        f"{_P}descriptor.v1+json",
        f"{_P}consistency.v1+json",
        COPY_TYPE,
        BLOB_TYPE,
    }
)
CAPABILITIES: Final = tuple(
    f"run402.core.{name}"
    for name in (
        "release-state.v1",
        "database.phased-postgres-copy.v1",
        "storage.cas.v1",
        "functions.node22.v1",
        "astro-ssr.v1",
        "auth-stubs.v1",
        "secret-requirements.v1",
    )
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may be at most; sizes in bytes."""

    files: int = 20_000
    file_bytes: int = 128 * 1024**2
    total_bytes: int = 512 * 1024**2
    descriptor_bytes: int = 2 * 1024**2
    json_depth: int = 64

    @classmethod
    def up_to(cls, total_bytes: int) -> Limits:
        """The same limits for archives of another size; one file may fill it."""
        return cls(total_bytes=total_bytes, file_bytes=max(total_bytes, cls().file_bytes))


DEFAULT_LIMITS: Final = Limits()
