"""Findings in source text and trees."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from run402_cli.release.source_scan import scan_text, scan_tree


def codes(text: str, suffix: str = ".ts") -> list[tuple[str, str, int]]:
    short = {"R402_AUTH_", "R402_DOCTOR_AUTH_"}
    found = scan_text(text, shown="f", suffix=suffix)
    rows = [(finding["code"], finding["severity"], finding["line"]) for finding in found]
    for prefix in short:
        rows = [(code.removeprefix(prefix), severity, line) for code, severity, line in rows]
    return rows


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('import {\n  db,\n  getUser,\n} from "@run402/functions"', [("UNKNOWN_EXPORT", "error", 3)]),
        ("x = getUser (req)", [("UNKNOWN_EXPORT", "error", 1)]),
        ("x = my.getUser(req); getUserName(); getUser", []),
        ("auth.signOut()", [("UNKNOWN_EXPORT", "error", 1)]),
        ("auth.sessions.endResponse()", []),
        ("localStorage.getItem( 'wl_session' )", [("UNKNOWN_EXPORT", "error", 1)]),
        ("fetch(u, {headers: {'Authorization': `Bearer ${t}`}})", [("UNKNOWN_EXPORT", "warn", 1)]),
        ('headers.set("Authorization", "Bearer " + t)', [("UNKNOWN_EXPORT", "warn", 1)]),
        ("Authorization: Basic", []),
        ("export const prerender = true\nauth.user()", [("PRERENDERED", "error", 2)]),
        ("export const prerender = false\nauth.user()", []),
        ("export async function GET(r) { await db().from('a').insert({}) }", [("STATE_CHANGING_GET", "error", 1)]),
        ("export const GET: APIRoute = () => db().from('a').insert({})", []),
        ("export const GET = db().insert({})", [("STATE_CHANGING_GET", "error", 1)]),
        ("export function GET() { adminDb().sql(`\n delete from x`) }", [("STATE_CHANGING_GET", "error", 1)]),
        ("export function POST() { adminDb().sql('delete from x') }", []),
        ("update internal.sessions\n set authz_version = 2", [("AUTHZ_VERSION_PROHIBITED", "error", 1)]),
        ('q.eq("user_id", user.id)', [("REDUNDANT_USER_FILTER", "warn", 1)]),
        ('// Run402-Allow-User-Filter\nq.eq("user_id", user.id)', []),
        ('q.eq("user_id", user.id) // run402-allow-user-filter', []),
        ('// run402-allow-user-filter\n\nq.eq("user_id", user.id)', [("REDUNDANT_USER_FILTER", "warn", 3)]),
        ("createResponseFromTenantAssertion(x)", [("SESSION_MINT_CAPABILITY_MISSING", "warn", 1)]),
    ],
)
def test_rules(text: str, found: list[tuple[str, str, int]]) -> None:
    assert codes(text) == found


def test_prerendering_is_looked_for_in_pages_only() -> None:
    text = "export const prerender = true\nauth.user()"
    assert codes(text, ".astro")
    assert not codes(text, ".mjs")


def test_only_the_severities_asked_for_are_returned() -> None:
    text = 'getUser()\nq.eq("user_id", user.id)'
    found = scan_text(text, shown="f", suffix=".ts", severities=("error",))
    assert [finding["severity"] for finding in found] == ["error"]


def test_a_tree_is_read_in_order_without_dependencies_and_links(tmp_path: Path) -> None:
    for name in ("b.ts", "a/z.js", "node_modules/x.ts", ".next/x.ts", "notes.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\ngetUser()\ngetUser()")
    (tmp_path / "link.ts").symlink_to(tmp_path / "b.ts")
    found = [(finding["file"], finding["line"]) for finding in scan_tree(tmp_path, tmp_path)]
    assert found == [(os.path.join("a", "z.js"), 2), (os.path.join("a", "z.js"), 3), ("b.ts", 2), ("b.ts", 3)]  # noqa: PTH118


def test_a_missing_tree_has_no_findings(tmp_path: Path) -> None:
    assert scan_tree(tmp_path / "missing", tmp_path) == []


def test_a_declared_capability_silences_the_minting_rule(tmp_path: Path) -> None:
    (tmp_path / "fn.ts").write_text("createResponseFromTenantAssertion(x)")
    config = tmp_path / "run402.config.json"
    for content, count in (
        ("not json", 1),
        (json.dumps({"functions": {"replace": {"a": {"capabilities": ["other"]}}}}), 1),
        (json.dumps({"functions": {"replace": {"a": {"capabilities": ["auth.sessionMint"]}}}}), 0),
        (json.dumps({"functions": {"patch": {"set": {"a": {"capabilities": ["auth.sessionMint"]}}}}}), 0),
    ):
        config.write_text(content)
        assert len(scan_tree(tmp_path, tmp_path)) == count


@pytest.mark.parametrize(
    "piece",
    [
        "import {",
        "db(",
        "db( ",
        "db() .",
        "db(.insert(",
        "auth.session ",
        ".eq('user_id', a.id)",
        "getUser ( ",
        "export const ",
    ],
)
def test_a_long_file_is_read_in_little_time(piece: str) -> None:
    text = "export const GET = 1\nexport const prerender = true\n" + piece * (200_000 // len(piece))
    began = time.monotonic()
    scan_text(text, shown="f", suffix=".ts")
    # It was minutes: each piece was followed to the end of the file.
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("db(a).from(b).insert(", []),
        ("db(\n).insert(1)", [1]),
        ("db(x\n) .delete (1)\nadminDb().update(2)", [1, 3]),
        ("db(a, b.update(1).insert(2)\ndb().insert(3)", [1, 2]),
        ("db(", []),
        ("db(db(\n.insert(1", [1]),
    ],
)
def test_writes_of_a_database_call(body: str, lines: list[int]) -> None:
    found = codes(f"export const GET = {body}")
    assert [line for code, _, line in found if code == "STATE_CHANGING_GET"] == lines
