"""run402 contracts: signers whose keys nobody holds, and smart-contract calls through them."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from run402_cli import output
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import (
    IdempotencyKeyOpt,
    ProjectOpt,
    checked_key,
    one_of,
    parse_json_flag,
    take_project,
)
from run402_cli.errors import FlagError, UsageError
from run402_cli.services import contracts
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_ADDRESS = re.compile(r"0x[a-fA-F0-9]{40}")
_WEI = re.compile(r"[0-9]+")
_CHAINS = " or ".join(contracts.CHAINS)

Project = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project
Signer = Annotated[list[str] | None, typer.Argument(metavar="SIGNER_ID", show_default=False)]
Call = Annotated[list[str] | None, typer.Argument(metavar="CALL_ID", show_default=False)]
ChainOpt = Annotated[str | None, typer.Option("--chain", metavar="CHAIN", help=f"{_CHAINS}; required.")]
SpendChainOpt = Annotated[str, typer.Option("--chain", metavar="CHAIN", help=f"{_CHAINS}.")]
ToOpt = Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="0x and 40 hex digits.")]
AbiOpt = Annotated[str | None, typer.Option("--abi", metavar="JSON", help="The part of the ABI that has the function.")]
FnOpt = Annotated[str | None, typer.Option("--fn", metavar="NAME", help="The function.")]
ArgsOpt = Annotated[str | None, typer.Option("--args", metavar="JSON", help="Its arguments, an array.")]
ValueOpt = Annotated[str | None, typer.Option("--value-wei", metavar="WEI", help="Native currency to send along.")]
ConfirmOpt = Annotated[bool, typer.Option("--confirm", help="Required: this cannot be undone.")]


def _split(words: list[str] | None, what: str | None, usage: str) -> tuple[list[str], str]:
    """The older leading project word, and the one id. A word that is a project id is never taken for `what`."""
    given = words or []
    lead = given[:1] if given and given[0].startswith("prj_") else []
    rest = given[len(lead) :]
    if what is not None and not rest:
        raise UsageError(f"The {what} id is missing.", hint=usage)
    allowed = 1 if what is not None else 0
    if len(rest) > allowed:
        raise UsageError(f"Unexpected argument {rest[allowed]!r}.", hint=usage)
    return lead, rest[0] if rest else ""


def _require(usage: str, **flags: str | bool | None) -> None:
    missing = [f"--{name.rstrip('_').replace('_', '-')}" for name, value in flags.items() if value in (None, False)]
    if missing:
        raise UsageError(f"Missing {', '.join(missing)}.", hint=usage)


def _address(flag: str, value: str | None) -> str:
    if value is None or not _ADDRESS.fullmatch(value):
        raise FlagError(f"{flag} takes an address: 0x and 40 hex digits.", details={"field": flag, "value": value})
    return value


def _wei(flag: str, value: str | None) -> str | None:
    if value is not None and not _WEI.fullmatch(value):
        raise FlagError(f"{flag} takes a whole number of wei.", details={"field": flag, "value": value})
    return value


def _project(client: Client, project: str | None, lead: list[str]) -> str:
    return take_project(client.profile, project, lead)[0]


# -- signers --------------------------------------------------------------------------------------------------------------


@app.command(
    "provision-signer",
    summary="Create a signer.",
    effect="write",
    auth="service_key",
    spends=True,
    needed="--chain",
    example="run402 contracts provision-signer --chain base-sepolia",
)
def provision_signer(
    words: Project = None,
    chain: ChainOpt = None,
    recovery: Annotated[
        str | None, typer.Option("--recovery", metavar="ADDRESS", help="Where the balance goes in an emergency.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Also when the project has an active signer.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Create a signer: 0.04 USD a day, from at least 1.20 USD of cash credit."""
    usage = "run402 contracts provision-signer --chain base-sepolia"
    lead, _ = _split(words, None, usage)
    _require(usage, chain=chain)
    one_of("--chain", chain, contracts.CHAINS)
    if recovery is not None:
        _address("--recovery", recovery)
    with TerminalClient() as client:
        target = _project(client, project, lead)
        output.emit(
            contracts.provision_signer(client, target, chain=str(chain), recovery_address=recovery, confirmed=yes)
        )


