"""The deploy manifest as pydantic models: the source of its JSON Schema for editors and agents.

Importing this module imports pydantic (about 45 ms); nothing on the way to a deploy does. The checks that decide
are in manifest.py and spec.py, whose codes and order are part of the interface; tests keep the two in step.
See docs/protocol/releases.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_ID = "https://run402.com/schemas/release-spec.v1.json"

Name = Annotated[str, Field(min_length=1)]
SecretKey = Annotated[str, Field(pattern="^[A-Z_][A-Z0-9_]{0,127}$")]
Locale = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Positive = Annotated[int, Field(ge=1)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Strict(BaseModel):
    """An object without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ContentRef(BaseModel):
    """Content that is already stored."""

    model_config = ConfigDict(extra="allow", strict=True)
    sha256: str
    size: int | float


class InlineData(Strict):
    """A file written into the manifest: text, or bytes in base64."""

    data: str | ContentRef
    encoding: Literal["utf-8", "base64"] = "utf-8"
    contentType: str | None = None
    content_type: str | None = None


class DiskFile(Strict):
    """A file on disk, relative to the manifest."""

    source: Literal["fs-file"] | None = Field(None, alias="__source")
    path: Name
    contentType: str | None = None
    content_type: str | None = None


class Directory(Strict):
    """Every file of a directory."""

    source: Literal["local-dir"] = Field(alias="__source")
    path: Name
    prefix: str | None = None
    ignore: list[str] | None = None
    includeSensitive: bool | None = None


FileEntry = str | ContentRef | DiskFile | InlineData
FileMap = Directory | dict[str, FileEntry]


class Base(Strict):
    release: Literal["current", "empty"] | None = None
    release_id: str | None = None


class Migration(Strict):
    id: Name | None = None
    name: Annotated[str, Field(pattern="^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$")] | None = None
    checksum: str | None = None
    sql: str | None = None
    sql_ref: ContentRef | None = None
    sql_path: str | None = None
    sql_file: str | None = None
    transaction: Literal["required", "none", "default"] | None = None


class Database(Strict):
    migrations: list[Migration] | None = None
    expose: dict[str, Any] | None = None
    zero_downtime: bool | None = None


class Secrets(Strict):
    require: list[SecretKey] | None = None
    delete: list[SecretKey] | None = None


class FunctionConfig(Strict):
    timeoutSeconds: Positive | None = None
    timeout_seconds: Positive | None = None
    memoryMb: Positive | None = None
    memory_mb: Positive | None = None


class RoleGate(Strict):
    table: str
    idColumn: str | None = None
    id_column: str | None = None
    roleColumn: str | None = None
    role_column: str | None = None
    allowed: list[str]
    cacheTtl: int | None = None
    cache_ttl: int | None = None
    onDeny: Literal["envelope", "redirect"] | None = None
    on_deny: Literal["envelope", "redirect"] | None = None
    signInPath: str | None = None
    sign_in_path: str | None = None


class TriggerRun(Strict):
    event_type: Name
    payload: dict[str, Any] | None = None
    retry: dict[str, Any] | None = None
    expires_after_seconds: Positive | None = None


class ScheduleTrigger(Strict):
    id: Name
    type: Literal["schedule"]
    cron: Name
    timezone: Name | None = None
    misfire_policy: Literal["skip"] | None = None
    overlap_policy: Literal["allow"] | None = None
    run: TriggerRun


class EmailTrigger(Strict):
    id: Name
    type: Literal["email"]
    mailbox: Name
    events: Annotated[
        list[Literal["reply_received", "delivery", "bounced", "complained", "mailbox_suspended"]], Field(min_length=1)
    ]
    run: TriggerRun


class Function(Strict):
    runtime: Literal["node22"] | None = None
    source: FileEntry | None = None
    files: dict[str, FileEntry] | None = None
    entrypoint: str | None = None
    config: FunctionConfig | None = None
    deps: list[str] | None = None
    triggers: list[ScheduleTrigger | EmailTrigger] | None = None
    schedule: str | None = None
    requireAuth: bool | None = None
    require_auth: bool | None = None
    requireRole: RoleGate | None = None
    require_role: RoleGate | None = None
    class_: Literal["ssr", "standard"] | None = Field(None, alias="class")
    capabilities: list[str] | None = None


