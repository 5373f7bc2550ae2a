"""Differences between release states, as plan answers and release diffs show them; and what to warn about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import pairwise
from typing import Any

from run402_cli.core.releases.migration_scripts import Migration
from run402_cli.core.releases.route_warnings import route_warnings
from run402_cli.core.sql.lexer import SqlTextError, Token, each_statement
from run402_cli.release.sections import LIVE
from run402_cli.release.state import empty_state

CAP = 1000
_ENTRYPOINTS = ("index.html", "_worker.js")
# What bundlers write between a file's name and its ending: 8 to 64 characters of base64url or hex.
_DIGEST_IN_NAME = re.compile(r"[-._]([A-Za-z0-9_-]{8}|[A-Za-z0-9_]{9,64})(?:\.[A-Za-z0-9]+)+$")
State = Mapping[str, Any]
_COMPARED = tuple(section for section in LIVE if section.noun)
BUCKETS = tuple(section.name for section in _COMPARED)


def compare(before: State | None, after: State, *, cap: int = CAP, present: Collection[str] = ()) -> dict[str, Any]:
    """A bucket for each section that tells differences, and static_assets, between two states.

    `cap` bounds each list of a section with long ones (then `totals` appears). `present` are digests that need no upload;
    sizes in bytes.
    """
    before = before or empty_state()
    buckets: dict[str, Any] = {}
    for section in _COMPARED:
        bucket = section.diff(section.of(before), section.of(after))
        buckets[section.name] = _capped(bucket, cap) if section.long_lists else bucket
    return {**buckets, "static_assets": _static_assets(before, after, present)}


def changes_nothing(diff: Mapping[str, Any]) -> bool:
    """Whether no bucket of `compare` lists anything."""
    return not any(diff[name].get(key) for name in BUCKETS for key in ("added", "removed", "changed"))


def summary(diff: Mapping[str, Any], migrations: int, expose: bool, sections: Iterable[str] = ()) -> str:
    """One sentence that counts what changes; `sections` are what the release sections add to it."""
    parts = [f"{migrations} new migration{'s' * (migrations != 1)}"] if migrations else []
    for section in _COMPARED:
        bucket = diff[section.name]
        totals = bucket.get("totals") or {key: len(bucket.get(key, ())) for key in ("added", "removed", "changed")}
        counts = [f"{totals[key]} {key}" for key in ("added", "changed", "removed") if totals.get(key)]
        if counts:
            parts.append(f"{section.noun}s: {', '.join(counts)}")
    if expose:
        parts.append("expose manifest applied")
    parts += filter(None, sections)
    return "; ".join(parts) if parts else "No changes: the active release is already this one"


def _capped(bucket: dict[str, list[Any]], cap: int) -> dict[str, Any]:
    if all(len(items) <= cap for items in bucket.values()):
        return bucket
    return {
        **{key: items[:cap] for key, items in bucket.items()},
        "totals": {key: len(items) for key, items in bucket.items()},
    }


def _static_assets(before: State, after: State, present: Collection[str]) -> dict[str, Any]:
    old = {entry["path"]: entry["content_sha256"] for entry in before["site"]["paths"]}
    unchanged = changed = sent = reused = 0
    for entry in after["site"]["paths"]:
        sha256, was = entry["content_sha256"], old.pop(entry["path"], None)
        unchanged += was == sha256
        changed += was not in (None, sha256)
        if was == sha256 or sha256 in present:
            reused += entry["size_bytes"]
        else:
            sent += entry["size_bytes"]
    return {
        "unchanged": unchanged,
        "changed": changed,
        "added": len(after["site"]["paths"]) - unchanged - changed,
        "removed": len(old),
        "newly_uploaded_cas_bytes": sent,
        "reused_cas_bytes": reused,
        "deployment_copy_bytes_eliminated": reused,
        "legacy_immutable_warnings": [],
        "previous_immutable_failures": [],
        "cas_authorization_failures": [],
    }


def plan_warnings(
    before: State | None, after: State, diff: Mapping[str, Any], pending: Iterable[tuple[Migration, str | None]]
) -> list[dict[str, Any]]:
    """Warnings of a plan, by code. Those with requires_confirmation stop a deploy until they are acknowledged."""
    base = before or empty_state()
    found = [*removals(base, after), *_site_warnings(base, after), *route_warnings(base, after, diff)]
    if "totals" in diff["site"]:
        message = f"Only the first {CAP} entries of each site list are shown; `totals` counts them all."
        found.append(_warning("DIFF_TRUNCATED", "info", message, []))
    found += migration_warnings(list(pending))
    return sorted(found, key=lambda warning: warning["code"])


def removals(before: State | None, after: State) -> list[dict[str, Any]]:
    """The warnings about what is there now and would be gone: functions, subdomains, secrets, files. By code.

    Whatever makes another release live asks with these: a plan in either dialect, a promote.
    """
    base = before or empty_state()
    found = list(_removed_files(base, after))
    for section in _COMPARED:
        removed = section.diff(section.of(base), section.of(after))["removed"] if section.confirms_removal else []
        if removed:
            code = f"DESTRUCTIVE_{section.noun.upper()}_REMOVAL"
            message = f"Removes {section.name}: {', '.join(removed)}."
            found.append(_warning(code, "high", message, removed, confirm=True))
    if base["functions"] and not after["functions"]:
        message = "The release has no functions left."
        found.append(_warning("ZERO_FUNCTIONS_AFTER", "high", message, [], confirm=True))
    if base["subdomains"]["names"] and not after["subdomains"]["names"]:
        found.append(_warning("ZERO_SUBDOMAINS_AFTER", "warn", "The release has no subdomain left.", []))
    return sorted(found, key=lambda warning: warning["code"])


def _removed_files(before: State, after: State) -> Iterable[dict[str, Any]]:
    had = [entry["path"] for entry in before["site"]["paths"]]
    has = {entry["path"] for entry in after["site"]["paths"]}
    gone = [path for path in had if path not in has]
    if had and not has:
        message = f"Removes all of the {len(had)} site files."
        yield _warning("ZERO_SITE_FILES_AFTER", "high", message, had[:50], confirm=True)
        return
    lost = _without_successor(gone, has - set(had))
    if len(lost) * 10 > len(had):
        message = f"Removes {len(lost)} of {len(had)} site files."
        yield _warning("DESTRUCTIVE_SITE_BULK_REMOVAL", "high", message, lost[:50], confirm=True)
    entries = [path for path in gone if path in _ENTRYPOINTS]
    if entries:
        message = f"Removes the page that / shows: {', '.join(entries)}."
        yield _warning("SITE_ENTRYPOINT_REMOVED", "warn", message, entries, confirm=True)


def _without_successor(gone: Iterable[str], new: Iterable[str]) -> list[str]:
    """Those of `gone` that no new file takes the place of.

    A build that names its files by their content (`app-3f9ac2d1.js`) drops the old names on every change. That is a new
    version, not a removal: the same name but for a part that looks like a digest, of the same length.
    """
    left = Counter(key for path in new if (key := _undigested(path)) is not None)
    lost = []
    for path in gone:
        key = _undigested(path)
        if key is not None and left[key]:
            left[key] -= 1
        else:
            lost.append(path)
    return lost


def _undigested(path: str) -> tuple[str, int, str] | None:
    """(before, length, after) of the digest in a file's name; None when it has none."""
    found = _DIGEST_IN_NAME.search(path)
    if found is None or not any(char.isdigit() or char.isupper() for char in found[1]):
        return None
    return path[: found.start(1)], len(found[1]), path[found.end(1) :]


