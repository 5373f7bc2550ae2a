"""The human behind the wallets: device and browser logins, account overview, approvals, claiming an organization.

Sessions are files in the base directory, shared by all wallets (state/sessions.py). Tokens are never part of a result.
See docs/operator.md.
"""

from __future__ import annotations

import time
from typing import Any

from run402_cli import advice
from run402_cli.client import Client, credentials, write_auth
from run402_cli.errors import ApiError, CommandError, NetworkError, ValidationError
from run402_cli.state import sessions

ACTIONS = write_auth.ACTIONS
_DEVICE = "/agent/v1/operator/session/device"
_CLAIM = "/agent/v1/operator/claim-wallet-org"
_CLAIM_STATEMENT = "Claim wallet-owned org"
_LOGIN = "run402 operator login"
_LOOPBACK = "run402 operator login --loopback"
# Seconds, where the gateway does not say, and how long a device login is waited for whatever it says.
_INTERVAL_S = 5.0
_DEVICE_S = 600.0
_LONGEST_S = 3600.0
_POLL_STATES = ("authorization_pending", "slow_down", "access_denied", "expired_token")

Json = Any
Fields = dict[str, Any]


# -- device login: a read-only session ------------------------------------------------------------------------------------


def start_device_login(client: Client) -> Fields:
    """Start the sign-in of a human on any device.

    POST /agent/v1/operator/session/device {client_name}, no credentials.

    Returns {device_code, user_code, verification_uri, verification_uri_complete?, expires_in (s), interval (s)}.
    """
    sessions.ensure_writable()
    body = {"client_name": "run402 CLI"}
    answer = client.request("POST", _DEVICE, context="starting the sign-in", body=body)
    if not isinstance(answer, dict) or not isinstance(answer.get("device_code"), str) or not answer["device_code"]:
        raise _senseless("the start of the sign-in")
    return answer


def finish_device_login(client: Client, started: Fields) -> sessions.Session:
    """Wait until the human has decided, and save the session.

    POST .../device/token {device_code} every `interval` seconds until the human has decided; saves the session.

    Raises CommandError OPERATOR_LOGIN_DENIED, _EXPIRED, _TIMEOUT (after `expires_in` seconds, at most an hour) or _FAILED.
    """
    interval = max(_seconds(started.get("interval"), _INTERVAL_S), 1.0)
    deadline = time.monotonic() + min(_seconds(started.get("expires_in"), _DEVICE_S), _LONGEST_S)
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(interval, left))
        answer = _poll(client, started["device_code"])
        if answer == "slow_down":
            interval += 5.0
        elif answer != "authorization_pending":
            return _keep(answer)
    raise _login_error("TIMEOUT", "Nobody answered in the browser in time.")


def _poll(client: Client, device_code: str) -> Json:
    """The state authorization_pending or slow_down, or the final answer."""
    body = {"device_code": device_code}
    try:
        return client.request("POST", f"{_DEVICE}/token", context="waiting for the sign-in", body=body, reveals=True)
    except ApiError as exc:
        state = exc.fields.get("error")
        if state == "access_denied":
            raise _login_error("DENIED", "The sign-in was refused in the browser.") from exc
        if state == "expired_token":
            raise _login_error("EXPIRED", "The code was not entered in time.") from exc
        if state in _POLL_STATES:
            return state
        raise


def _keep(answer: Json) -> sessions.Session:
    fields = answer if isinstance(answer, dict) else {}
    wallets = fields.get("wallets")
    usable = all(isinstance(fields.get(key), str) and fields[key] for key in ("operator_session_token", "email"))
    if not usable or not isinstance(wallets, list | None):
        raise _login_error("FAILED", "The gateway's answer to the sign-in holds no session.")
    return sessions.save_operator_session(fields)


def _seconds(value: Json, default: float) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else default


def _login_error(suffix: str, message: str) -> CommandError:
    return CommandError(message, code=f"OPERATOR_LOGIN_{suffix}", hint=f"Sign in again: {_LOGIN}")


# -- browser login: a write-capable session -------------------------------------------------------------------------------


def browser_login(client: Client, *, may_open: bool = True) -> Fields:
    """Browser login on a loopback port (see services/approvals.sign_in), then GET /agent/v1/control-plane/session.

    Returns `control_plane_view` plus `memberships` [{org_id, role, status, display_name?}] when they could be read.
    """
    sessions.ensure_writable()
    from run402_cli.services import approvals

    session = approvals.sign_in(client, may_open=may_open)
    view = control_plane_view(session)
    try:
        path = "/agent/v1/control-plane/session"
        answer = client.request("GET", path, context="reading memberships", auth=credentials.Bearer(session.token))
    except (ApiError, NetworkError):
        return view
    memberships = answer.get("memberships") if isinstance(answer, dict) else None
    return {**view, "memberships": memberships if isinstance(memberships, list) else []}


