"""The release spec as it arrives: which dialect it speaks, whether its shape is sound, what this gateway can do of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import functions_request as functions
from run402_cli.core.releases import section_checks
from run402_cli.core.releases.migrations import Migration
from run402_cli.core.sites import i18n
from run402_cli.core.storage import assets_request as assets
from run402_cli.release.errors import INVALID_SPEC, ReleaseError
from run402_cli.release.fields import Fields, is_integer
from run402_cli.release.paths import check_path, path_problem
from run402_cli.release.static_manifest import IMMUTABLE_CHANGED

Dialect = Literal["core", "cloud"]

TOP_KEYS: Final = (
    "project",
    "project_id",
    "idempotency_key",
    "base",
    "database",
    "functions",
    "secrets",
    "site",
    "subdomains",
    "routes",
    "checks",
    "assets",
    "i18n",
)
WIRE: Final = Fields(INVALID_SPEC, "plan")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SECRET: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MIME: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|\"[^\"\r\n]*\"))*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_CACHE_CLASSES: Final = ("html", "immutable_versioned", "revalidating_asset")
MAX_MIGRATION_ID: Final = 256


@dataclass(frozen=True, slots=True)
class WireSpec:
    """A checked spec. `document` is as sent; `dialect` follows from the key that names the project.

    `remembered` is what the sections kept with the plan; empty while a plan is being made.
    """

    dialect: Dialect
    project_id: str
    document: dict[str, Any]
    remembered: Mapping[str, Any] = field(default_factory=dict)

    @property
    def migrations(self) -> list[Migration]:
        entries = (self.document.get("database") or {}).get("migrations") or ()
        return [Migration.from_wire(entry) for entry in entries]

    @property
    def expose(self) -> dict[str, Any] | None:
        return (self.document.get("database") or {}).get("expose") or None

    @property
    def base(self) -> dict[str, Any]:
        return self.document.get("base") or {}

    @property
    def core_document(self) -> dict[str, Any]:
        """The spec with the project under its Core name, as the digests want it."""
        return {"project" if key == "project_id" else key: value for key, value in self.document.items()}

    def site_refs(self) -> dict[str, int]:
        """Content that the site section names: digest to size in bytes."""
        site = self.document.get("site") or {}
        refs = (site.get("replace") or (site.get("patch") or {}).get("put") or {}).values()
        return {ref["sha256"]: ref["size"] for ref in refs}


def read_spec(document: Any) -> WireSpec:
    """Check a spec's shape and tell its dialect. ReleaseError (INVALID_SPEC) or GatewayError 422/409 otherwise."""
    spec = dict(WIRE.known(document, TOP_KEYS, "spec"))
    names = [key for key in ("project", "project_id") if key in spec]
    if len(names) != 1:
        raise WIRE.error("The spec must name its project once: `project`, or `project_id`.", "project")
    project_id = WIRE.text(spec[names[0]], names[0])
    for key, check in _SECTIONS.items():
        if key in spec:
            check(spec[key])
    return WireSpec("core" if names[0] == "project" else "cloud", project_id, spec)


def unsupported(capability: str, resource: str, message: str) -> GatewayError:
    return GatewayError(
        422,
        "unsupported_capability",
        message,
        capability=capability,
        code="UNSUPPORTED_CAPABILITY",
        phase="plan",
        resource=resource,
        retryable=False,
        next_actions=[{"type": "edit_request", "why": message}],
    )


def release_failure(exc: ReleaseError, dialect: Dialect) -> GatewayError:
    """A ReleaseError as an HTTP answer: 400, or 409 for a changed immutable path."""
    if exc.code != INVALID_SPEC:
        status, error, code = 409 if exc.code == IMMUTABLE_CHANGED else 400, exc.code.lower(), exc.code
    else:
        status, error = 400, "invalid_release_spec"
        code = "RUN402_CORE_INVALID_SPEC" if dialect == "core" else INVALID_SPEC
    extra = {"details": dict(exc.details) if exc.details else None, "fix": dict(exc.fix) if exc.fix else None}
    return GatewayError(
        status,
        error,
        exc.message,
        resource=exc.resource,
        code=code,
        phase="plan",
        retryable=False,
        **{key: value for key, value in extra.items() if value is not None},
    )


