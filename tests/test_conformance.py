"""Replays the recorded command-line cases when they lie beside the checkout; a user's clone skips them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "conformance"
# Deploy cases of this area are counted together with the sections that the engine serves.
MONEY = ("allowance", "tier", "billing", "redeem", "pay", "image", "ai")
AREAS = ("projects", "sites", "status", "wallets", "credentials", "service", "init", "up", *MONEY)
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded cases are not beside this checkout"),
]


def replay(*arguments: str) -> dict[str, Any]:
    """The checker's JSON report."""
    command = [
        sys.executable,
        str(FOLDER / "check.py"),
        "--cli",
        f"{sys.executable} -m run402_cli",
        "--json",
        "-j",
        "2",
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


@pytest.mark.parametrize("area", AREAS)
def test_every_recorded_case_of_the_area_passes(area: str) -> None:
    report = replay("--area", area)
    assert report["passed"] > 0
    assert report["failures"] == {}


def test_recorded_deploy_apply_cases_pass() -> None:
    report = replay("--only", "deploy-apply-*")
    assert report["passed"] / (report["passed"] + report["failed"]) >= 0.95, report["failures"]
