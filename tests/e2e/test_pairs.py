"""What a write prints is what the read after it prints, for every field that both have."""

from __future__ import annotations

from typing import Any

import pytest
from e2e_kit import Cli

SOURCE = "export default async () => Response.json({});"
# When something was made is printed by both sides of some pairs, once by this machine's clock; what was installed is not
# known when a deploy prints it (null).
UNTOLD = {"created_at", "updated_at", "runtime_version", "deps_resolved"}


def _one(found: Any, key: str, value: Any) -> dict[str, Any]:
    """The object of a list, anywhere in a document, whose `key` is `value`."""
    if isinstance(found, dict):
        if found.get(key) == value:
            return found
        found = list(found.values())
    for item in found if isinstance(found, list) else []:
        if isinstance(item, dict | list) and (inside := _one(item, key, value)):
            return inside
    return {}


def _with(found: Any, key: str) -> dict[str, Any]:
    """The first object of a document that has `key`."""
    if isinstance(found, dict) and key in found:
        return found
    for item in found.values() if isinstance(found, dict) else found if isinstance(found, list) else []:
        if isinstance(item, dict | list) and (inside := _with(item, key)):
            return inside
    return {}


LIST = ["functions", "list"]
SETTINGS = ["--timeout", "7", "--memory", "256"]
DEPLOY = ["functions", "deploy", "f", "--file", "-"]
# What is there before, the write, the read after it, and the field that says which of a list it is.
PAIRS: list[tuple[list[str], list[str], list[str], str]] = [
    ([], DEPLOY, LIST, "name"),
    ([], [*DEPLOY, *SETTINGS, "--schedule", "0 4 * * *"], LIST, "name"),
    # The second deploy names nothing: what it prints is what is in force then.
    ([*DEPLOY, *SETTINGS], DEPLOY, LIST, "name"),
    ([], ["secrets", "set", "A_KEY", "some value"], ["secrets", "list"], "key"),
    ([], ["email", "create", "pairs"], ["email", "info"], "slug"),
    ([], ["email", "create", "listed"], ["email", "mailboxes"], "mailbox_id"),
    ([], ["snapshots", "create"], ["snapshots", "list"], "snapshot_id"),
    ([], ["branches", "create", "--name", "copy"], ["branches", "list"], "branch_project_id"),
    ([], ["credentials", "issue", "--kind", "anon", "--name", "pair"], ["credentials", "list"], "name"),
    (
        ["email", "create", "hooked"],
        ["email", "webhooks", "register", "--url", "https://example.com/hook", "--events", "delivery"],
        ["email", "webhooks", "list"],
        "webhook_id",
    ),
    ([], ["allowance", "limits", "set", "--per-payment-usd", "1"], ["allowance", "limits", "get"], "path"),
    ([], ["projects", "rename", "--name", "another"], ["projects", "get"], "project_id"),
]


@pytest.mark.parametrize(("before", "write", "read", "key"), PAIRS, ids=range(len(PAIRS)))
def test_a_write_prints_what_the_read_after_it_prints(
    cli: Cli, project: dict[str, str], before: list[str], write: list[str], read: list[str], key: str
) -> None:
    if before:
        cli.ok(*before, stdin=SOURCE)
    printed = cli.ok(*write, stdin=SOURCE if "-" in write else None)
    written = _with(printed, key)
    assert written, printed
    shown = _one(cli.ok(*read), key, written[key])
    assert shown
    both = (written.keys() & shown.keys()) - UNTOLD
    assert both
    assert {name: written[name] for name in both} == {name: shown[name] for name in both}