def _check_base(value: Any) -> None:
    base = WIRE.known(value, ("release", "release_id"), "base")
    if len(base) > 1:
        raise WIRE.error("base must have either release or release_id, not both.", "base")
    if "release" in base:
        WIRE.one_of(base["release"], ("current", "empty"), "base.release")
    if "release_id" in base:
        WIRE.text(base["release_id"], "base.release_id")


def _check_database(value: Any) -> None:
    database = WIRE.known(value, ("migrations", "expose", "zero_downtime"), "database")
    seen: set[str] = set()
    for index, entry in enumerate(WIRE.array(database.get("migrations", []), "database.migrations")):
        where = f"database.migrations.{index}"
        _check_migration(entry, where)
        if entry["id"] in seen:
            raise WIRE.error(f"Two migrations have the id {entry['id']!r}. Ids are unique.", f"{where}.id")
        seen.add(entry["id"])
    if database.get("expose") is not None:
        WIRE.mapping(database["expose"], "database.expose")
    if "zero_downtime" in database:
        WIRE.one_of(database["zero_downtime"], (True, False), "database.zero_downtime")


def _check_migration(value: Any, where: str) -> None:
    entry = WIRE.known(value, ("id", "checksum", "sql", "sql_ref", "transaction"), where)
    migration_id = WIRE.text(entry.get("id"), f"{where}.id")
    if len(migration_id) > MAX_MIGRATION_ID or _CONTROL.search(migration_id):
        raise WIRE.error(f"{where}.id must be at most {MAX_MIGRATION_ID} printable characters.", f"{where}.id")
    checksum = entry.get("checksum")
    if not isinstance(checksum, str) or not _SHA256.fullmatch(checksum):
        raise WIRE.error(f"{where}.checksum must be the SHA-256 of the SQL in lower-case hex.", f"{where}.checksum")
    if ("sql" in entry) == ("sql_ref" in entry):
        raise WIRE.error(f"{where} needs exactly one of sql and sql_ref.", where)
    if "sql" in entry:
        WIRE.text(entry["sql"], f"{where}.sql")
    else:
        _check_ref(entry["sql_ref"], f"{where}.sql_ref")
    if entry.get("transaction") is not None:
        WIRE.one_of(entry["transaction"], ("required", "none", "default"), f"{where}.transaction")


def _check_site(value: Any) -> None:
    site = WIRE.known(value, ("replace", "patch", "public_paths"), "site")
    if not site or ("replace" in site and "patch" in site):
        raise WIRE.error(
            "site needs one of replace, patch and public_paths; replace and patch exclude each other.", "site"
        )
    if "replace" in site:
        _check_files(site["replace"], "site.replace")
    if "patch" in site:
        patch = WIRE.known(site["patch"], ("put", "delete"), "site.patch")
        _check_files(patch.get("put", {}), "site.patch.put")
        for path in WIRE.strings(patch.get("delete", []), "site.patch.delete"):
            if path in patch.get("put", {}):
                raise WIRE.error(f"{path!r} is in both put and delete of site.patch. Keep one.", "site.patch")
    if "public_paths" in site:
        _check_public_paths(site["public_paths"])


def _check_files(value: Any, where: str) -> None:
    for path, ref in WIRE.mapping(value, where).items():
        check_path(path, where, WIRE)
        _check_ref(ref, f"{where}.{path}")


