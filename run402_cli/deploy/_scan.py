"""Look for auth calls that fail or are unsafe at run time in the sources that a manifest names. See docs/deploy.md,
"Source scan".

The search is textual: comments and strings count. RUN402_DEPLOY_SKIP_SCAN=1 skips it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from run402_cli.errors import CommandError

EXTENSIONS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".astro")
_SHOWN = 10
_DOCS = "https://docs.run402.com/auth/"
_IMPORT_LINE = 'import { auth } from "@run402/functions"'

_USER = "auth.user()"
_USER_OR_REQUIRED = "auth.user() / auth.requireUser()"
_IN_HANDLER = "auth.requireUser() inside the handler"
_UNKNOWN_NAMES = {
    "getUser": _USER_OR_REQUIRED,
    "getUserId": "(await auth.user())?.id",
    "getRole": "auth.requireRole(role)",
    "getSession": _USER,
    "currentUser": _USER,
    "currentSession": _USER,
    "getCurrentUser": _USER,
    "getCurrentSession": _USER,
    "getServerSession": _USER,
    "getAuth": _USER_OR_REQUIRED,
    "requireAuth": "auth.requireUser()",
    "withAuth": _IN_HANDLER,
    "protectRoute": _IN_HANDLER,
    "useUser": "auth.user() (server-only)",
    "useSession": "auth.user() (server-only)",
    "createServerClient": "db()",
    "clerkClient": "auth.user() + db()",
}
_UNKNOWN_MEMBERS = {
    "auth.session": "auth.user(), then its sessionId",
    "auth.getSession": _USER,
    "auth.currentUser": _USER,
    "auth.currentSession": _USER,
    "auth.requireAuth": "auth.requireUser()",
    "auth.middleware": "auth.csrfField() or the @run402/astro middleware",
    "auth.signIn": "POST /auth/sign-in or auth.sessions.createResponseFromIdentity",
    "auth.signOut": "auth.sessions.endResponse()",
    "auth.signout": "auth.sessions.endResponse()",
    "auth.logout": "auth.sessions.endResponse()",
    "auth.login": "auth.sessions.createResponseFromIdentity",
    "auth.redirectToSignIn": "auth.requireUser() (the platform redirects)",
    "auth.getUser": _USER,
    "auth.getToken": "auth.requireUser(), then its sessionId",
    "auth.protect": "auth.requireUser() / auth.requireRole(...)",
}
_IMPORTED = re.compile(r"import\s*\{([^}]*)\}\s*from\s*[\"']@run402/functions[\"']")
_CALLED = re.compile(rf"(?<![.\w])({'|'.join(_UNKNOWN_NAMES)})\s*\(")
_NAME = re.compile(rf"\b({'|'.join(_UNKNOWN_NAMES)})\b")
_MEMBER = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, _UNKNOWN_MEMBERS))})\b")
_STORED_SESSION = re.compile(r"localStorage\.getItem\(\s*[\"'`]wl_session[\"'`]\s*\)")
_PRERENDERED = re.compile(r"export\s+const\s+prerender\s*=\s*true")
_AUTH_USE = re.compile(
    r"\bauth\.(?:user|requireUser|requireRole|requireMembership|requireFresh"
    r"|fetch|csrfToken|csrfField|sessions|identities)\b"
)
_GET_HANDLER = re.compile(r"export\s+(?:async\s+)?(?:const|function)\s+GET\s*[=(]")
_DB_WRITE = re.compile(r"\b(?:db|adminDb)\s*\(\)?[^)]*\)?\s*\.(?:insert|update|delete)\s*\(")
_SQL_WRITE = re.compile(r"\.sql\(\s*[\"'`]\s*(?:UPDATE|INSERT|DELETE)\b", re.IGNORECASE)
_AUTHZ_VERSION = re.compile(r"UPDATE\s+internal\.sessions\s+SET\s+authz_version", re.IGNORECASE)

Finding = dict[str, Any]
Found = Iterator[tuple[int, dict[str, str]]]


def require_clean(manifest: Any, base_dir: Path) -> None:
    """CommandError R402_AUTH_PREFLIGHT_FAILED when a source named by the manifest has an error-severity finding."""
    if os.environ.get("RUN402_DEPLOY_SKIP_SCAN") == "1":
        return
    findings = [finding for path in _named_sources(manifest, base_dir) for finding in _scan(path)]
    if not findings:
        return
    lines = [f"{each['file']}:{each['line']} {each['code']}: {each['message']}" for each in findings[:_SHOWN]]
    more = f" and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    raise CommandError(
        f"The source has {len(findings)} auth problem(s) that would fail when it runs: {lines[0]}",
        code="R402_AUTH_PREFLIGHT_FAILED",
        hint="Correct the findings, or set RUN402_DEPLOY_SKIP_SCAN=1 to deploy without this check.",
        details={"findings": findings, "summary": "; ".join(lines) + more},
    )


def _named_sources(manifest: Any, base_dir: Path) -> list[Path]:
    """Existing source files that the manifest names by path, once each, in name order."""
    site, functions = _section(manifest, "site"), _section(manifest, "functions")
    entries = [
        *_section(site, "replace").values(),
        *_section(_section(site, "patch"), "put").values(),
        *_function_entries(_section(functions, "replace")),
        *_function_entries(_section(_section(functions, "patch"), "put")),
        *_function_entries(_section(_section(functions, "patch"), "set")),
    ]
    paths = {
        base_dir / entry["path"]
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("path"), str) and "data" not in entry
    }
    return sorted(path for path in paths if path.suffix in EXTENSIONS and _is_file(path))


def _function_entries(functions: Mapping[str, Any]) -> Iterator[Any]:
    for function in functions.values():
        if isinstance(function, Mapping):
            capabilities = function.get("capabilities")
            if not (isinstance(capabilities, list) and "astro.ssr.v1" in capabilities):
                yield function.get("source", function)


def _section(value: Any, key: str) -> Mapping[str, Any]:
    section = value.get(key) if isinstance(value, Mapping) else None
    return section if isinstance(section, Mapping) else {}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _scan(path: Path) -> list[Finding]:
    """Error-severity findings of one file, by line. An unreadable file has none: the deploy itself reports it."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    shown = os.path.relpath(path)
    findings = [
        {
            "code": code,
            "severity": "error",
            "file": shown,
            "line": text.count("\n", 0, start) + 1,
            **more,
            "docs": docs,
            "message": message,
        }
        for code, docs, message, rule in _RULES
        for start, more in rule(text, path.suffix)
    ]
    return sorted(findings, key=lambda finding: int(finding["line"]))