def _site_warnings(before: State, after: State) -> Iterable[dict[str, Any]]:
    if _is_explicit(before) and not _is_explicit(after):
        message = "public_paths goes from explicit to implicit: every file of the site becomes public by its name."
        yield _warning("PUBLIC_PATH_MODE_WIDENS_TO_IMPLICIT", "warn", message, [], confirm=True)
    if after["site"]["paths"] and not _shows_html(after):
        message = "No HTML file of the site is publicly reachable."
        # A site of data alone may be meant so. Pages that stop being reachable are a loss.
        yield _warning("SITE_NO_REACHABLE_HTML", "high", message, [], prefix="", confirm=_shows_html(before))


def _shows_html(state: State) -> bool:
    files = (state["static_manifest"] or {}).get("files", {})
    return any(entry["cache_class"] == "html" for entry in files.values())


def _is_explicit(state: State) -> bool:
    return (state["static_manifest"] or {}).get("public_path_mode") == "explicit"


def migration_warnings(pending: list[tuple[Migration, str | None]]) -> Iterable[dict[str, Any]]:
    """Warnings about the SQL that would run; what is not there yet (None) cannot be read."""
    bare = [m.id for m, _ in pending if not m.transactional]
    if bare:
        message = "Runs outside a transaction: a failure leaves its first statements in place."
        yield _warning("MIGRATION_NON_TRANSACTIONAL", "warn", message, bare, confirm=True)
    broken = [(m.id, _rules_of(text)) for m, text in pending if text is not None]
    for code, severity, message, _, confirm in _SQL_RULES:
        ids = [migration_id for migration_id, codes in broken if code in codes]
        if ids:
            yield _warning(code, severity, message, ids, confirm=confirm)