def _check_ref(value: Any, where: str) -> None:
    ref = WIRE.mapping(value, where)
    if not isinstance(ref.get("sha256"), str) or not _SHA256.fullmatch(ref["sha256"]):
        raise WIRE.error(f"{where}.sha256 must be 64 lower-case hex digits.", f"{where}.sha256")
    if not is_integer(ref.get("size")) or ref["size"] < 0:
        raise WIRE.error(f"{where}.size must be the length in bytes.", f"{where}.size")
    for key in ("contentType", "content_type"):
        given = ref.get(key)
        if given is not None and (not isinstance(given, str) or not _MIME.fullmatch(given.strip())):
            raise WIRE.error(f"{where}.{key} must be a media type such as text/html; charset=utf-8.", f"{where}.{key}")


def _check_public_paths(value: Any) -> None:
    where = "site.public_paths"
    paths = WIRE.known(value, ("mode", "replace"), where)
    WIRE.one_of(paths.get("mode"), ("implicit", "explicit"), f"{where}.mode")
    if (paths["mode"] == "explicit") != ("replace" in paths):
        raise WIRE.error(f"{where}.replace belongs to mode explicit, and explicit needs it.", f"{where}.replace")
    for public, entry in WIRE.mapping(paths.get("replace", {}), f"{where}.replace").items():
        place = f"{where}.replace.{public}"
        WIRE.text(WIRE.known(entry, ("asset", "cache_class"), place).get("asset"), f"{place}.asset")
        if "cache_class" in entry:
            WIRE.one_of(entry["cache_class"], _CACHE_CLASSES, f"{place}.cache_class")


def _check_secrets(value: Any) -> None:
    secrets = WIRE.known(value, ("require", "delete"), "secrets")
    names = {key: _matching(secrets.get(key, []), f"secrets.{key}", _SECRET) for key in ("require", "delete")}
    both = set(names["require"]) & set(names["delete"])
    if both:
        raise WIRE.error(f"{', '.join(sorted(both))} is both required and deleted. Keep one.", "secrets")


def _check_subdomains(value: Any) -> None:
    subdomains = WIRE.known(value, ("set", "add", "remove"), "subdomains")
    for key in subdomains:
        _matching(subdomains[key], f"subdomains.{key}", _SUBDOMAIN)
    if "set" in subdomains and len(subdomains) > 1:
        raise WIRE.error("subdomains.set stands alone; use add and remove without it.", "subdomains")


def _matching(value: Any, where: str, pattern: re.Pattern[str]) -> list[str]:
    names = list(WIRE.strings(value, where))
    for index, name in enumerate(names):
        if not pattern.fullmatch(name):
            raise WIRE.error(f"{where}.{index} is {name!r}; it must match {pattern.pattern}.", f"{where}.{index}")
    return names


def _check_routes(value: Any) -> None:
    if value is not None:
        WIRE.array(WIRE.known(value, ("replace",), "routes").get("replace"), "routes.replace")


def _check_functions(value: Any) -> None:
    if value is not None:
        functions.check_functions(value, _check_ref, path_problem)


def _check_checks(value: Any) -> None:
    if value is not None:
        section_checks.check_shape(value)


_SECTIONS: Final[dict[str, Callable[[Any], None]]] = {
    "base": _check_base,
    "database": _check_database,
    "functions": _check_functions,
    "secrets": _check_secrets,
    "site": _check_site,
    "subdomains": _check_subdomains,
    "routes": _check_routes,
    "assets": assets.check,
    "checks": _check_checks,
    "i18n": i18n.check_shape,
}


def content_refs(spec: WireSpec, migrations: list[Migration]) -> Iterator[tuple[str, int | None]]:
    """Digest and declared size of every object that a commit of this spec needs; `migrations` are those still to run."""
    yield from spec.site_refs().items()
    sizes = {
        entry["sql_ref"]["sha256"]: entry["sql_ref"]["size"]
        for entry in (spec.document.get("database") or {}).get("migrations") or ()
        if "sql_ref" in entry
    }
    for migration in migrations:
        if migration.sql_sha256 is not None:
            yield migration.sql_sha256, sizes[migration.sql_sha256]
