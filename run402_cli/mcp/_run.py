"""One call of a tool, from raw arguments to content: checks, the call, the text, secrets taken out. No MCP library here."""

from __future__ import annotations

import contextlib
import json
import math
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from run402_cli import advice, output, secrecy
from run402_cli.errors import DryRun, EnvironmentFault, Run402Error
from run402_cli.mcp import _failures, _text
from run402_cli.mcp._files import Files, files
from run402_cli.mcp._long_results import Store, windowed
from run402_cli.mcp._tool import Call, Image, Reply, Tool, ToolClient, open_client
from run402_cli.mcp._wording import Phrases
from run402_cli.release.errors import ReleaseError
from run402_cli.state import messaging

_SHOWN_PROBLEMS = 5
# Our own commands stand in documents and rows; what users stored may be nested deeper than the interpreter's stack.
_DEEP = 8
_ENVIRONMENT = ("RUN402_API_BASE", "RUN402_CONFIG_DIR", "RUN402_ALLOWANCE_PATH", "RUN402_WALLET", "RUN402_PROFILE")
_ADVICE = ("hint", "note", "next_step", "verify_command", "import_command")
_REVEALS = "project_key_cache_export"


@dataclass(frozen=True, slots=True)
class Content:
    """What goes back: `structured` is a JSON object, or None."""

    text: str
    structured: dict[str, Any] | None = None
    failed: bool = False
    images: tuple[Image, ...] = ()


class Toolbox:
    """The tools of one server, and what it remembers between calls: shortened results, presences in rooms."""

    def __init__(self, tools: Mapping[str, Tool], *, limited: bool = False, local: Files | None = None) -> None:
        self.tools = dict(tools)
        self.phrases = Phrases(tools, limited=limited)
        self.store = Store()
        self.files = local or files()
        self._validators: dict[str, Any] = {}
        self._environment: tuple[str | None, ...] = ()

    def call(self, tool: Tool, arguments: Mapping[str, Any]) -> Content:
        """Run a tool. Failures of every kind are content; only Interrupted and the like pass through."""
        problems = self._problems(tool, arguments)
        if problems:
            text = "\n".join([f"{tool.name} was not called: its input is not as its schema says.", *problems])
            return Content(text, failed=True)
        self._notice_environment()
        secrets: list[str] = []
        try:
            with contextlib.closing(open_client()) as client:
                secrets = [] if tool.name == _REVEALS else _secrets(client)
                if tool.allowance and _needs_wallet(client):
                    return Content(_failures.no_wallet(tool, self.phrases), failed=True)
                call = Call(client, _prepared(tool, arguments), self.store, self.phrases.names, self.files)
                return self._finished(tool, tool.run(call), secrets)
        except (Run402Error, ReleaseError) as exc:
            return self._failure(tool, exc, secrets)
        except DryRun as exc:
            return self._finished(tool, exc.document(), secrets)
        except OSError as exc:
            where = f" ({exc.filename})" if exc.filename else ""
            return self._failure(tool, EnvironmentFault(f"The system refused: {exc.strerror or exc}{where}."), secrets)
        except Exception as exc:
            return self._failure(tool, _defect(exc), secrets)

    def _problems(self, tool: Tool, arguments: Mapping[str, Any]) -> list[str]:
        """What the schema refuses; values are not repeated, they may be secrets."""
        from jsonschema import Draft7Validator  # type: ignore[import-untyped]

        validator = self._validators.setdefault(tool.name, Draft7Validator(tool.input_schema()))
        try:
            errors = sorted(validator.iter_errors(dict(arguments)), key=lambda error: list(map(str, error.path)))
        except RecursionError:
            return ["- the input is nested too deeply"]
        return [f"- {_problem(error)}" for error in errors[:_SHOWN_PROBLEMS]]

    def _notice_environment(self) -> None:
        """Another wallet or gateway is not in the rooms that the one before has entered."""
        now = tuple(os.environ.get(name) for name in _ENVIRONMENT)
        if now != self._environment:
            self._environment = now
            messaging.keep_in_memory()

    def _failure(self, tool: Tool, error: Run402Error | ReleaseError, secrets: list[str]) -> Content:
        asked = _failures.payment_text(tool, error)
        if asked is not None:
            text, document = asked
            return Content(_text.redacted(text, secrets), _text.redacted(document, secrets))
        return Content(_text.redacted(_failures.text_of(tool, error, self.phrases), secrets), failed=True)

    def _guided(self, document: Any) -> Any:
        """The document, its advice told in tools; what users stored is not touched."""
        document = self._commands(document)
        if not isinstance(document, dict):
            return document
        told: dict[str, Any] = {
            key: self.phrases.told(text) for key in _ADVICE if isinstance(text := document.get(key), str)
        }
        actions = document.get("next_actions")
        if isinstance(actions, list):
            told["next_actions"] = [self.phrases.action(each) for each in actions if isinstance(each, dict)]
        return {**document, **told}

    def _commands(self, value: Any, depth: int = 0) -> Any:
        """Every command that this program put into the value, at any place, told as a tool."""
        if isinstance(value, advice.Command):
            return self.phrases.told(value)
        if depth > _DEEP or not isinstance(value, dict | list):
            return value
        if isinstance(value, dict):
            return {key: self._commands(item, depth + 1) for key, item in value.items()}
        return [self._commands(item, depth + 1) for item in value]

    def _finished(self, tool: Tool, result: Any, secrets: list[str]) -> Content:
        reply = result if isinstance(result, Reply) else Reply(result)
        document = secrecy.public(reply.document) if tool.hides_keys else reply.document
        document = self._guided(document)
        document, cuts = windowed(self.store, document) if tool.window else (document, [])
        text = reply.text if reply.text is not None else _text.document(tool.name, document)
        parts = [text, *(_cut(each) for each in cuts)]
        if reply.more:
            parts.append(_text.fence(secrecy.public(reply.more) if tool.hides_keys else reply.more))
        if cuts and isinstance(document, dict):
            document = {**document, "shortened": cuts}
        structured = document if isinstance(document, dict) else {"result": document}
        return Content(
            _text.redacted("\n\n".join(parts), secrets),
            _plain(_text.redacted(structured, secrets)),
            failed=reply.failed,
            images=tuple(reply.images),
        )


