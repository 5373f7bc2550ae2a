"""The delegation that a wallet signs for a CI binding: what it says, byte for byte. See docs/ci.md, "What is signed".

The gateway writes the same text from the request and compares; one different byte is a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

ISSUER: Final = "https://token.actions.githubusercontent.com"
AUDIENCE: Final = "https://api.run402.com"
ACTIONS: Final = ("deploy",)
EVENTS: Final = ("push", "workflow_dispatch")

MAX_STATEMENT_BYTES: Final = 8192
MAX_RESOURCE_BYTES: Final = 4096
MAX_SCOPES: Final = 100
MAX_SCOPE_BYTES: Final = 256
MAX_SUBJECT: Final = 256

_NONCE: Final = re.compile(r"[0-9a-f]{16,64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCOPE_SAFE: Final = "!'()*"


_LIMITS: Final = "They cannot ship spec.secrets, spec.subdomains, spec.routes, spec.checks, or non-current spec.base."
_SCOPED_LIMITS: Final = (
    "They cannot ship spec.secrets, spec.subdomains, spec.checks, non-current spec.base, or route changes outside "
    "the delegated route scopes."
)


class InvalidDelegation(ValueError):
    """A delegation that cannot be signed; the text says why and names the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A normalized delegation; make one with `delegation`. Events and scopes are sorted, `expires_at` is as typed."""

    project_id: str
    subject_match: str
    nonce: str
    allowed_events: tuple[str, ...]
    route_scopes: tuple[str, ...]
    github_repository_id: str | None
    expires_at: str | None

    def resource_uri(self) -> str:
        """The delegation as one URI: the resource of the signed message."""
        parts = [
            ("project_id", _encoded(self.project_id)),
            ("issuer", _encoded(ISSUER)),
            ("audience", _encoded(AUDIENCE)),
            ("subject_match", _encoded(self.subject_match)),
            ("allowed_actions", ",".join(map(_encoded, ACTIONS))),
            ("allowed_events", ",".join(map(_encoded, self.allowed_events))),
            ("route_scopes", ",".join(quote(scope, safe=_SCOPE_SAFE) for scope in self.route_scopes)),
            ("expires_at", _encoded(self.expires_at or "")),
            ("github_repository_id", _encoded(self.github_repository_id or "")),
            ("nonce", self.nonce),
        ]
        return "run402-ci-delegation:v1?" + "&".join(f"{name}={value}" for name, value in parts if value)

    def statement(self) -> str:
        """The delegation as people read it before they sign. A constant of the wire."""
        scopes = ",".join(self.route_scopes)
        return "\n".join(
            [
                f"Authorize GitHub Actions workflows whose OIDC subject matches {self.subject_match} to deploy to run402 "
                f"project {self.project_id}.",
                "",
                "The workflows can:",
                "  - deploy function code that runs with this project's runtime authority, including the project's "
                "service-role key, the adminDb() bypass-RLS surface, and configured runtime secrets read via process.env;",
                "  - deploy database migrations, RLS/expose changes, and schema-altering SQL via spec.database.",
                *([f"  - deploy route declarations only within these public path scopes: {scopes}."] if scopes else []),
                "",
                "The workflows cannot directly call secrets, domain, subdomain, lifecycle, billing, contracts, or faucet "
                f"endpoints. {_SCOPED_LIMITS if scopes else _LIMITS}",
                "",
                f"Audience: {AUDIENCE}",
                f"Allowed events: {','.join(self.allowed_events)}",
                *([f"Route scopes: {scopes}"] if scopes else []),
                f"Repository ID: {self.github_repository_id or 'none-soft-bound'}",
                f"Expires: {self.expires_at or 'never'}",
                f"Nonce: {self.nonce}",
                "",
                "Revoke at any time via the run402 CLI or POST /ci/v1/bindings/:id/revoke. Revocation stops future CI "
                "gateway requests but does not undo already-deployed code, stop in-flight deploy operations, rotate "
                "exfiltrated keys, or remove deployed functions. Recovery from a compromise: revoke the binding, then "
                "SIWE-deploy a known-good release that overwrites the malicious code, and rotate any service-role key "
                "the deployed code may have read.",
            ]
        )


def delegation(
    project_id: str,
    subject_match: str,
    *,
    nonce: str,
    allowed_events: Iterable[str] = EVENTS,
    route_scopes: Sequence[str] = (),
    github_repository_id: str | None = None,
    expires_at: str | None = None,
) -> Delegation:
    """A checked delegation. `nonce` is 16 to 64 lower-case hex digits. Raises InvalidDelegation. docs/ci.md"""
    if not project_id:
        raise InvalidDelegation("The project id is empty.")
    if not _NONCE.fullmatch(nonce):
        raise InvalidDelegation(f"The nonce {nonce!r} is not 16 to 64 lower-case hex digits.")
    events = tuple(sorted(set(allowed_events), key=_code_units))
    if not events or "" in events:
        raise InvalidDelegation("At least one event must be allowed, and none may be empty.")
    made = Delegation(
        project_id=project_id,
        subject_match=_subject(subject_match),
        nonce=nonce,
        allowed_events=events,
        route_scopes=normalize_scopes(route_scopes),
        github_repository_id=github_repository_id,
        expires_at=expires_at,
    )
    _check_sizes(made)
    return made


def _check_sizes(made: Delegation) -> None:
    try:
        statement, resource = len(made.statement().encode()), len(made.resource_uri().encode())
    except UnicodeEncodeError as exc:
        raise InvalidDelegation("A value of the delegation is not valid Unicode.") from exc
    if statement > MAX_STATEMENT_BYTES:
        raise InvalidDelegation(
            f"The text to sign has {statement} bytes; at most {MAX_STATEMENT_BYTES} are allowed. Use fewer route scopes."
        )
    if resource > MAX_RESOURCE_BYTES:
        raise InvalidDelegation(
            f"The delegation URI has {resource} bytes; at most {MAX_RESOURCE_BYTES} are allowed. Use fewer route scopes."
        )


def _subject(value: str) -> str:
    if not 1 <= len(value) <= MAX_SUBJECT:
        raise InvalidDelegation(f"The subject has {len(value)} characters; 1 to {MAX_SUBJECT} are allowed.")
    if _CONTROL.search(value):
        raise InvalidDelegation(f"The subject {value!r} holds a control character.")
    if value == "*" or "*" in value[:-1]:
        raise InvalidDelegation(f"In the subject {value!r} a * may only be the last of several characters.")
    return value


def normalize_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Route scopes as they are signed: each as typed, sorted by UTF-16 code unit. Raises InvalidDelegation.

    A scope is an exact path or a prefix ending in /*.
    """
    if len(scopes) > MAX_SCOPES:
        raise InvalidDelegation(f"{len(scopes)} route scopes are given; at most {MAX_SCOPES} are allowed.")
    seen: dict[str, str] = {}
    for scope in scopes:
        _check_scope(scope)
        place = scope if scope.endswith("/*") else scope.removesuffix("/")
        if place in seen:
            raise InvalidDelegation(f"The route scopes {seen[place]!r} and {scope!r} are the same. Give one of them.")
        seen[place] = scope
    return tuple(sorted(scopes, key=_code_units))


