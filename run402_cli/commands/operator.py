"""run402 operator: the human behind the wallets. Sign-in, overview, approvals."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import FlagError, ValidationError, Verdict
from run402_cli.services import operator
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

NoOpenOpt = Annotated[bool, typer.Option("--no-open", help="Only print the address; do not open a browser.")]

_FLAGS = {"org_id": "--org", "project_id": "--project"}


@app.command(
    "login",
    summary="Sign a human in, read-only or with --loopback to write.",
    effect="write",
    auth=(),
    example=["run402 operator login", "run402 operator login --loopback"],
)
def login(
    device: Annotated[
        bool, typer.Option("--device", help="Read-only, with a code for any device: the default.")
    ] = False,
    loopback: Annotated[
        bool, typer.Option("--loopback", help="Write-capable, with a passkey in a browser on this machine.")
    ] = False,
    step_up: Annotated[
        bool, typer.Option("--step-up", help="Like --loopback, for calls that want a fresh sign-in.")
    ] = False,
    no_open: NoOpenOpt = False,
) -> None:
    """Sign a human in. The address to open is printed on stderr; waits 5 minutes (--loopback) or as long as the code lives."""
    with TerminalClient() as client:
        if loopback or step_up:
            _browser_login(client, may_open=not no_open, step_up=step_up)
        else:
            _device_login(client, may_open=not no_open)


def _browser_login(client: Client, *, may_open: bool, step_up: bool) -> None:
    if step_up:
        output.notice("A fresh sign-in replaces the present session and its approvals.")
    view = operator.browser_login(client, may_open=may_open)
    output.notice(f"Signed in ({view['provenance']}).")
    for membership in view.get("memberships", []):
        output.notice(
            f"  {_text(membership, 'role')} of {_text(membership, 'display_name') or _text(membership, 'org_id')}"
        )
    output.emit(view, compact=True)


def _device_login(client: Client, *, may_open: bool) -> None:
    from run402_cli.client import browser

    started = operator.start_device_login(client)
    plain = browser.web_address(started.get("verification_uri"))
    address = browser.web_address(started.get("verification_uri_complete")) or plain
    if address is None:
        raise ValidationError("The gateway sent no address to sign in at.", code="INTERNAL_ERROR")
    browser.show(address, "Sign in at", may_open=may_open)
    output.request(f"Code: {browser.printable(started.get('user_code', ''))}")
    output.notice("Waiting for the browser.")
    view = operator.read_session_view(operator.finish_device_login(client, started))
    output.notice(f"Signed in as {browser.printable(view['email'])}, {view['wallet_count']} wallet(s).")
    output.emit(view, compact=True)


def _text(value: Any, key: str) -> str:
    from run402_cli.client import browser

    return browser.printable((value.get(key) if isinstance(value, dict) else None) or "")


@app.command(
    "overview",
    summary="Everything that the signed-in address owns.",
    effect="read",
    auth="operator_session",
    example="run402 operator overview | jq .rollup",
)
def overview() -> None:
    """Everything that the signed-in e-mail address owns, over all of its wallets."""
    with TerminalClient() as client:
        output.emit(operator.overview(client))


@app.command(
    "whoami",
    summary="The sessions cached here.",
    effect="read",
    auth=(),
    example="run402 operator whoami | jq .logged_in",
)
def whoami() -> None:
    """Show the sessions cached here, without a request."""
    view = operator.whoami()
    output.emit(view, compact=True)
    if not view["logged_in"]:
        raise Verdict(1, "Nobody is signed in here.", advice.command("operator", "login"))


@app.command(
    "logout",
    summary="Revoke and forget the sessions.",
    effect="write",
    auth="operator_session",
    example="run402 operator logout",
)
def logout() -> None:
    """Revoke the read session and forget all sessions and approvals cached here."""
    with TerminalClient() as client:
        output.emit(operator.logout(client), compact=True)


@app.command(
    "claim-wallet-org",
    summary="Take over the organization of the active wallet.",
    effect="write",
    auth="control_plane_session",
    example=["run402 operator claim-wallet-org", 'run402 operator claim-wallet-org --org ORG_ID --name "Acme"'],
)
def claim_wallet_org(
    org: Annotated[
        str | None, typer.Option("--org", metavar="ID", help="Which one, when the wallet owns several.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="New display name.")] = None,
) -> None:
    """Take over the organization that the active wallet owns; needs operator login --loopback."""
    with TerminalClient() as client:
        output.emit(operator.claim_wallet_org(client, org_id=org, name=name))


@app.command("write-auth", example="run402 operator approve --action project.deploy --project prj_123", hidden=True)
@app.command(
    "approve",
    summary="Approve one kind of write with a passkey.",
    effect="write",
    auth="control_plane_session",
    example="run402 operator approve --action project.deploy --project prj_123",
)
def approve(
    action: Annotated[
        str | None, typer.Option("--action", metavar="ACTION", help=f"One of {', '.join(operator.ACTIONS)}.")
    ] = None,
    org: Annotated[
        str | None, typer.Option("--org", metavar="ID", help="The organization, for org.project.create only.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="The project, for the project actions only.")
    ] = None,
    no_open: NoOpenOpt = False,
) -> None:
    """Approve one kind of write on one target with a passkey, for a while; needs operator login --loopback."""
    given = {"org_id": org, "project_id": project}
    target = _target(action, given)
    operator.require_browser_login()
    with TerminalClient() as client:
        output.emit(operator.approve(client, str(action), target, may_open=not no_open), compact=True)


def _target(action: str | None, given: dict[str, str | None]) -> dict[str, str]:
    """The one target that the action is for; BAD_FLAG for anything else."""
    if action not in operator.ACTIONS:
        allowed = list(operator.ACTIONS)
        raise FlagError(
            f"--action must be one of {', '.join(allowed)}.",
            details={"flag": "--action", "value": action, "allowed": allowed},
        )
    key = operator.ACTIONS[action]
    value = given[key]
    if not value:
        flag = _FLAGS[key]
        raise FlagError(f"{action} needs {flag}.", hint=f"Add {flag} <id>.", details={"flag": flag, "value": value})
    wrong = next((other for other in given if other != key and given[other] is not None), None)
    if wrong is not None:
        flag = _FLAGS[wrong]
        raise FlagError(f"{action} takes no {flag}.", details={"flag": flag, "value": given[wrong]})
    return {key: value}


@app.command(
    "status",
    summary="The browser login and the approvals cached here.",
    effect="read",
    auth=(),
    example="run402 operator status | jq .approvals",
)
def status() -> None:
    """The browser login and the approvals cached here, without a request."""
    view = operator.status()
    login = view["operator_login"]
    output.notice(
        f"Signed in until {login['expires_at']}." if login["active"] else "Nobody is signed in with a browser."
    )
    for entry in view["approvals"]:
        target = entry["org_id"] or entry["project_id"]
        output.notice(f"Approved until {entry['expires_at']}: {entry['action']} {target}")
    output.emit(view)