def _cut(cut: Mapping[str, Any]) -> str:
    return (
        f"{cut['path']} shows {cut['shown']} of {cut['total']} entries. "
        f"The others: expand_result with ref {cut['ref']} and offset {cut['shown']}."
    )


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON has no form for, as the command line prints them; a number that no double holds is a text."""
    plain: dict[str, Any] = json.loads(output.dumps(value, compact=True), parse_float=_double)
    return plain


def _double(digits: str) -> float | str:
    # What reads a structured answer makes doubles of its numbers; the text of the answer has the digits anyway.
    value = float(digits)
    return value if math.isfinite(value) and Decimal(repr(value)) == Decimal(digits) else digits


def _secrets(client: ToolClient) -> list[str]:
    """What no answer may hold: the wallet's key and the service keys on this machine. Longest first."""
    found: set[str] = set()
    # What is wrong with a file is said by the tool that needs it.
    with contextlib.suppress(Run402Error):
        found |= {client.profile.allowance.private_key} if client.profile.allowance is not None else set()
    with contextlib.suppress(Run402Error):
        found |= {str(entry.get("service_key") or "") for entry in client.profile.keys.all().values()}
    bare = {secret.removeprefix("0x") for secret in found}
    return sorted((secret for secret in found | bare if len(secret) >= 16), key=len, reverse=True)


def _needs_wallet(client: ToolClient) -> bool:
    """A gateway of one's own, chosen with init --api-base or core start --use, knows its user without a wallet."""
    return client.profile.allowance is None and client.profile.target.kind != "core"


def _prepared(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with defaults; whole numbers that came as 5.0 are 5."""
    values = dict(arguments)
    for param in tool.params:
        if "default" in param.rules and param.name not in values:
            values[param.name] = param.rules["default"]
        value = values.get(param.name)
        if param.kind == "int" and isinstance(value, float):
            values[param.name] = int(value)
    return values


def _problem(error: Any) -> str:
    where = ".".join(map(str, error.path)) or "input"
    if error.validator in ("required", "additionalProperties"):
        return f"{where}: {str(error.message)[:300]}"
    if error.validator in ("anyOf", "pattern"):
        return f"{where}: not of the form that the schema describes"
    return f"{where}: {error.validator} must be {str(error.validator_value)[:300]}"


def _defect(exc: Exception) -> EnvironmentFault:
    """A failure that nobody planned. Its own text may hold a secret."""
    if os.environ.get("RUN402_DEBUG"):
        output.notice("".join(traceback.format_exception(exc)))
    return EnvironmentFault(
        f"The tool failed unexpectedly ({type(exc).__name__}). This is a defect of run402.",
        hint="The traceback is on the server's stderr when it runs with RUN402_DEBUG=1.",
    )