class FunctionsPatch(Strict):
    set: dict[str, Function] | None = None
    delete: list[str] | None = None


class Functions(Strict):
    replace: dict[str, Function] | None = None
    patch: FunctionsPatch | None = None


class PublicPath(Strict):
    asset: Name
    cache_class: str | None = None


class PublicPaths(Strict):
    mode: Literal["implicit", "explicit"]
    replace: dict[str, PublicPath] | None = None


class SitePatch(Strict):
    put: FileMap | None = None
    delete: list[str] | None = None


class Site(Strict):
    replace: FileMap | None = None
    patch: SitePatch | None = None
    public_paths: PublicPaths | None = None


class Asset(Strict):
    key: Name
    source: FileEntry | None = None
    sha256: str | None = None
    size_bytes: int | float | None = None
    content_type: str | None = None
    visibility: Literal["public", "private"] | None = None
    immutable: bool | None = None


class SyncConfirm(Strict):
    base_revision: str
    delete_set_digest: str
    expected_delete_count: int | float


class AssetSync(Strict):
    prefix: Name
    prune: Literal[True]
    confirm: SyncConfirm | None = None


class Assets(Strict):
    put: list[Asset] | None = None
    delete: list[str] | None = None
    sync: AssetSync | None = None


class Subdomains(Strict):
    set: Annotated[list[str], Field(max_length=1)] | None = None
    add: list[str] | None = None
    remove: list[str] | None = None


class FunctionTarget(Strict):
    type: Literal["function"]
    name: Name


class StaticTarget(Strict):
    type: Literal["static"]
    file: Name


class Pricing(Strict):
    mode: Literal["always"]
    amount_usd_micros: Positive
    pay_to: Literal["org_default_payout"]
    networks: Annotated[list[Literal["mainnet", "testnet"]], Field(min_length=1)] | None = None
    receipt: Literal["on_fulfillment"] | None = None


class Route(Strict):
    pattern: Name
    methods: Annotated[list[Method], Field(min_length=1)] | None = None
    target: FunctionTarget | StaticTarget
    pricing: Pricing | None = None
    acknowledge_readonly: Literal[True] | None = None


class Routes(Strict):
    replace: list[Route]


class I18n(Strict):
    default_locale: Locale | None = None
    defaultLocale: Locale | None = None
    locales: Annotated[list[Locale], Field(min_length=1, max_length=50)]
    detect: Annotated[list[str], Field(max_length=10)] | None = None
    unknown_locale_policy: Literal["reject", "pass-through"] | None = None
    unknownLocalePolicy: Literal["reject", "pass-through"] | None = None


class VerifyExpect(Strict):
    status: Annotated[int, Field(ge=100, le=599)]


class VerifyCheck(Strict):
    id: Name
    path: Name | None = None
    url: Name | None = None
    expect: VerifyExpect | None = None
    expected_status: Annotated[int, Field(ge=100, le=599)] | None = None
    retries: Positive | None = None


class Verify(Strict):
    http: list[VerifyCheck] | None = None


class Manifest(Strict):
    """A Run402 deploy manifest. Sections left out stay as they are in the live release."""

    schema_: str | None = Field(None, alias="$schema")
    omitted_features: Any = Field(None, alias="x-run402-omitted_features")
    project: Name | None = None
    project_id: Name | None = None
    idempotency_key: Name | None = None
    base: Base | None = None
    database: Database | None = None
    secrets: Secrets | None = None
    functions: Functions | None = None
    site: Site | None = None
    assets: Assets | None = None
    subdomains: Subdomains | None = None
    routes: Routes | None = None
    checks: list[Any] | None = None
    i18n: I18n | None = None
    verify: Verify | None = None


def release_spec_schema() -> dict[str, Any]:
    """The manifest's JSON Schema (draft 2020-12), for editors and for `run402 schema`."""
    schema = Manifest.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
