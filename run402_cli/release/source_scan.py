"""Find auth calls in source text that fail or are unsafe at run time. See docs/deploy.md, "Source scan".

The search is textual: comments and strings count. `deploy apply` refuses on findings of severity error; `doctor`
shows all of them.
"""

from __future__ import annotations

import bisect
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

EXTENSIONS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".astro")
SKIPPED_DIRECTORIES = frozenset(
    [
        *("node_modules", ".git", ".vscode", ".idea", "dist", "build", "out"),
        *(".astro", ".next", ".vercel", ".netlify", "coverage"),
    ]
)
SESSION_MINT = "auth.sessionMint"
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
_IMPORTED = re.compile(r"import\s*\{([^{}]*)\}\s*from\s*[\"']@run402/functions[\"']")
_CALLED = re.compile(rf"(?<![.\w])({'|'.join(_UNKNOWN_NAMES)})\s*\(")
_NAME = re.compile(rf"\b({'|'.join(_UNKNOWN_NAMES)})\b")
_MEMBER = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, _UNKNOWN_MEMBERS))})\b")
_STORED_SESSION = re.compile(r"localStorage\.getItem\(\s*[\"'`]wl_session[\"'`]\s*\)")
_BEARER = re.compile(r"[\"'`]?Authorization[\"'`]?\s*[:,]\s*[\"'`]Bearer\s")
_PRERENDERED = re.compile(r"export\s+const\s+prerender\s*=\s*true")
_AUTH_USE = re.compile(
    r"\bauth\.(?:user|requireUser|requireRole|requireMembership|requireFresh"
    r"|fetch|csrfToken|csrfField|sessions|identities)\b"
)
_GET_HANDLER = re.compile(r"export\s+(?:async\s+)?(?:const|function)\s+GET\s*[=(]")
_DB_CALL = re.compile(r"\b(?:db|adminDb)\s*\(\)?")
_WRITE = re.compile(r"\.(?:insert|update|delete)\s*\(")
_CHAINED_WRITE = re.compile(r"\)\s*\.(?:insert|update|delete)\s*\(")
_SQL_WRITE = re.compile(r"\.sql\(\s*[\"'`]\s*(?:UPDATE|INSERT|DELETE)\b", re.IGNORECASE)
_AUTHZ_VERSION = re.compile(r"UPDATE\s+internal\.sessions\s+SET\s+authz_version", re.IGNORECASE)
_USER_FILTER = re.compile(r"\.eq\(\s*[\"'`]user_id[\"'`]\s*,\s*[A-Za-z_$][\w$]*\.id\s*\)")
_USER_FILTER_ALLOWED = re.compile(r"//\s*run402-allow-user-filter", re.IGNORECASE)
_SESSION_MINTED = re.compile(r"\bcreateResponseFromTenantAssertion\s*\(")

Finding = dict[str, Any]


class Lines:
    """The lines of places in a text, looked up: to count them for each place takes long in a file of many findings."""

    def __init__(self, text: str) -> None:
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def at(self, place: int) -> int:
        return bisect.bisect_left(self._ends, place) + 1


Found = Iterator[tuple[int, dict[str, str]]]


def scan_text(text: str, *, shown: str, suffix: str, severities: tuple[str, ...] = ("error", "warn")) -> list[Finding]:
    """Findings of one file, by line: {code, severity, file, line, attempted_name?, ..., docs?, message}.

    `shown` is the file's name in the findings, `suffix` its extension.
    """
    lines = Lines(text)
    findings = [
        {
            "code": code,
            "severity": severity,
            "file": shown,
            "line": lines.at(start),
            **more,
            "docs": docs,
            "message": message,
        }
        for code, severity, docs, message, rule in _RULES
        if severity in severities
        for start, more in rule(text, suffix)
    ]
    return sorted(findings, key=lambda finding: int(finding["line"]))


def scan_tree(root: Path, cwd: Path) -> list[Finding]:
    """Findings of every source file below `root`, by file and line; a directory that does not exist has none.

    Symbolic links are not followed. The capabilities declared in `<cwd>/run402.config.json` are taken into account.
    """
    minting = SESSION_MINT in _capabilities(cwd / "run402.config.json")
    findings = [
        finding
        for path in _sources(root)
        for finding in _scan_file(path, cwd)
        if not (minting and finding["code"] == _MINT_CODE)
    ]
    return sorted(findings, key=lambda finding: (finding["file"], finding.get("line", 0)))


def _scan_file(path: Path, cwd: Path) -> list[Finding]:
    try:
        shown = os.path.relpath(path, cwd)
    except ValueError:  # another drive
        shown = str(path)
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as exc:
        message = f"This file could not be read: {exc.strerror or exc}."
        return [{"code": "R402_AUTH_SOURCE_SCAN_ERROR", "severity": "warn", "file": shown, "message": message}]
    return scan_text(text, shown=shown, suffix=path.suffix)


def _sources(root: Path) -> Iterator[Path]:
    folders = [root]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SKIPPED_DIRECTORIES:
                    folders.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False) and Path(entry.name).suffix in EXTENSIONS:
                yield Path(entry.path)


