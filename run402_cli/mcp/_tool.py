"""What a tool is: name, purpose, inputs, effect, and the service call that it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from run402_cli.client import Client
from run402_cli.errors import ValidationError, project_required
from run402_cli.mcp._files import Files
from run402_cli.mcp._long_results import Store
from run402_cli.mcp._types import Schema, schema_of
from run402_cli.state import sessions
from run402_cli.state.profile import Profile, chosen

# Effects; the hints that clients show follow from them.
READ, LOCAL_READ, LOCAL_WRITE = "read", "local-read", "local-write"
WRITE, DESTRUCTIVE, SPENDS = "write", "destructive", "spends"
EFFECTS = (READ, LOCAL_READ, LOCAL_WRITE, WRITE, DESTRUCTIVE, SPENDS)

_DRAFT = "http://json-schema.org/draft-07/schema#"
_RULES = {
    "low": "minimum",
    "above": "exclusiveMinimum",
    "high": "maximum",
    "longest": "maxLength",
    "fewest": "minItems",
    "pattern": "pattern",
    "format": "format",
    "default": "default",
}
_ABOUT = {
    "project_id": "Project id, prj_...",
    "project": "Project id, prj_...",
    "org_id": "Organization id.",
    "idempotency_key": "Repeat the call with the same key and it has one effect.",
    "limit": "At most this many entries.",
    "cursor": "Cursor of the page before.",
    "after": "next_cursor of the page before.",
    "mailbox": "Slug or id of the mailbox; needed when the project has several.",
    "wallet": "Wallet address, 0x and 40 hex digits.",
    "since": "ISO date-time, or milliseconds since 1970.",
    "until": "ISO date-time, or milliseconds since 1970.",
    "access_token": "Access token of the signed-in user.",
    "room_key": "A named room of org_id.",
    "requested_name": "Name to ask for when entering the room.",
    "task": "What this session works on, shown to the others.",
    "timeout_ms": "Give up waiting after this many milliseconds.",
    "poll_interval_ms": "Pause between looks, in milliseconds.",
    "output_path": "Local file to write, below the server's root: data (image, archive, ...), or text below downloads/.",
    "archive_path": "Local archive below the server's root: a tar file or a directory.",
}


@dataclass(frozen=True, slots=True)
class Param:
    """One input. `kind` is the notation of _types; `rules` are further JSON Schema keywords."""

    name: str
    kind: str
    required: bool
    rules: Mapping[str, Any]
    about: str | None

    def schema(self) -> Schema:
        text = self.about or _ABOUT.get(self.name)
        return {**schema_of(self.kind), **self.rules, **({"description": text} if text else {})}


def need(name: str, kind: str = "string", about: str | None = None, **rules: Any) -> Param:
    """A required input. Rules: low, above, high (numbers), longest, fewest (items), pattern, format."""
    return Param(name, kind, True, {_RULES[key]: value for key, value in rules.items()}, about)


def may(name: str, kind: str = "string", about: str | None = None, **rules: Any) -> Param:
    """An optional input; rules as for `need`, and default."""
    return Param(name, kind, False, {_RULES[key]: value for key, value in rules.items()}, about)


PROJECT = need("project_id")
OVERWRITE = may("overwrite", "bool", "Replace the file when it exists.", default=False)
ACTIVE_PROJECT = may("project_id", about="Project id. Default: the active project.")


class ToolClient(Client):
    """Acts with the wallet and the cached project keys only: never for a human's session, never asking one to approve."""

    client_header = 'surface="mcp"'

    def delegate_token(self) -> str | None:
        return None

    def principal(self, *, capability: str | None = None, target: dict[str, str] | None = None) -> Any:
        """The wallet's signature, or None without a wallet."""
        return super().principal(capability=capability, target=target) if self.profile.allowance is not None else None

    def operator_session(self) -> sessions.Session | None:
        return None


