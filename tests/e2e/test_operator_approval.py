"""The real program at a terminal: a refused write asks the human in a browser once, and is repeated once.

The terminal is a pseudo-terminal, the browser a script named xdg-open that follows redirects, the gateway checks PKCE.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from operator_gateway import Human, human_gateway

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal and xdg-open")

BROWSER = f"""#!{sys.executable}
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=20).read()
"""
SESSION = {
    "control_plane_session_token": "old",
    "token_type": "Bearer",
    "provenance": "loopback_pkce",
    "principal_id": "prn_1",
    "amr": ["passkey"],
    "expires_at": 4102444800000,
}


@dataclass
class Ended:
    exit: int
    out: str
    err: str

    @property
    def error(self) -> dict[str, Any]:
        value = json.loads(next(line for line in self.err.splitlines() if '"status":"error"' in line))
        assert isinstance(value, dict)
        return value


@dataclass
class Desk:
    """A human at a terminal, or (`terminal` false) a pipe."""

    human: Human
    folder: Path
    config: Path

    def run(self, *args: str, terminal: bool = True) -> Ended:
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        given = {"PATH": path, "RUN402_API_BASE": self.human.base, "RUN402_CONFIG_DIR": str(self.config)}
        given["BROWSER"] = "xdg-open"
        command = [sys.executable, "-m", "run402_cli", *args]
        near, far = os.openpty()
        process = subprocess.Popen(
            command,
            env={**os.environ, **given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=far if terminal else subprocess.PIPE,
        )
        os.close(far)
        out, err = process.communicate(timeout=60) if not terminal else (None, _drain(near))
        if terminal:
            out, _ = process.communicate(timeout=60)
        os.close(near)
        return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())

    def approve_in_advance(self) -> None:
        entry = {
            "write_auth_token": "approved0",
            "action": "org.project.create",
            "org_id": "org_1",
            "expires_at": 4102444800000,
            "control_plane_session_hash": hashlib.sha256(b"old").hexdigest()[:32],
            "api_origin": self.human.base,
        }
        (self.config / "write-auth-session.json").write_text(json.dumps({"approvals": [entry]}))


def _drain(fd: int) -> bytes:
    data = b""
    while True:
        try:
            chunk = os.read(fd, 65_536)
        except OSError:  # the last writer has gone
            return data
        if not chunk:
            return data
        data += chunk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    bin_folder, config = tmp_path / "bin", tmp_path / "config"
    bin_folder.mkdir()
    config.mkdir(mode=0o700)
    opener = bin_folder / "xdg-open"
    opener.write_text(BROWSER)
    opener.chmod(0o755)
    (config / "control-plane-session.json").write_text(json.dumps(SESSION))
    with human_gateway() as human:
        yield Desk(human, bin_folder, config)


PROVISION = ("projects", "provision", "--org", "org_1", "--idempotency-key", "k1")


def test_a_write_without_approval_is_approved_and_repeated_once(desk: Desk) -> None:
    ended = desk.run(*PROVISION)
    assert ended.exit == 0, ended.err
    assert json.loads(ended.out)["project_id"] == "prj_new"
    assert desk.human.writes == [
        {"session": "old", "token": "", "key": "k1"},
        {"session": "old", "token": "approved1", "key": "k1"},
    ]
    assert "Approve org.project.create org_1 at: " in ended.err
    assert "approved1" not in ended.err + ended.out
    saved = desk.config / "write-auth-session.json"
    (entry,) = json.loads(saved.read_text())["approvals"]
    assert (entry["write_auth_token"], entry["org_id"], entry["api_origin"]) == ("approved1", "org_1", desk.human.base)
    assert saved.stat().st_mode & 0o777 == 0o600
    # The approval is kept: the next write asks nobody.
    assert desk.run("projects", "provision", "--org", "org_1").exit == 0
    assert len(desk.human.writes) == 3


def test_without_a_terminal_nobody_is_asked_and_the_refusal_names_the_command(desk: Desk) -> None:
    ended = desk.run(*PROVISION, terminal=False)
    assert (ended.exit, ended.out) == (1, "")
    assert (ended.error["code"], ended.error["http"]) == ("WRITE_AUTH_REQUIRED", 403)
    assert ended.error["next_actions"][0]["type"] == "operator_approve"
    command = "run402 operator approve --action org.project.create --org org_1"
    assert ended.error["next_actions"][0]["command"] == command
    assert desk.human.calls == [("POST", "/projects/v1")]


def test_a_human_who_refuses_leaves_the_refusal_as_it_came(desk: Desk) -> None:
    desk.human.deny = True
    ended = desk.run(*PROVISION)
    assert (ended.exit, ended.error["code"]) == (1, "WRITE_AUTH_REQUIRED")
    assert "access_denied" in ended.err
    assert len(desk.human.writes) == 1


def test_an_approval_page_of_another_host_is_never_opened(desk: Desk) -> None:
    desk.human.foreign_confirm = True
    ended = desk.run(*PROVISION)
    assert ended.error["code"] == "WRITE_AUTH_REQUIRED"
    assert "evil.test" not in ended.err
    assert len(desk.human.writes) == 1


def test_an_approval_that_the_gateway_forgot_is_asked_again_once(desk: Desk) -> None:
    desk.approve_in_advance()
    assert desk.run(*PROVISION).exit == 0
    assert [write["token"] for write in desk.human.writes] == ["approved0", "approved1"]


def test_a_stale_sign_in_is_made_fresh_with_the_approval_it_had_then_the_call_is_repeated_once(desk: Desk) -> None:
    desk.approve_in_advance()
    desk.human.stale = {"old"}
    ended = desk.run(*PROVISION)
    assert ended.exit == 0, ended.err
    assert [write["session"] for write in desk.human.writes] == ["old", "fresh"]
    assert (
        json.loads((desk.config / "control-plane-session.json").read_text())["control_plane_session_token"] == "fresh"
    )


def test_a_fresh_sign_in_that_does_not_help_ends_in_the_gateways_refusal(desk: Desk) -> None:
    desk.human.stale = {"old", "fresh"}
    ended = desk.run(*PROVISION)
    assert (ended.exit, ended.error["code"]) == (1, "STEP_UP_REQUIRED")
    assert "run402 operator login --step-up" in ended.error["hint"]
    assert len(desk.human.writes) == 2


def test_the_login_and_approve_commands_run_the_same_ceremonies(desk: Desk) -> None:
    (desk.config / "control-plane-session.json").unlink()
    login = desk.run("operator", "login", "--loopback")
    view = json.loads(login.out)
    assert (view["kind"], view["write_capable"], view["memberships"][0]["role"]) == (
        "control_plane_session",
        True,
        "owner",
    )
    assert "fresh" not in login.out
    approved = desk.run("operator", "approve", "--action", "org.project.create", "--org", "org_1")
    assert {key: json.loads(approved.out)[key] for key in ("approved", "action", "org_id")} == {
        "approved": True,
        "action": "org.project.create",
        "org_id": "org_1",
    }
    assert desk.run("projects", "provision", "--org", "org_1").exit == 0
    assert len(desk.human.writes) == 1
