"""The browser logins and approvals of a human operator, and a refused call that asks for them. See docs/operator.md."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from run402_cli import global_options, output
from run402_cli.client import Client, browser, credentials, write_auth
from run402_cli.client.urls import same_origin
from run402_cli.errors import ApiError, CommandError, Run402Error
from run402_cli.state import sessions

_CONTROL_PLANE = "/agent/v1/control-plane"


def ask(client: Client, refusal: ApiError, auth: credentials.Operator) -> credentials.Operator | None:
    """Ask the human at this terminal for what the gateway misses, and return the credential that has it.

    Once: the credential is `final`. None when nobody is there, when it cannot be given this way, or when it was not given;
    the caller then reports the refusal as it came.
    """
    steps_up = refusal.code == "STEP_UP_REQUIRED"
    approvable = auth.capability in write_auth.ACTIONS
    if not sys.stderr.isatty() or not (steps_up or (refusal.needs_operator_approval and approvable)):
        return None
    try:
        session = sign_in(client) if steps_up else sessions.control_plane_session()
        if session is None:
            return None
        # An approval belongs to one session: a call that had one needs another after a new sign-in.
        needs_approval = approvable and (auth.approved or not steps_up)
        entry = approve(client, session, auth.capability, auth.target) if needs_approval else None
    except Run402Error as exc:
        output.notice(f"note: no approval was given: {exc.message}")
        return None
    token = entry["write_auth_token"] if entry is not None else None
    return credentials.Operator(
        session.token, write_auth=token, capability=auth.capability, target=auth.target, final=True
    )


def sign_in(client: Client, *, may_open: bool = True) -> sessions.Session:
    """Browser login with PKCE: GET .../cli/authorize in the browser, POST .../cli/token -> the saved session.

    Waits at most 300 seconds. Earlier approvals are forgotten. Raises CommandError OPERATOR_LOOPBACK_FAILED without a
    port, OPERATOR_LOGIN_FAILED when the browser brings no usable code; ApiError when the gateway does not take it.
    """
    global_options.about_to_write(sessions.control_plane_path())
    challenge = browser.Challenge()
    try:
        with browser.listening(challenge) as callback:
            redirect_uri = callback.redirect_uri
            query = {
                "redirect_uri": redirect_uri,
                "code_challenge": challenge.code_challenge,
                "code_challenge_method": "S256",
                "state": challenge.state,
                "nonce": challenge.nonce,
            }
            address = f"{client.api_base}{_CONTROL_PLANE}/cli/authorize?{urlencode(query)}"
            browser.show(address, "Sign in with your passkey at", may_open=may_open)
            output.notice(f"Waiting for the browser, {browser.WAIT_S:.0f} seconds at most.")
            code = callback.wait()
    except browser.ListenFailed as exc:
        raise _failed("OPERATOR_LOOPBACK_FAILED", f"No port of 127.0.0.1 could be opened: {exc}.") from exc
    except browser.CallbackFailed as exc:
        raise _failed("OPERATOR_LOGIN_FAILED", f"Nobody was signed in: {exc}.") from exc
    proof = {"code": code, "code_verifier": challenge.verifier, "redirect_uri": redirect_uri, "state": challenge.state}
    answer = client.request(
        "POST", f"{_CONTROL_PLANE}/cli/token", context="finishing the sign-in", body=proof, reveals=True
    )
    if not _has_token(answer, "control_plane_session_token"):
        raise _failed("OPERATOR_LOGIN_FAILED", "The gateway's answer to the sign-in holds no session.")
    return sessions.save_control_plane_session(answer)


def approve(
    client: Client, session: sessions.Session, action: str, target: dict[str, str], *, may_open: bool = True
) -> dict[str, Any]:
    """One passkey approval: POST .../write-auth/challenges, the browser, POST .../write-auth/cli/token -> the saved entry.

    Waits at most 300 seconds. Raises CommandError OPERATOR_APPROVE_BAD_CONFIRM_URL for an address of another origin than
    the API, OPERATOR_APPROVE_FAILED when the browser brings no usable code; ApiError when the gateway refuses.
    """
    again = write_auth.approve_command(action, target)
    challenge = browser.Challenge()
    try:
        with browser.listening(challenge) as callback:
            address = _confirm_url(client, session, action, target, challenge, callback.redirect_uri)
            subject = browser.printable(" ".join([action, *target.values()]))
            browser.show(address, f"Approve {subject} at", may_open=may_open)
            output.notice(f"Waiting for the browser, {browser.WAIT_S:.0f} seconds at most.")
            code = callback.wait()
    except browser.ListenFailed as exc:
        raise _failed("OPERATOR_APPROVE_FAILED", f"No port of 127.0.0.1 could be opened: {exc}.", again) from exc
    except browser.CallbackFailed as exc:
        raise _failed("OPERATOR_APPROVE_FAILED", f"Nothing was approved: {exc}.", again) from exc
    proof = {"code": code, "code_verifier": challenge.verifier, "state": challenge.state}
    path = f"{_CONTROL_PLANE}/write-auth/cli/token"
    answer = client.request("POST", path, context="collecting the approval", body=proof, reveals=True)
    if not _has_token(answer, "write_auth_token"):
        raise _failed("OPERATOR_APPROVE_FAILED", "The gateway's answer to the approval holds no token.", again)
    output.notice(f"Approved: {subject}.")
    return sessions.save_approval(session, answer, api_origin=client.origin, action=action, target=target)


def _confirm_url(
    client: Client,
    session: sessions.Session,
    action: str,
    target: Mapping[str, str],
    challenge: Any,
    redirect_uri: str,
) -> str:
    """The address at which the human approves. It must be the gateway's own: its page asks for a passkey."""
    body = {
        "action": action,
        "cli_redirect_uri": redirect_uri,
        "code_challenge": challenge.code_challenge,
        "state": challenge.state,
        **target,
    }
    path = f"{_CONTROL_PLANE}/write-auth/challenges"
    answer = client.request(
        "POST", path, context="asking for an approval", auth=credentials.Bearer(session.token), body=body
    )
    address = browser.web_address(answer.get("confirm_url") if isinstance(answer, dict) else None)
    if address is None or not same_origin(address, client.api_base):
        raise CommandError(
            f"The gateway sent no address of its own ({client.origin}) to approve at; it was not opened.",
            code="OPERATOR_APPROVE_BAD_CONFIRM_URL",
            hint="Check which gateway requests go to: run402 status",
        )
    return address


def _has_token(answer: Any, key: str) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get(key), str) and bool(answer[key])


def _failed(code: str, message: str, again: str | None = None) -> CommandError:
    command = again or "run402 operator login --loopback"
    return CommandError(message, code=code, hint=f"Try again: {command}")