def _unknown_names(text: str, _suffix: str) -> Found:
    for statement in _IMPORTED.finditer(text):
        for name in _NAME.finditer(statement[1]):
            yield statement.start(1) + name.start(), _renamed(name[1], _UNKNOWN_NAMES[name[1]])
    for call in _CALLED.finditer(text):
        yield call.start(), _renamed(call[1], _UNKNOWN_NAMES[call[1]])
    for member in _MEMBER.finditer(text):
        yield member.start(), _renamed(member[1], _UNKNOWN_MEMBERS[member[1]])


def _renamed(name: str, canonical: str) -> dict[str, str]:
    return {"attempted_name": name, "canonical_name": canonical, "import_line": _IMPORT_LINE}


def _stored_session(text: str, _suffix: str) -> Found:
    for match in _STORED_SESSION.finditer(text):
        yield match.start(), {"attempted_name": "localStorage.wl_session", "canonical_name": _USER}


def _prerendered(text: str, suffix: str) -> Found:
    if suffix in (".astro", ".ts", ".tsx") and _PRERENDERED.search(text):
        for match in _AUTH_USE.finditer(text):
            yield match.start(), {}


def _writing_get(text: str, _suffix: str) -> Found:
    if _GET_HANDLER.search(text):
        for pattern in (_DB_WRITE, _SQL_WRITE):
            for match in pattern.finditer(text):
                yield match.start(), {}


def _authz_version(text: str, _suffix: str) -> Found:
    for match in _AUTHZ_VERSION.finditer(text):
        yield match.start(), {}


_RULES: tuple[tuple[str, str, str, Callable[[str, str], Found]], ...] = (
    ("R402_AUTH_UNKNOWN_EXPORT", f"{_DOCS}sdk", "This is not part of the auth module.", _unknown_names),
    (
        "R402_AUTH_UNKNOWN_EXPORT",
        f"{_DOCS}sdk",
        "Sessions are not kept in localStorage; the cookie is read on the server.",
        _stored_session,
    ),
    (
        "R402_AUTH_PRERENDERED",
        f"{_DOCS}rendering-modes",
        "A prerendered page has no visitor: auth cannot work in it.",
        _prerendered,
    ),
    (
        "R402_AUTH_STATE_CHANGING_GET",
        f"{_DOCS}hosted-ui#post-only",
        "A GET handler must not write: links and prefetching would run it. Use POST.",
        _writing_get,
    ),
    (
        "R402_AUTH_AUTHZ_VERSION_PROHIBITED",
        f"{_DOCS}db-actor-context#authz-version",
        "authz_version belongs to the platform and must not be written.",
        _authz_version,
    ),
)
