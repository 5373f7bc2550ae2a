"""Did-you-mean: first what people mean by a word, then what is spelled nearly like it. The first of equals wins.

Two measures of spelling: `closest` counts edits, for words of ours; `alike` compares, for names of the user's own.
A word never leads to a command of a stronger effect than the word asks for: who types `show` is not sent to a write.
See docs/protocol/conventions.md, "Did you mean".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

# Comparing takes the product of two lengths, and the length of an unknown name is its sender's choice.
_LONGEST_NAME = 200
_STRENGTH = ("read", "write", "destructive")
# What people type instead of a command of ours.
_TOP: Mapping[str, Sequence[str]] = {
    "projects sql": ("sql", "db", "database", "query", "psql", "select"),
    "projects rest": ("rest", "api", "postgrest"),
    "projects schema": ("tables", "table", "describe"),
    "projects list": ("list", "ls", "ps", "show"),
    "projects provision": ("create", "new", "provision", "add"),
    "projects delete": ("delete", "rm", "remove", "destroy"),
    "projects use": ("use", "switch", "select-project", "checkout"),
    "projects current": ("current", "pwd"),
    "auth": ("users", "user", "signup", "accounts"),
    "assets": ("storage", "files", "file", "bucket", "buckets", "blobs", "s3"),
    "secrets": ("env", "environment", "variables", "vars", "secret"),
    "sites": ("hosting", "site", "static", "pages"),
    "functions": ("function", "lambda", "lambdas", "cron", "schedule", "workers", "edge"),
    "functions invoke": ("invoke", "call", "run", "exec"),
    "email": ("mail", "mailbox", "emails", "smtp"),
    "email send": ("send",),
    "subdomains list": ("url", "urls"),
    "open": ("console", "dashboard", "browse", "browser", "studio", "ui", "web"),
    "wallets current": ("whoami", "me", "account", "who"),
    "wallets list": ("wallet", "profiles", "profile"),
    "allowance balance": ("balance", "funds", "credit"),
    "operator login": ("login", "signin", "sign-in"),
    "operator logout": ("logout", "signout", "sign-out"),
    "deploy promote": ("rollback", "revert", "undo"),
    "deploy apply": ("publish", "ship", "push", "release", "migrate"),
    "deploy list": ("releases", "deployments", "deploys"),
    "logs": ("log", "tail"),
    "core start": ("start", "serve", "server", "local", "gateway"),
    "core stop": ("stop", "shutdown", "kill"),
    "core status": ("running",),
    "doctor": ("check", "diagnose", "test", "verify", "info"),
    "service health": ("health", "ping", "healthcheck"),
    "snapshots": ("backup", "backups", "dump", "snapshot"),
    "snapshots restore": ("restore",),
    "credentials": ("keys", "key", "apikey", "apikeys", "tokens", "token"),
    "schema": ("commands", "manifest"),
}
# Verbs: what the word asks for, the words, and the verbs of ours in the order in which they fit.
_VERBS: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (
    (
        "write",
        ("create", "new", "add", "make", "insert", "register", "provision", "init", "upload", "put"),
        [
            "create",
            "new",
            "add",
            "provision",
            "issue",
            "put",
            "set",
            "connect",
            "claim",
            "register",
            "submit",
            "deploy",
            "raise",
            "install",
            "link",
        ],
    ),
    (
        "read",
        ("get", "show", "view", "describe", "info", "inspect", "read", "cat", "print", "open", "details", "current"),
        ["get", "show", "current", "info", "status", "inspect", "list", "ls"],
    ),
    ("read", ("list", "ls", "all", "index", "find", "search", "query"), ["list", "ls", "status", "get"]),
    ("read", ("download", "fetch", "pull", "export"), ["get", "download", "export", "get-raw"]),
    ("read", ("whoami", "me", "who"), ["whoami", "current", "status"]),
    ("read", ("log", "tail", "output"), ["logs", "events"]),
    (
        "read",
        ("check", "verify", "test", "health", "validate", "state"),
        ["status", "verify", "check", "test", "health", "diagnose"],
    ),
    ("read", ("tables", "columns"), ["schema"]),
    (
        "destructive",
        ("rm", "remove", "delete", "del", "destroy", "drop", "unset", "purge", "revoke", "uninstall", "clear"),
        ["delete", "rm", "remove", "revoke", "disconnect", "clear", "unbind", "cancel", "reset", "archive"],
    ),
    (
        "write",
        ("update", "edit", "modify", "set", "change", "patch", "configure"),
        ["update", "set", "rename", "settings"],
    ),
    ("write", ("rename", "mv", "move"), ["rename"]),
    ("write", ("use", "select", "switch", "activate", "checkout"), ["use"]),
    ("write", ("run", "exec", "execute", "call", "invoke", "trigger"), ["invoke", "call", "submit", "sql", "create"]),
    (
        "write",
        ("deploy", "publish", "push", "release", "ship", "up"),
        ["deploy", "publish", "deploy-dir", "apply", "put"],
    ),
    ("write", ("login", "signin", "sign-in"), ["login"]),
    ("write", ("stop", "kill", "abort", "end"), ["stop", "cancel"]),
    ("destructive", ("rollback", "revert", "undo", "restore"), ["promote", "restore"]),
    ("destructive", ("rotate", "renew", "regenerate"), ["rotate", "renew"]),
    ("destructive", ("sql", "query", "psql"), ["sql"]),
)


# Flags of other tools, in the order in which ours fit.
_FLAGS: Mapping[str, Sequence[str]] = {
    "--body": ("--data", "--payload", "--json-body", "--data-raw"),
    "--payload-json": ("--data", "--payload", "--body"),
    "--body-file": ("--data-file", "--input", "--from-file"),
    "--schedule": ("--cron", "--every"),
    "--project": ("--project-id", "--prj", "--app", "--ref"),
    "--output": ("--out", "--dest", "--destination", "--save"),
    "--ttl": ("--expires-in", "--expiry", "--expires", "--ttl-seconds"),
    "--limit": ("--max", "--count", "--take", "--top", "--page-size", "--per-page"),
    "--tail": ("--lines", "--last"),
    "--file": ("--sql-file", "--path", "--from-file", "--input"),
    "--manifest": ("--config", "--config-file"),
    "--stdin": ("--from-stdin", "--value-stdin"),
    "--timeout-ms": ("--timeout",),
    "--fields": ("--select", "--columns"),
    "--confirm": ("--yes", "--force", "-y"),
    "--yes": ("--confirm", "--force"),
}


WORDS = frozenset(word for words in (*_TOP.values(), *(row[1] for row in _VERBS)) for word in words)


def command(word: str, before: Sequence[str], known: Iterable[str]) -> list[str]:
    """What was meant by `word` after the command words `before`: `[words]` of a command, or `[]`. `known` may stand there."""
    lowered, candidates = word.lower(), list(known)
    if not before:
        meant = next((path for path, words in _TOP.items() if lowered in words and path.split()[0] in candidates), None)
        if meant is not None:
            return [meant]
    asked = "destructive"
    for effect, words, verbs in _VERBS:
        if lowered in words:
            asked = effect
            for verb in verbs:
                if verb in candidates and _allowed((*before, verb), effect):
                    return [verb]
    return closest(word, [name for name in candidates if _allowed((*before, name), asked)])


def _allowed(path: Sequence[str], asked: str) -> bool:
    """Whether the command (of a group: its mildest) does no more than what was asked for."""
    from run402_cli.effects import SURFACE

    name = " ".join(path)
    effects = [_STRENGTH.index(row.effect) for key, row in SURFACE.items() if f"{key} ".startswith(f"{name} ")]
    return not effects or min(effects) <= _STRENGTH.index(asked)


def flag(word: str, known: Iterable[str]) -> list[str]:
    """What was meant by an unknown flag: `[flag]` of the known ones, or `[]`."""
    candidates = list(dict.fromkeys(known))
    meant = (ours for ours, words in _FLAGS.items() if word in words and ours in candidates)
    found = next(meant, None)
    if found is not None:
        return [found]
    longer = [each for each in candidates if each.startswith(f"{word}-")]
    return longer if len(longer) == 1 else closest(word, candidates)


def closest(word: str, candidates: Iterable[str]) -> list[str]:
    """`[candidate]` within as many edits as a third of the word's letters, or `[]` when nothing is near enough."""
    best: str | None = None
    best_distance = len(word.strip("-")) // 3 + 1
    for candidate in candidates:
        if abs(len(candidate) - len(word)) < best_distance:
            distance = _distance(word, candidate)
            if distance < best_distance:
                best, best_distance = candidate, distance
    return [best] if best is not None else []


def alike(name: str, candidates: Iterable[str]) -> list[str]:
    """`[candidate]` that shares most of its letters with a name of the user's own, in their order, or `[]`.

    Names are longer than words of ours and differ in whole parts: `user_todos` is like `todos`, five edits away.
    """
    from difflib import get_close_matches

    return get_close_matches(name[:_LONGEST_NAME], list(candidates), n=1, cutoff=0.6)


def did_you_mean(found: list[str]) -> str:
    """ " Did you mean X?" or nothing."""
    return f" Did you mean {found[0]}?" if found else ""


def _distance(a: str, b: str) -> int:
    """Edits between two words; two letters in the wrong order are one edit."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, char in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (char != other))
            if i > 1 and j > 1 and char == b[j - 2] and a[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