# -- what is known here ---------------------------------------------------------------------------------------------------


def read_session_view(session: sessions.Session) -> Fields:
    """{logged_in, email, wallets, wallet_count, expires_at, absolute_expires_at, expires_in_seconds}."""
    wallets = session.fields["wallets"]
    return {
        "logged_in": True,
        "email": session.fields["email"],
        "wallets": wallets,
        "wallet_count": len(wallets),
        "expires_at": sessions.iso(session.fields["expires_at"]),
        "absolute_expires_at": session.fields.get("absolute_expires_at") or None,
        "expires_in_seconds": _left(session),
    }


def control_plane_view(session: sessions.Session) -> Fields:
    """{logged_in, kind, provenance, principal_id, amr, expires_at, expires_in_seconds, write_capable}."""
    fields = session.fields
    return {
        "logged_in": True,
        "kind": "control_plane_session",
        "provenance": fields.get("provenance") or "loopback_pkce",
        "principal_id": fields.get("principal_id") or None,
        "amr": _amr(fields),
        "expires_at": sessions.iso(fields["expires_at"]),
        "expires_in_seconds": _left(session),
        "write_capable": True,
    }


def _amr(fields: Fields) -> list[Json]:
    amr = fields.get("amr")
    return amr if isinstance(amr, list) else []


def _left(session: sessions.Session) -> int:
    ends: float = session.fields["expires_at"]
    return max(0, round((ends - sessions.now_ms()) / 1000))


def whoami() -> Fields:
    """The cached sessions, without a request. `logged_in` false has reason no_session or expired, and a hint."""
    stored, writer = sessions.stored_operator_session(), sessions.control_plane_session()
    if stored is not None and stored.is_live():
        view = read_session_view(stored)
        return view if writer is None else {**view, "control_plane": control_plane_view(writer)}
    if writer is not None:
        return control_plane_view(writer)
    if stored is None:
        return {"logged_in": False, "reason": "no_session", "hint": f"Sign in: {_LOGIN}"}
    email = stored.fields["email"]
    return {"logged_in": False, "reason": "expired", "email": email, "hint": f"Sign in again: {_LOGIN}"}


def status() -> Fields:
    """{operator_login: {active, provenance?, amr?, expires_at?}, approvals: [{action, org_id, project_id, expires_at}]}.

    Without a request; approvals that are over are left out, those of other sessions and gateways are not.
    """
    login: Fields = {"active": False}
    if (session := sessions.control_plane_session()) is not None:
        view = control_plane_view(session)
        login = {"active": True, **{key: view[key] for key in ("provenance", "amr", "expires_at")}}
    approvals = [
        {
            "action": entry["action"],
            "org_id": entry.get("org_id"),
            "project_id": entry.get("project_id"),
            "expires_at": sessions.iso(entry["expires_at"]),
        }
        for entry in sessions.approvals()
    ]
    return {"operator_login": login, "approvals": approvals}


# -- acting as the human --------------------------------------------------------------------------------------------------


def overview(client: Client) -> Json:
    """GET /agent/v1/operator/overview with the read session -> {scope, rollup, organizations, wallets, advisories}.

    Raises CommandError OPERATOR_LOGIN_REQUIRED without a live session, OPERATOR_SESSION_INVALID (and forgets the session)
    when the gateway does not take it.
    """
    session = sessions.operator_session()
    if session is None:
        raise _login_required("The overview needs a signed-in operator.", _LOGIN)
    try:
        path = "/agent/v1/operator/overview"
        return client.request("GET", path, context="reading the overview", auth=credentials.Bearer(session.token))
    except ApiError as exc:
        if exc.http not in (401, 403):
            raise
        sessions.forget(sessions.operator_path())
        raise CommandError(
            f"The gateway no longer takes this operator session (HTTP {exc.http}); it was forgotten.",
            code="OPERATOR_SESSION_INVALID",
            hint=f"Sign in again: {_LOGIN}",
        ) from exc


