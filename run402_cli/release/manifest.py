"""From a manifest as written to a ReleaseSpec: aliases, paths, SQL files, file entries.

This is the manifest layer: it reads SQL files and nothing else, and its errors are LOCAL_ERROR unless said
otherwise. See docs/protocol/releases.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from run402_cli.release.entries import absolute, normalize_file_entry, normalize_file_map
from run402_cli.release.errors import ReleaseError, os_failure
from run402_cli.release.fields import MANIFEST, ROLE_SPELLINGS, Spellings, aliased, kind_of
from run402_cli.release.routes import check_routes
from run402_cli.release.sections import check_assets, check_i18n_keys, check_site
from run402_cli.release.verify import normalize_verify

PLACEHOLDER_PROJECT: Final = "prj_up_preflight_placeholder"
MIGRATION_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")

TOP_KEYS: Final = (
    *("$schema", "x-run402-omitted_features", "project", "project_id", "idempotency_key", "base", "database"),
    *("secrets", "functions", "site", "assets", "subdomains", "routes", "checks", "i18n", "verify"),
)
_TOP_HINTS: Final = {
    "subdomain": 'Write "subdomains": {"set": ["name"]}.',
    "idempotencyKey": "The field is called idempotency_key.",
    "files": "Put files under site.replace.",
    "migrations": "Put migrations under database.migrations.",
}
_MIGRATION_KEYS: Final = ("id", "name", "checksum", "sql", "sql_ref", "sql_path", "sql_file", "transaction")

# In the order of the ReleaseSpec.
_FUNCTION_FIELDS: Final[Spellings] = {
    "runtime": ("runtime",),
    "source": ("source",),
    "files": ("files",),
    "entrypoint": ("entrypoint",),
    "config": ("config",),
    "deps": ("deps",),
    "triggers": ("triggers",),
    "schedule": ("schedule",),
    "requireAuth": ("requireAuth", "require_auth"),
    "requireRole": ("requireRole", "require_role"),
    "class": ("class",),
    "capabilities": ("capabilities",),
}
_CONFIG_FIELDS: Final[Spellings] = {
    "timeoutSeconds": ("timeoutSeconds", "timeout_seconds"),
    "memoryMb": ("memoryMb", "memory_mb"),
}
_I18N_FIELDS: Final[Spellings] = {
    "defaultLocale": ("defaultLocale", "default_locale"),
    "locales": ("locales",),
    "detect": ("detect",),
    "unknownLocalePolicy": ("unknownLocalePolicy", "unknown_locale_policy"),
}
_CONFIG_HINTS: Final = {"schedule": "A schedule belongs to the function's triggers, beside config."}


@dataclass(frozen=True, slots=True)
class NormalizedManifest:
    """A manifest ready to deploy: the ReleaseSpec, and what the manifest said beside it. `own` is its file, if it has one."""

    spec: dict[str, Any]
    idempotency_key: str | None
    verify: dict[str, Any] | None
    own: Path | None = None

    @property
    def project(self) -> str:
        return str(self.spec["project"])


def manifest_project(manifest: Any) -> str | None:
    """The project that a manifest names by `project` or `project_id`, or None.

    Raises ReleaseError: RUN402_PROJECT_CONFLICT when both are there and differ.
    """
    if not isinstance(manifest, Mapping):
        return None
    given = {key: manifest[key] for key in ("project", "project_id") if manifest.get(key) is not None}
    for key, value in given.items():
        MANIFEST.text(value, key)
    if len(set(given.values())) > 1:
        raise ReleaseError(
            f"The manifest names two projects, project {given['project']!r} and project_id {given['project_id']!r}. "
            "Keep one of them.",
            code="RUN402_PROJECT_CONFLICT",
            details=given,
        )
    return next(iter(given.values()), None)


def normalize(manifest: Any, *, base_dir: Path, project: str | None, own: Path | None = None) -> NormalizedManifest:
    """The ReleaseSpec of a manifest, its keys in print order.

    `base_dir` is where relative paths start (the manifest's directory, or the current one for inline manifests); `own` is
    the absolute path of the manifest's file, if there is one. `project` is used where the manifest names none, and must
    not contradict it. SQL files are read now, other files are not. Raises ReleaseError: LOCAL_ERROR,
    RUN402_PROJECT_CONFLICT, INVALID_VERIFY_SPEC, or the operating system's error name for an SQL file.
    """
    own_project = manifest_project(manifest)
    if own_project is not None and project is not None and own_project != project:
        raise ReleaseError(
            f"The manifest is for project {own_project!r} and the command for {project!r}. "
            "Leave --project out, or change the manifest.",
            details={"spec_project_id": own_project, "flag_project_id": project},
        )
    if not isinstance(manifest, Mapping):
        raise ReleaseError(f"A manifest must be a JSON object, not {kind_of(manifest)}.")
    MANIFEST.known(manifest, TOP_KEYS, "The manifest", _TOP_HINTS)
    resolved = own_project or project
    if not resolved:
        raise ReleaseError('No project. Add "project_id" to the manifest or pass --project <id>.')
    spec: dict[str, Any] = {"project": resolved}
    spec.update(_sections(manifest, base_dir))
    idempotency_key = manifest.get("idempotency_key")
    if idempotency_key is not None:
        MANIFEST.text(idempotency_key, "idempotency_key")
    verify = None if manifest.get("verify") is None else normalize_verify(manifest["verify"])
    return NormalizedManifest(spec, idempotency_key, verify, own)


def printable(spec: Mapping[str, Any]) -> dict[str, Any]:
    """`spec` as --print-spec shows it: decoded bytes become an object of index to byte."""
    try:
        return {key: _printable(value) for key, value in spec.items()}
    except RecursionError:
        raise ReleaseError("The manifest is nested too deeply to be printed. Flatten it.") from None


def _printable(value: Any) -> Any:
    if isinstance(value, bytes):
        return {str(index): byte for index, byte in enumerate(value)}
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value


def _sections(manifest: Mapping[str, Any], base_dir: Path) -> Iterator[tuple[str, Any]]:
    for key in ("base", "subdomains", "secrets"):
        if manifest.get(key) is not None:
            yield key, manifest[key]
    if "routes" in manifest:
        check_routes(manifest["routes"], MANIFEST, pricing=False)
        yield "routes", manifest["routes"]
    if manifest.get("checks") is not None:
        yield "checks", manifest["checks"]
    if "i18n" in manifest:
        yield "i18n", None if manifest["i18n"] is None else _i18n(manifest["i18n"])
    mapped: tuple[tuple[str, Callable[[Any, Path], dict[str, Any]]], ...] = (
        ("database", _database),
        ("functions", _functions),
        ("site", _site),
        ("assets", _assets),
    )
    for key, normalize_section in mapped:
        if manifest.get(key) is not None:
            yield key, normalize_section(manifest[key], base_dir)


def _spellings(table: Spellings) -> list[str]:
    return [spelling for spellings in table.values() for spelling in spellings]


def _i18n(value: Any) -> dict[str, Any]:
    return aliased(check_i18n_keys(value, MANIFEST), _I18N_FIELDS)


def _database(value: Any, base_dir: Path) -> dict[str, Any]:
    database = MANIFEST.known(value, ("migrations", "expose", "zero_downtime"), "database")
    section: dict[str, Any] = {}
    # An empty object is a manifest that closes everything; null, false, 0 and "" say nothing.
    if database.get("expose") or isinstance(database.get("expose"), (Mapping, list)):
        section["expose"] = database["expose"]
    if isinstance(database.get("zero_downtime"), bool):
        section["zero_downtime"] = database["zero_downtime"]
    if database.get("migrations") is not None:
        migrations = MANIFEST.array(database["migrations"], "database.migrations")
        section["migrations"] = [
            _migration(migration, f"database.migrations[{index}]", base_dir)
            for index, migration in enumerate(migrations)
        ]
        check_migration_names(section["migrations"])
    return section


def check_migration_names(migrations: list[dict[str, Any]]) -> None:
    """Refuse two content-tracked migrations of one name."""
    seen: set[Any] = set()
    for index, migration in enumerate(migrations):
        name = migration.get("name")
        if name is not None and name in seen:
            where = f"database.migrations[{index}].name"
            raise MANIFEST.error(f"{where} {name!r} is used twice. Give every migration its own name.", where)
        seen.add(name)


def _migration(value: Any, where: str, base_dir: Path) -> dict[str, Any]:
    migration = MANIFEST.known(value, _MIGRATION_KEYS, where)
    has_id, has_name = (migration.get(key) is not None for key in ("id", "name"))
    if has_id == has_name:
        raise MANIFEST.error(f"{where} needs exactly one of id and name.", where)
    if has_id:
        MANIFEST.text(migration["id"], f"{where}.id")
    elif not isinstance(migration["name"], str) or not MIGRATION_NAME.fullmatch(migration["name"]):
        raise MANIFEST.error(
            f"{where}.name must be 1 to 64 letters, digits, _ or -, and start with a letter or digit.", where
        )
    normal = {key: migration[key] for key in ("id", "name", "checksum") if migration.get(key) is not None}
    file = _sql_file(migration, where)
    if migration.get("sql_ref") is not None:
        normal["sql_ref"] = migration["sql_ref"]
    elif migration.get("sql") is not None:
        if not isinstance(migration["sql"], str):
            raise MANIFEST.error(f"{where}.sql must be a string, not {kind_of(migration['sql'])}.", where)
        normal["sql"] = migration["sql"]
    elif file is not None:
        normal["sql"] = _read_sql(file, where, base_dir)
    if migration.get("transaction") is not None:
        normal["transaction"] = migration["transaction"]
    return normal


def _sql_file(migration: Mapping[str, Any], where: str) -> str | None:
    given = [
        MANIFEST.text(migration[key], f"{where}.{key}")
        for key in ("sql_path", "sql_file")
        if migration.get(key) is not None
    ]
    if len(set(given)) > 1:
        raise MANIFEST.error(f"{where} has sql_path {given[0]!r} and sql_file {given[1]!r}. Keep one of them.", where)
    return given[0] if given else None


def _read_sql(path: str, where: str, base_dir: Path) -> str:
    file = absolute(path, where, base_dir)
    try:
        return Path(file).read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise os_failure(error, file, f"the SQL file of {where},") from error


def _functions(value: Any, base_dir: Path) -> dict[str, Any]:
    functions = MANIFEST.known(value, ("replace", "patch"), "functions")
    section: dict[str, Any] = {}
    if functions.get("replace") is not None:
        section["replace"] = _function_map(functions["replace"], "functions.replace", base_dir)
    if functions.get("patch") is not None:
        patch = MANIFEST.known(functions["patch"], ("set", "delete"), "functions.patch")
        section["patch"] = {}
        if patch.get("set") is not None:
            section["patch"]["set"] = _function_map(patch["set"], "functions.patch.set", base_dir)
        if patch.get("delete") is not None:
            section["patch"]["delete"] = list(MANIFEST.array(patch["delete"], "functions.patch.delete"))
    return section


def _function_map(value: Any, where: str, base_dir: Path) -> dict[str, Any]:
    return {name: _function(spec, f"{where}.{name}", base_dir) for name, spec in MANIFEST.mapping(value, where).items()}


def _function(value: Any, where: str, base_dir: Path) -> dict[str, Any]:
    spec = aliased(MANIFEST.known(value, _spellings(_FUNCTION_FIELDS), where), _FUNCTION_FIELDS)
    if spec.get("config") is not None:
        config = MANIFEST.known(spec["config"], _spellings(_CONFIG_FIELDS), f"{where}.config", _CONFIG_HINTS)
        spec["config"] = aliased(config, _CONFIG_FIELDS)
    if "source" in spec:
        spec["source"] = normalize_file_entry(spec["source"], f"{where}.source", base_dir)
    if spec.get("files") is not None:
        spec["files"] = {
            path: normalize_file_entry(entry, f"{where}.files.{path}", base_dir)
            for path, entry in MANIFEST.mapping(spec["files"], f"{where}.files").items()
        }
    if spec.get("requireRole") is not None:
        role = MANIFEST.known(spec["requireRole"], _spellings(ROLE_SPELLINGS), f"{where}.requireRole")
        spec["requireRole"] = aliased(role, ROLE_SPELLINGS)
    if "capabilities" in spec:
        MANIFEST.strings(spec["capabilities"], f"{where}.capabilities")
    return spec


def _site(value: Any, base_dir: Path) -> dict[str, Any]:
    site = dict(check_site(value, MANIFEST))
    if "replace" in site:
        site["replace"] = normalize_file_map(site["replace"], "site.replace", base_dir)
    if "patch" in site:
        patch = dict(site["patch"])
        if "put" in patch:
            patch["put"] = normalize_file_map(patch["put"], "site.patch.put", base_dir)
        site["patch"] = patch
    return {key: site[key] for key in ("replace", "patch", "public_paths") if key in site}


def _assets(value: Any, base_dir: Path) -> dict[str, Any]:
    assets = dict(check_assets(value, MANIFEST))
    if "put" in assets:
        assets["put"] = [
            {**entry, "source": normalize_file_entry(entry["source"], f"assets.put[{index}].source", base_dir)}
            if "source" in entry
            else dict(entry)
            for index, entry in enumerate(assets["put"])
        ]
    return {key: assets[key] for key in ("put", "delete", "sync") if key in assets}
