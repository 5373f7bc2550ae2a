"""Session files: what counts as live, what is refused, what is kept."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.errors import CommandError, EnvironmentFault
from run402_cli.state import sessions

FAR = 4102444800000
ORG = {"org_id": "org_1"}


def control_plane(**changes: Any) -> dict[str, Any]:
    return {"control_plane_session_token": "cps", "expires_at": FAR, **changes}


def operator(**changes: Any) -> dict[str, Any]:
    fields = {"operator_session_token": "ops", "email": "a@b.c", "wallets": ["0x1"], "expires_at": FAR}
    return {**fields, "absolute_expires_at": "", **changes}


def put(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o600)
    return path


def soon(seconds: float) -> int:
    return round((time.time() + seconds) * 1000)


@pytest.mark.parametrize(
    ("changes", "live"),
    [
        ({}, True),
        ({"expires_at": 1000}, False),
        ({"expires_at": soon(5)}, False),  # ten seconds before its end it is over
        ({"absolute_expires_at": "2020-01-01T00:00:00.000Z"}, False),
        ({"absolute_expires_at": "2090-01-01T00:00:00.000Z"}, True),
        ({"absolute_expires_at": "some day"}, True),
    ],
)
def test_an_operator_session_is_live_until_its_first_end(config_dir: Path, changes: dict[str, Any], live: bool) -> None:
    put(config_dir, "operator-session.json", operator(**changes))
    assert (sessions.operator_session() is not None) is live
    assert sessions.stored_operator_session() is not None


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        operator(operator_session_token=""),
        operator(email=""),
        operator(expires_at="later"),
        operator(expires_at=True),
        operator(wallets=["0x1", 2]),
        operator(wallets="0x1"),
    ],
)
def test_a_session_file_of_another_shape_is_an_error_and_stays(config_dir: Path, value: Any) -> None:
    path = put(config_dir, "operator-session.json", value)
    before = path.read_bytes()
    with pytest.raises(EnvironmentFault, match=r"operator-session\.json"):
        sessions.operator_session()
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "null"])
def test_a_file_that_is_not_json_is_an_error_too(config_dir: Path, text: str) -> None:
    put(config_dir, "control-plane-session.json", text)
    put(config_dir, "write-auth-session.json", text)
    for read in (sessions.control_plane_session, sessions.approvals, sessions.ensure_writable):
        with pytest.raises(EnvironmentFault, match=r"session\.json"):
            read()


def test_a_session_that_others_can_read_is_made_private(config_dir: Path) -> None:
    path = put(config_dir, "control-plane-session.json", control_plane())
    path.chmod(0o644)
    assert sessions.control_plane_session() is not None
    assert path.stat().st_mode & 0o777 == 0o600


def approval(owner: sessions.Session, token: str, **answer: Any) -> dict[str, Any]:
    told = {"write_auth_token": token, **answer}
    return sessions.save_approval(owner, told, api_origin="https://a.test", action="org.project.create", target=ORG)


def test_an_approval_is_found_by_origin_session_action_and_target_only(config_dir: Path) -> None:
    session = sessions.save_control_plane_session(control_plane())
    approval(session, "wa")
    exact: dict[str, Any] = {"api_origin": "https://a.test", "action": "org.project.create", "target": ORG}
    assert sessions.write_auth_token(session, **exact) == "wa"
    others: list[dict[str, Any]] = [
        {"api_origin": "https://b.test"},
        {"action": "project.deploy"},
        {"target": {"org_id": "org_2"}},
        {"target": {**ORG, "project_id": "prj_1"}},
    ]
    for change in others:
        assert sessions.write_auth_token(session, **{**exact, **change}) is None
    assert sessions.write_auth_token(sessions.Session("other"), **exact) is None


def test_saving_replaces_the_same_approval_and_keeps_the_others(config_dir: Path) -> None:
    session = sessions.save_control_plane_session(control_plane())
    approval(session, "first")
    sessions.save_approval(
        session,
        {"write_auth_token": "deploy"},
        api_origin="https://a.test",
        action="project.deploy",
        target={"project_id": "p"},
    )
    approval(session, "second")
    assert [entry["write_auth_token"] for entry in sessions.approvals()] == ["deploy", "second"]
    path = config_dir / "write-auth-session.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(config_dir.glob("*.lock"))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"expires_at": "2090-01-01T00:00:00.000Z"}, 3786912000000),
        ({"absolute_expires_at": 4102444800}, FAR),
        ({"absolute_expires_at": FAR}, FAR),
        ({"expires_at": "", "absolute_expires_at": "2100-01-01T00:00:00Z"}, FAR),
    ],
)
def test_an_approval_ends_when_the_gateway_says(config_dir: Path, told: dict[str, Any], expected: int) -> None:
    session = sessions.save_control_plane_session(control_plane())
    assert approval(session, "wa", session=told)["expires_at"] == expected


def test_an_approval_without_an_end_lasts_half_an_hour(config_dir: Path) -> None:
    session = sessions.save_control_plane_session(control_plane())
    entry = approval(session, "wa", session="odd")
    assert entry["expires_at"] - entry["minted_at"] in range(1_799_000, 1_801_000)


def test_a_new_browser_login_forgets_the_approvals_of_the_one_before(config_dir: Path) -> None:
    approval(sessions.save_control_plane_session(control_plane()), "wa")
    sessions.save_control_plane_session(control_plane(control_plane_session_token="next", expires_in=60))
    assert not (config_dir / "write-auth-session.json").exists()
    saved = json.loads((config_dir / "control-plane-session.json").read_text())
    assert {key: saved[key] for key in ("control_plane_session_token", "provenance", "principal_id", "amr")} == {
        "control_plane_session_token": "next",
        "provenance": "loopback_pkce",
        "principal_id": "",
        "amr": [],
    }


def test_expired_and_broken_approvals_are_passed_over_and_a_wrong_file_is_an_error(config_dir: Path) -> None:
    entry = {
        "write_auth_token": "t",
        "action": "a",
        "api_origin": "o",
        "control_plane_session_hash": "h",
        "expires_at": FAR,
    }
    broken: list[Any] = [7, {}, {**entry, "write_auth_token": ""}, {**entry, "expires_at": 1000}]
    put(config_dir, "write-auth-session.json", {"approvals": [*broken, entry]})
    assert sessions.approvals() == [entry]
    put(config_dir, "write-auth-session.json", [])
    with pytest.raises(CommandError) as caught:
        sessions.approvals()
    assert caught.value.code == "BAD_ENV"


@given(st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.booleans()))
def test_any_expiry_is_read_or_passed_over(value: Any) -> None:
    moment = sessions.epoch_ms(value)
    if moment is not None:
        assert sessions.iso(moment).endswith("Z")