def logout(client: Client) -> Fields:
    """POST /agent/v1/operator/session/revoke for a live read session, then forget every session and approval.

    Returns {revoked, cleared}; a revocation that fails leaves `revoked` false. The control-plane session is forgotten
    here and runs out on the gateway.
    """
    revoked = False
    if (session := sessions.operator_session()) is not None:
        path = "/agent/v1/operator/session/revoke"
        try:
            client.request("POST", path, context="revoking the session", auth=credentials.Bearer(session.token))
            revoked = True
        except (ApiError, NetworkError):
            revoked = False
    sessions.forget(sessions.operator_path(), sessions.control_plane_path(), sessions.approvals_path())
    return {"revoked": revoked, "cleared": True}


def require_browser_login() -> sessions.Session:
    """The live control-plane session. Raises CommandError OPERATOR_LOGIN_REQUIRED."""
    session = sessions.control_plane_session()
    if session is None:
        raise _login_required("An approval needs an operator who signed in with a browser.", _LOOPBACK)
    return session


def approve(client: Client, action: str, target: dict[str, str], *, may_open: bool = True) -> Fields:
    """Mint one approval in the browser (see services/approvals.approve) -> {approved, action, target, expires_at}."""
    from run402_cli.services import approvals

    entry = approvals.approve(client, require_browser_login(), action, target, may_open=may_open)
    return {"approved": True, "action": action, **target, "expires_at": sessions.iso(entry["expires_at"])}


def claim_wallet_org(client: Client, *, org_id: str | None = None, name: str | None = None) -> Fields:
    """POST .../claim-wallet-org/challenge {wallet}, sign its nonce, POST .../claim-wallet-org {org_id?, display_name?}.

    Returns {claimed: true, org_id, display_name, role, already_owned}, or {claimed: false, selectable_orgs, hint} when the
    wallet owns several. Raises ValidationError LOCAL_ERROR without a control-plane session or wallet; ApiError 403
    STEP_UP_REQUIRED, WALLET_PROOF_INVALID.
    """
    session, allowance = sessions.control_plane_session(), client.profile.allowance
    if session is None:
        raise ValidationError(
            f"Sign in with a browser first, the organization will be yours: {_LOOPBACK}", reason="NOT_SIGNED_IN"
        )
    if allowance is None:
        raise ValidationError(
            "The active wallet has no key to prove ownership with. Choose one: run402 wallets list",
            reason="NO_WALLET_KEY",
        )
    auth = credentials.Bearer(session.token)
    asked = {"wallet": allowance.address}
    challenge = client.request("POST", f"{_CLAIM}/challenge", context="asking for a challenge", auth=auth, body=asked)
    nonce = challenge.get("nonce") if isinstance(challenge, dict) else None
    if not isinstance(nonce, str) or not nonce:
        raise _senseless("the challenge")
    given = {"org_id": org_id, "display_name": name}
    answer = client.request(
        "POST",
        _CLAIM,
        context="claiming the organization",
        auth=auth,
        body={key: value for key, value in given.items() if value},
        headers={"SIGN-IN-WITH-X": _claim_proof(client, nonce)},
    )
    return _claimed(answer)


def _claim_proof(client: Client, nonce: str) -> str:
    from run402_cli.client import siwx
    from run402_cli.client.http import httpx

    allowance = client.profile.allowance
    assert allowance is not None
    return siwx.header(
        allowance.private_key,
        allowance.address,
        domain=httpx.URL(client.api_base).host.lower(),
        uri=client.origin + _CLAIM,
        statement=_CLAIM_STATEMENT,
        nonce=nonce,
    )


def _claimed(answer: Json) -> Fields:
    fields = answer if isinstance(answer, dict) else {}
    if fields.get("status") == "select_org":
        hint = "This wallet owns several organizations. Choose one: run402 operator claim-wallet-org --org <org_id>"
        return {"claimed": False, "selectable_orgs": fields.get("selectable_orgs") or [], "hint": hint}
    if not isinstance(fields.get("org_id"), str):
        raise _senseless("the claim")
    return {
        "claimed": True,
        "org_id": fields["org_id"],
        "display_name": fields.get("display_name"),
        "role": fields.get("role"),
        "already_owned": bool(fields.get("already_owned")),
    }


def _login_required(message: str, command: str) -> CommandError:
    action = advice.entry("authenticate", advice.parsed(command))
    return CommandError(message, code="OPERATOR_LOGIN_REQUIRED", hint=f"Sign in: {command}", next_actions=[action])


def _senseless(what: str) -> ValidationError:
    return ValidationError(
        f"The gateway answered {what} with something that is not the documented JSON.",
        code="INTERNAL_ERROR",
        details={"hint": "Check that the API base is a Run402 gateway: run402 service health"},
    )