def _capabilities(config: Path) -> set[str]:
    """Capabilities that any function declares; an unreadable or malformed file declares none."""
    try:
        document = json.loads(config.read_bytes())
    except (OSError, ValueError, RecursionError):
        return set()
    functions = document.get("functions") if isinstance(document, dict) else None
    places = [functions.get(key) for key in ("replace", "set", "patch")] if isinstance(functions, dict) else []
    patch = places[2] if places else None
    if isinstance(patch, dict) and isinstance(patch.get("set"), dict):
        places.append(patch["set"])
    return {
        item
        for place in places
        if isinstance(place, dict)
        for function in place.values()
        if isinstance(function, dict) and isinstance(function.get("capabilities"), list)
        for item in function["capabilities"]
        if isinstance(item, str)
    }


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


def _browser_bearer(text: str, _suffix: str) -> Found:
    names = {"attempted_name": "Authorization: Bearer (in browser code)", "canonical_name": "auth.fetch(...)"}
    for match in _BEARER.finditer(text):
        yield match.start(), names


def _prerendered(text: str, suffix: str) -> Found:
    if suffix in (".astro", ".ts", ".tsx") and _PRERENDERED.search(text):
        for match in _AUTH_USE.finditer(text):
            yield match.start(), {}


def _writing_get(text: str, _suffix: str) -> Found:
    if _GET_HANDLER.search(text):
        for start in _db_writes(text):
            yield start, {}
        for match in _SQL_WRITE.finditer(text):
            yield match.start(), {}


def _db_writes(text: str) -> Iterator[int]:
    """Where `db(` begins that writes before its next `)`, or right after it: `db().insert(`, `db("t").update(`."""
    writes = [match.span() for match in _WRITE.finditer(text)]
    starts = [start for start, _ in writes]
    paren = done = 0
    for call in _DB_CALL.finditer(text):
        if call.start() < done:
            continue
        if 0 <= paren < call.end():
            paren = text.find(")", call.end())
        chained = _CHAINED_WRITE.match(text, paren) if paren >= 0 else None
        last = bisect.bisect_left(starts, paren if paren >= 0 else len(text)) - 1
        if chained or (last >= 0 and starts[last] >= call.end()):
            done = chained.end() if chained else writes[last][1]
            yield call.start()


def _authz_version(text: str, _suffix: str) -> Found:
    for match in _AUTHZ_VERSION.finditer(text):
        yield match.start(), {}


def _user_filter(text: str, _suffix: str) -> Found:
    numbers = Lines(text)
    allowed = {number for number, line in enumerate(text.split("\n"), 1) if _USER_FILTER_ALLOWED.search(line)}
    for match in _USER_FILTER.finditer(text):
        number = numbers.at(match.start())
        if not allowed & {number - 1, number}:
            yield match.start(), {}


def _minted(text: str, _suffix: str) -> Found:
    fix = {"fix": f'Add "capabilities": ["{SESSION_MINT}"] to the function in run402.config.json.'}
    for match in _SESSION_MINTED.finditer(text):
        yield match.start(), fix


_MINT_CODE = "R402_DOCTOR_AUTH_SESSION_MINT_CAPABILITY_MISSING"
_RULES: tuple[tuple[str, str, str, str, Callable[[str, str], Found]], ...] = (
    ("R402_AUTH_UNKNOWN_EXPORT", "error", f"{_DOCS}sdk", "This is not part of the auth module.", _unknown_names),
    (
        "R402_AUTH_UNKNOWN_EXPORT",
        "error",
        f"{_DOCS}sdk",
        "Sessions are not kept in localStorage; the cookie is read on the server.",
        _stored_session,
    ),
    (
        "R402_AUTH_UNKNOWN_EXPORT",
        "warn",
        f"{_DOCS}sdk",
        "Code in the browser should not hold bearer tokens; the session cookie signs its requests.",
        _browser_bearer,
    ),
    (
        "R402_AUTH_PRERENDERED",
        "error",
        f"{_DOCS}rendering-modes",
        "A prerendered page has no visitor: auth cannot work in it.",
        _prerendered,
    ),
    (
        "R402_AUTH_STATE_CHANGING_GET",
        "error",
        f"{_DOCS}hosted-ui#post-only",
        "A GET handler must not write: links and prefetching would run it. Use POST.",
        _writing_get,
    ),
    (
        "R402_AUTH_AUTHZ_VERSION_PROHIBITED",
        "error",
        f"{_DOCS}db-actor-context#authz-version",
        "authz_version belongs to the platform and must not be written.",
        _authz_version,
    ),
    (
        "R402_AUTH_REDUNDANT_USER_FILTER",
        "warn",
        "https://run402.com/errors/#R402_AUTH_REDUNDANT_USER_FILTER",
        "Row-level security filters by user already; a filter by hand hides a missing policy.",
        _user_filter,
    ),
    (
        _MINT_CODE,
        "warn",
        f"{_DOCS}tenant-assertion#capability",
        f"Minting sessions needs the capability {SESSION_MINT}, which no function declares.",
        _minted,
    ),
)