def open_client() -> ToolClient:
    """A client for one call: the wallet that the server was started with, its files as they are now."""
    return ToolClient(Profile(chosen()))


@dataclass(slots=True)
class Call:
    """One call of a tool. `names` are the tools that this server offers, `files` where it may read and write."""

    client: ToolClient
    args: dict[str, Any]
    store: Store
    names: frozenset[str]
    files: Files
    events: list[dict[str, Any]] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        """The value of an input; None when it was left out."""
        return self.args.get(name)

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the inputs that were given, null included."""
        return {name: self.args[name] for name in names if name in self.args}

    @property
    def project(self) -> str:
        self.client.profile.active.decided = True
        return str(self.args["project_id"])

    def project_or_active(self) -> str:
        """`project_id`, else the active project. CommandError PROJECT_REQUIRED without either."""
        project_id = self["project_id"] or self.client.profile.active.get()
        if not project_id:
            raise project_required()
        return str(project_id)

    def note(self, event: dict[str, Any]) -> None:
        """Keep a progress event for the result."""
        self.events.append(event)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture beside the text; `data` is base64."""

    data: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A result that is more than its document. `text` replaces the rendering of `document`; `more` follows it as JSON."""

    document: Any
    text: str | None = None
    failed: bool = False
    more: Any = None
    images: Sequence[Image] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool. `run` makes the call and returns a JSON document or a Reply.

    `cli` are the commands that do the same: texts that name one of them are told with the tool's name. `allowance`: needs
    a wallet. `reports_402`: a payment that is asked for is a result, not an error. `hides_keys`: project keys are taken
    out of the answer. `window`: long lists are shortened and kept for expand_result. `annotations` replace derived hints.
    """

    name: str
    purpose: str
    effect: str
    run: Callable[[Call], Any]
    params: tuple[Param, ...]
    cli: tuple[str, ...]
    allowance: bool
    reports_402: bool
    hides_keys: bool
    window: bool
    annotations: Mapping[str, Any]

    def input_schema(self) -> Schema:
        """JSON Schema draft-07 of the inputs; nothing else is accepted."""
        required = [param.name for param in self.params if param.required]
        return {
            "$schema": _DRAFT,
            "type": "object",
            "properties": {param.name: param.schema() for param in self.params},
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def hints(self) -> dict[str, Any]:
        """MCP annotations."""
        reads = self.effect in (READ, LOCAL_READ)
        return {
            "readOnlyHint": reads,
            "destructiveHint": self.effect == DESTRUCTIVE,
            "openWorldHint": self.effect not in (LOCAL_READ, LOCAL_WRITE),
            **self.annotations,
        }


def tool(
    name: str,
    purpose: str,
    effect: str,
    run: Callable[[Call], Any],
    *params: Param,
    cli: str | Sequence[str] = (),
    allowance: bool = False,
    reports_402: bool = False,
    hides_keys: bool = False,
    window: bool = False,
    annotations: Mapping[str, Any] | None = None,
) -> Tool:
    """See Tool; the inputs follow the call."""
    return Tool(
        name=name,
        purpose=purpose,
        effect=effect,
        run=run,
        params=params,
        cli=(cli,) if isinstance(cli, str) else tuple(cli),
        allowance=allowance,
        reports_402=reports_402,
        hides_keys=hides_keys,
        window=window,
        annotations=annotations or {},
    )


def exclusive(call: Call, *names: str, exactly: bool = False) -> None:
    """ValidationError when more than one of the inputs is given (or, with `exactly`, not one)."""
    given = [name for name in names if call[name] is not None]
    if len(given) > 1:
        raise ValidationError(
            f"{' and '.join(given)} exclude each other. Give one of them.",
            details={"given": given},
            reason="EXCLUSIVE_VALUES",
        )
    if exactly and not given:
        raise ValidationError(
            f"Give one of {', '.join(names)}.", details={"missing": list(names)}, reason="MISSING_VALUE"
        )