def _rules_of(text: str) -> set[str]:
    """The codes of the rules that a statement of the text is about."""
    found: set[str] = set()
    try:
        for tokens in each_statement(text, repeats=False):
            found |= {code for code, _, _, test, _ in _SQL_RULES if code not in found and test(tokens)}
    except SqlTextError:
        return set()
    return found


def _drops(tokens: list[Token]) -> bool:
    first = tokens[0]
    if first.is_word("truncate"):
        return True
    if first.is_word("drop"):
        return len(tokens) > 1 and tokens[1].is_word("table", "type")
    if not first.is_word("alter"):
        return False
    kept = ("constraint", "not", "default", "expression")
    return any(a.is_word("drop") and not b.is_word(*kept) for a, b in pairwise(tokens))


def _disables_rls(tokens: list[Token]) -> bool:
    words = [token.text for token in tokens if token.kind == "word"]
    return "disable" in words and "row" in words and "security" in words


def _locks(tokens: list[Token]) -> bool:
    words = [token.text for token in tokens if token.kind == "word"]
    return words[:1] == ["create"] and "index" in words[1:3] and "concurrently" not in words


def _has(*wanted: str) -> Callable[[list[Token]], bool]:
    def test(tokens: list[Token]) -> bool:
        words = [token.text for token in tokens if token.kind == "word"]
        return all(word in words for word in wanted)

    return test


_SQL_RULES: tuple[tuple[str, str, str, Callable[[list[Token]], bool], bool], ...] = (
    ("MIGRATION_SCHEMA_SHRINKING", "high", "Drops or empties tables, types or columns: data is lost.", _drops, True),
    ("MIGRATION_RLS_DISABLED", "high", "Switches row-level security off.", _disables_rls, True),
    ("MIGRATION_POLICY_REMOVAL", "warn", "Removes a row-level security policy.", _has("drop", "policy"), True),
    ("MIGRATION_PUBLIC_GRANT", "warn", "Grants privileges to PUBLIC.", _has("grant", "to", "public"), True),
    ("MIGRATION_LOCK_RISK", "warn", "Builds an index without CONCURRENTLY: writers wait for it.", _locks, False),
    (
        "MIGRATION_SECURITY_DEFINER",
        "warn",
        "Makes a function that runs with its owner's rights, past row-level security.",
        _has("security", "definer"),
        True,
    ),
)


def _warning(
    code: str, severity: str, message: str, affected: list[str], *, confirm: bool = False, prefix: str = "RUN402_CORE_"
) -> dict[str, Any]:
    return {
        "code": prefix + code,
        "severity": severity,
        "requires_confirmation": confirm,
        "message": message,
        "affected": affected,
    }