@app.command(
    "get-signer",
    summary="Show one signer with its balance.",
    effect="read",
    auth="service_key",
    example="run402 contracts get-signer SIGNER_ID | jq -r .balance_wei",
)
def get_signer(words: Signer = None, project: ProjectOpt = None) -> None:
    """Show one signer with its balance on the chain."""
    lead, signer_id = _split(words, "signer", "run402 contracts get-signer <signer_id>")
    with TerminalClient() as client:
        output.emit(contracts.get_signer(client, _project(client, project, lead), signer_id))


@app.command(
    "list-signers",
    summary="List signers.",
    effect="read",
    auth="service_key",
    example="run402 contracts list-signers | jq -r '.signers[].address'",
)
def list_signers(words: Project = None, project: ProjectOpt = None) -> None:
    """List the signers of a project, deleted ones included."""
    lead, _ = _split(words, None, "run402 contracts list-signers")
    with TerminalClient() as client:
        output.emit(contracts.list_signers(client, _project(client, project, lead)))


@app.command(
    "set-recovery",
    summary="Set or clear the recovery address.",
    effect="write",
    auth="service_key",
    example=[
        "run402 contracts set-recovery SIGNER_ID --address 0x4444444444444444444444444444444444444444",
        "run402 contracts set-recovery SIGNER_ID --clear",
    ],
)
def set_recovery(
    words: Signer = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="The new recovery address.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the present one away.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Set or clear the address that a signer's balance can be recovered to."""
    usage = "run402 contracts set-recovery <signer_id> --address <0x...>, or --clear"
    lead, signer_id = _split(words, "signer", usage)
    if clear == (address is not None):
        raise UsageError("Give --address or --clear, one of them.", hint=usage)
    wanted = None if clear else _address("--address", address)
    with TerminalClient() as client:
        answer = contracts.set_recovery(client, _project(client, project, lead), signer_id, wanted)
        output.emit(answer, compact=True)


@app.command(
    "set-alert",
    summary="Warn below a balance.",
    effect="write",
    auth="service_key",
    needed="--threshold-wei",
    example="run402 contracts set-alert SIGNER_ID --threshold-wei 1000000000000000",
)
def set_alert(
    words: Signer = None,
    threshold_wei: Annotated[
        str | None, typer.Option("--threshold-wei", metavar="WEI", help="Warn below this balance; required.")
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Set the balance below which a warning is sent."""
    usage = "run402 contracts set-alert <signer_id> --threshold-wei <wei>"
    lead, signer_id = _split(words, "signer", usage)
    _require(usage, threshold_wei=threshold_wei)
    _wei("--threshold-wei", threshold_wei)
    with TerminalClient() as client:
        answer = contracts.set_alert(client, _project(client, project, lead), signer_id, str(threshold_wei))
        output.emit(answer, compact=True)


@app.command(
    "drain",
    summary="Send a signer's whole balance away.",
    effect="destructive",
    auth="service_key",
    needed="--to",
    example="run402 contracts drain SIGNER_ID --to 0x4444444444444444444444444444444444444444 --confirm",
)
def drain(words: Signer = None, to: ToOpt = None, confirm: ConfirmOpt = False, project: ProjectOpt = None) -> None:
    """Send a signer's whole native balance away, also when it is suspended."""
    usage = "run402 contracts drain <signer_id> --to <0x...> --confirm"
    lead, signer_id = _split(words, "signer", usage)
    _require(usage, to=to, confirm=confirm)
    destination = _address("--to", to)
    with TerminalClient() as client:
        output.emit(contracts.drain(client, _project(client, project, lead), signer_id, to=destination))


@app.command(
    "delete",
    summary="Schedule a signer's key for deletion.",
    effect="destructive",
    auth="service_key",
    example="run402 contracts delete SIGNER_ID --confirm",
)
def delete(words: Signer = None, confirm: ConfirmOpt = False, project: ProjectOpt = None) -> None:
    """Schedule a signer's key for deletion; refused while it has a balance."""
    usage = "run402 contracts delete <signer_id> --confirm"
    lead, signer_id = _split(words, "signer", usage)
    _require(usage, confirm=confirm)
    with TerminalClient() as client:
        output.emit(contracts.delete(client, _project(client, project, lead), signer_id))


# -- calls ----------------------------------------------------------------------------------------------------------------


@app.command(
    "call",
    summary="Submit a call that changes the chain.",
    effect="write",
    auth="service_key",
    spends=True,
    needed=("--to", "--abi", "--fn", "--args"),
    example=(
        "run402 contracts call SIGNER_ID --to 0x4444444444444444444444444444444444444444 "
        '--abi \'[{"type":"function","name":"ping","inputs":[]}]\' --fn ping --args "[]" --chain base-sepolia'
    ),
)
def call(
    words: Signer = None,
    to: ToOpt = None,
    abi: AbiOpt = None,
    fn: FnOpt = None,
    args: ArgsOpt = None,
    chain: SpendChainOpt = contracts.DEFAULT_CHAIN,
    value_wei: ValueOpt = None,
    idempotency_key: IdempotencyKeyOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Submit a call that changes the chain: 0.000005 USD and the gas. Repeat it safely with --idempotency-key."""
    usage = "run402 contracts call <signer_id> --to <0x...> --abi <json> --fn <name> --args <json>"
    lead, signer_id = _split(words, "signer", usage)
    _require(usage, to=to, abi=abi, fn=fn, args=args)
    one_of("--chain", chain, contracts.CHAINS)
    _wei("--value-wei", value_wei)
    checked_key(idempotency_key)
    fragment = parse_json_flag("--abi", str(abi))
    values = parse_json_flag("--args", str(args))
    address = _address("--to", to)
    with TerminalClient() as client:
        output.emit(
            contracts.call(
                client,
                _project(client, project, lead),
                signer_id,
                chain=chain,
                to=address,
                abi=fragment,
                function=str(fn),
                args=values,
                value_wei=value_wei,
                idempotency_key=idempotency_key,
            )
        )


@app.command(
    "deploy",
    summary="Deploy a contract.",
    effect="write",
    auth="service_key",
    spends=True,
    needed="--bytecode",
    example="run402 contracts deploy SIGNER_ID --bytecode 0x6080... --chain base-sepolia",
)
def deploy(
    words: Signer = None,
    bytecode: Annotated[
        str | None,
        typer.Option(
            "--bytecode", metavar="HEX", help="0x, creation code and encoded constructor arguments; required."
        ),
    ] = None,
    chain: SpendChainOpt = contracts.DEFAULT_CHAIN,
    value_wei: ValueOpt = None,
    idempotency_key: IdempotencyKeyOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Deploy a contract from a signer. Its address is in the answer, before the chain confirms."""
    usage = "run402 contracts deploy <signer_id> --bytecode <0x...>"
    lead, signer_id = _split(words, "signer", usage)
    _require(usage, bytecode=bytecode)
    one_of("--chain", chain, contracts.CHAINS)
    _wei("--value-wei", value_wei)
    checked_key(idempotency_key)
    with TerminalClient() as client:
        output.emit(
            contracts.deploy(
                client,
                _project(client, project, lead),
                signer_id,
                chain=chain,
                bytecode=str(bytecode),
                value_wei=value_wei,
                idempotency_key=idempotency_key,
            )
        )


@app.command(
    "read",
    effect="read",
    auth=(),
    needed=("--chain", "--to", "--abi", "--fn", "--args"),
    example=(
        "run402 contracts read --chain base-sepolia --to 0x4444444444444444444444444444444444444444 "
        '--abi \'[{"type":"function","name":"total","inputs":[]}]\' --fn total --args "[]"'
    ),
)
def read(
    chain: ChainOpt = None,
    to: ToOpt = None,
    abi: AbiOpt = None,
    fn: FnOpt = None,
    args: ArgsOpt = None,
) -> None:
    """Call a function that only reads. Free, needs no project."""
    usage = "run402 contracts read --chain <chain> --to <0x...> --abi <json> --fn <name> --args <json>"
    _require(usage, chain=chain, to=to, abi=abi, fn=fn, args=args)
    one_of("--chain", chain, contracts.CHAINS)
    fragment = parse_json_flag("--abi", str(abi))
    values = parse_json_flag("--args", str(args))
    address = _address("--to", to)
    with TerminalClient() as client:
        output.emit(contracts.read(client, chain=str(chain), to=address, abi=fragment, function=str(fn), args=values))


@app.command(
    "status",
    summary="Show the state of a call.",
    effect="read",
    auth="service_key",
    example="run402 contracts status CALL_ID | jq .status",
)
def status(words: Call = None, project: ProjectOpt = None) -> None:
    """Show the state of a call: submitted, confirmed or failed."""
    lead, call_id = _split(words, "call", "run402 contracts status <call_id>")
    with TerminalClient() as client:
        output.emit(contracts.status(client, _project(client, project, lead), call_id))
