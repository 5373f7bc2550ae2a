"""run402 wallets: named local wallets, each with its own key, key cache and active project."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

import typer

from run402_cli import advice, output, standard_input
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import CommandError, FlagError, UsageError
from run402_cli.services import wallets
from run402_cli.state.profile import DEFAULT, current
from run402_cli.state.wallets import already_exists, checked_name, exists, looks_like_key, require

app = CommandGroup()

_HELP = "run402 wallets --help"
_MAX_KEY_FILE = 4096
NameArg = Annotated[str | None, typer.Argument(metavar="NAME", show_default=False)]


def _name(value: str | None, what: str = "NAME") -> str:
    if not value:
        raise UsageError(f"Missing wallet name {what}.", hint=_HELP)
    return checked_name(value)


def _not_default(name: str) -> str:
    if name == DEFAULT:
        raise CommandError(
            "The name `default` is reserved for the wallet that `run402 init` creates.",
            code="BAD_WALLET_NAME",
            hint="Choose another name.",
            details={"name": name},
        )
    return name


@app.command(
    "list",
    summary="List all local wallets.",
    effect="read",
    auth=(),
    example="run402 wallets list | jq -r '.[].local_label'",
)
def list_() -> None:
    """List all local wallets: name, label on the server, address, rail, and which one is active. Sends nothing."""
    selection = current().selection
    if selection.fault is not None:
        output.event({"type": "warning", "code": selection.fault.code, "message": selection.fault.message})
    output.emit(wallets.list_wallets(selection))


@app.command(
    "current",
    summary="Show the resolved wallet and why it was chosen.",
    effect="read",
    auth=(),
    example=["run402 wallets current", "run402 wallets current --wallet ci"],
)
def current_() -> None:
    """Show the resolved wallet and why it was chosen: flag, environment, directory binding, config or default."""
    output.emit(wallets.current_wallet(current()))


@app.command(
    "new",
    summary="Create a wallet with a fresh key.",
    effect="write",
    auth="principal",
    example="run402 wallets new staging",
)
def new(
    name: NameArg = None,
    mpp: Annotated[bool, typer.Option("--mpp", help="Pay over the mpp rail instead of x402.")] = False,
) -> None:
    """Create a wallet with a fresh secp256k1 key. The active wallet stays as it is; the key is stored and never printed."""
    output.emit(wallets.new(_not_default(_name(name)), mpp=mpp))


@app.command("use", summary="Set the default wallet.", effect="write", auth=(), example="run402 wallets use staging")
def use(name: NameArg = None) -> None:
    """Set the wallet that is used when no --wallet flag, RUN402_WALLET or directory binding says otherwise."""
    output.emit(wallets.use(_name(name)))


@app.command(
    "rename",
    summary="Rename a wallet.",
    effect="write",
    auth="principal",
    example="run402 wallets rename staging --to qa",
)
def rename(
    old: Annotated[str | None, typer.Argument(metavar="NAME", show_default=False)] = None,
    new_name: Annotated[str | None, typer.Argument(metavar="[NEW]", show_default=False)] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="NAME", help="The new name.")] = None,
) -> None:
    """Rename a wallet with all of its files, and its label on the server. Directory bindings are not updated.

    `default` can be renamed too: its keys, active project and target move to the new wallet, which becomes the configured one.
    """
    if to is not None and to.startswith("-") and to != "-":
        raise FlagError("--to needs a wallet name.", hint="Write --to <name>.", details={"flag": "--to"})
    target = to if to is not None else new_name
    if not old or not target:
        raise UsageError("Give the old and the new name.", hint="run402 wallets rename <name> --to <new-name>")
    output.emit(wallets.rename(_name(old), _not_default(_name(target))))


BoundName = Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False)]


@app.command(
    "bind",
    summary="Bind the current directory to a wallet.",
    effect="write",
    auth=(),
    example="run402 wallets bind staging",
)
def bind(
    name: BoundName = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Agree to the binding that came with a repository; write none.")
    ] = False,
) -> None:
    """Bind the current directory, and everything below it, to a wallet: writes ./.run402.json. Default: the active wallet."""
    wanted = _name(name) if name else None
    output.emit(wallets.confirm_binding(current(), wanted) if confirm else wallets.bind(current(), wanted))


@app.command("unbind", effect="write", auth=(), example="run402 wallets unbind")
def unbind() -> None:
    """Remove ./.run402.json. Parent directories and .run402.local.json stay as they are."""
    output.emit(wallets.unbind())


@app.command(
    "import",
    summary="Adopt an existing private key from a file or stdin.",
    effect="write",
    auth="principal",
    needed="--key",
    example=["run402 wallets import prod --key ./key.txt", "pass prod-key | run402 wallets import prod --key -"],
)
def import_(
    words: Annotated[list[str] | None, typer.Argument(metavar="NAME", show_default=False)] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="File with the private key, or - for stdin.")
    ] = None,
) -> None:
    """Adopt an existing private key (0x and 64 hex digits) from a file or stdin, as the wallet NAME.

    The key is never taken from the command line and never printed.
    """
    given = words or []
    name = _not_default(_name(given[0] if given else None))
    if len(given) > 1:
        # The second word may be a key: it is not repeated.
        raise UsageError("One argument too many.", hint="run402 wallets import <name> --key <file>")
    if exists(name):
        raise already_exists(name)
    if key is None:
        raise UsageError(
            "--key is missing.",
            hint=f"{advice.command('wallets', 'import', name, '--key', advice.Blank('file'))}, or --key - for stdin",
        )
    output.emit(wallets.adopt(name, _read_key(key)))


def _read_key(source: str) -> str:
    """Text of the key file or of stdin, of at most 4 KiB; anything that is no text cannot be a key and reads as such."""
    try:
        if source == "-":
            data = standard_input.read("the private key", "Or pass --key <file>.", limit=_MAX_KEY_FILE + 1)
        else:
            data = _read_file(Path(source))
    except (OSError, ValueError) as exc:
        if looks_like_key(source):
            raise CommandError(
                "--key takes the name of a file, not the key itself.",
                code="FILE_NOT_FOUND",
                hint="Put the key into a file, or pipe it and use --key -. Then remove it from your shell history.",
                details={"key": "<redacted>"},
            ) from None
        raise CommandError(
            f"--key: cannot read {source!r}.",
            code="FILE_NOT_FOUND",
            hint="Give the path of a file that holds the private key, or - for stdin.",
            details={"key": source},
        ) from exc
    return "" if len(data) > _MAX_KEY_FILE else data.decode("utf-8-sig", "replace")


def _read_file(path: Path) -> bytes:
    # Not only regular files: `--key <(command)` is a pipe. A device that never ends is cut off.
    with path.open("rb") as file:
        if stat.S_ISDIR(os.fstat(file.fileno()).st_mode):
            raise IsADirectoryError(path)
        return file.read(_MAX_KEY_FILE + 1)


@app.command(
    "rm",
    summary="Delete a wallet with its key and caches.",
    effect="destructive",
    auth=(),
    example="run402 wallets rm staging --yes",
)
def rm(
    name: NameArg = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm: the key and the caches cannot be brought back.")] = False,
) -> None:
    """Delete a wallet with its private key, cached project keys and state. Funds left on its address are lost.

    Records of payments and limits stay: they are those of the address.
    """
    wallet = _name(name)
    if wallet == DEFAULT:
        raise CommandError(
            "The default wallet cannot be removed.",
            code="WALLET_PROTECTED",
            hint="Rename it first: run402 wallets rename default --to <name>",
            details={"name": wallet},
        )
    require(wallet)
    if not yes:
        raise CommandError(
            f"Removing {wallet!r} deletes its private key and its cached project keys for good.",
            code="CONFIRMATION_REQUIRED",
            hint=advice.command("wallets", "rm", wallet, "--yes"),
            details={"name": wallet},
        )
    output.emit(wallets.remove(wallet))