def _check_scope(scope: str) -> None:
    problem = None
    if not scope.startswith("/"):
        problem = "it must start with /"
    elif scope == "/*":
        problem = "it would cover every route"
    elif "?" in scope or _CONTROL.search(scope):
        problem = "it may hold no ? and no control character"
    elif "*" in scope.removesuffix("/*"):
        problem = "a * is allowed only as the ending /*"
    elif not _decodable(scope):
        problem = "its percent-encoding is broken"
    elif len(scope.encode()) > MAX_SCOPE_BYTES:
        problem = f"it is longer than {MAX_SCOPE_BYTES} bytes"
    if problem:
        raise InvalidDelegation(f"The route scope {scope[:80]!r} cannot be used: {problem}. Examples: /admin, /api/*")


def _decodable(text: str) -> bool:
    try:
        unquote_to_bytes(text).decode()
    except UnicodeError:
        return False
    return not _BROKEN_ESCAPE.search(text)


def covers(scope: str, pattern: str) -> bool:
    """Whether a route scope covers a route pattern: the same path, or anything below a /* scope (/x/* is not /x)."""
    if scope.endswith("/*"):
        return pattern.startswith(scope[:-1])
    return pattern.removesuffix("/") == scope.removesuffix("/")


def asset_covers(scope: str, key: str) -> bool:
    """Whether an asset key scope covers a key: the same key, or anything below a prefix/* scope."""
    return key.startswith(scope[:-1]) if scope.endswith("/*") else key == scope


def _encoded(value: str) -> str:
    return quote(value, safe="")


def _code_units(value: str) -> bytes:
    return value.encode("utf-16-be", "surrogatepass")
