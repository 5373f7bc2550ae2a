"""Replays the recorded command-line cases when they lie beside the checkout; a user's clone skips them."""

from __future__ import annotations

import json

import pytest
from recorded_kit import FOLDER, report

AREAS = [
    "admin",
    "agent",
    "ai",
    "allowance",
    "apps",
    "archives",
    "assets",
    "auth",
    "billing",
    "branches",
    "cache",
    "cdn",
    "ci",
    "claims",
    "cloud",
    "contracts",
    "core",
    "credentials",
    "delegates",
    "deploy",
    "doctor",
    "domains",
    "email",
    "errors",
    "escalations",
    "events",
    "functions",
    "grants",
    "identity",
    "image",
    "init",
    "jobs",
    "logs",
    "message",
    "notifications",
    "operator",
    "org",
    "pay",
    "projects",
    "redeem",
    "rooms",
    "root",
    "secrets",
    "service",
    "sites",
    "snapshots",
    "status",
    "subdomains",
    "tier",
    "transfer",
    "up",
    "wallets",
    "webhook-secret",
]
# Recorded with another outcome on purpose (docs/differences.md): what the report of the case must show.
DECIDED = {
    # A file that cannot be read is BAD_ENV and never absent ("State").
    "root-keystore-malformed": "BAD_ENV",
    "root-state-malformed": "BAD_ENV",
    # `--value=--dash`: what follows `=` is the value ("Arguments").
    "secrets-set-dash-value": "want 1, got 0",
}
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded cases are not beside this checkout"),
]


@pytest.mark.parametrize("area", AREAS)
def test_every_recorded_case_of_the_area_passes(area: str) -> None:
    told = report("--area", area)
    assert told["passed"] > 0
    # The checker blanks its port number wherever the digits appear, also inside a digest; another run has another port.
    failures = {case: why for case in told["failures"] for why in [report("--only", case)["failures"]] if why}
    decided = {case: why for case, why in failures.items() if case in DECIDED}
    assert all(DECIDED[case] in json.dumps(why) for case, why in decided.items()), decided
    assert {case: why for case, why in failures.items() if case not in DECIDED} == {}
