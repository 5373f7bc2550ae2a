"""run402 identity: public links between a wallet and a Nostr key. Attribution only, no authority."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import advice, as_typed, output, secrecy, standard_input
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import checked_key, read_file
from run402_cli.errors import CommandError, FlagError
from run402_cli.services import identity
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

Link = Annotated[str, typer.Argument(metavar="IDENTITY_LINK_ID", show_default=False)]
_MAX_EVENT_BYTES = 32_768
_SOURCES = ["--event-file", "--event-stdin"]


@app.command(
    "link nostr begin",
    summary="Sign a challenge and print the text to publish.",
    effect="write",
    auth="wallet",
    needed=("--pubkey", "--visibility"),
    example="run402 identity link nostr begin --pubkey npub1... --visibility public | jq -r .proof_content",
)
def begin(
    pubkey: Annotated[
        str | None, typer.Option("--pubkey", metavar="KEY", help="The public Nostr key: 64 hex digits or npub1....")
    ] = None,
    visibility: Annotated[
        str | None, typer.Option("--visibility", metavar="public", help="public: the only choice, to be said.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="Repeating the key repeats no challenge.")
    ] = None,
) -> None:
    """Get a challenge, sign it with the wallet, and print the text to publish as a kind-1 event.

    What is published cannot be taken back. No secret of Nostr is asked for: sign the event with your own client.
    """
    for flag, value in (("--pubkey", pubkey), ("--visibility", visibility)):
        if not value:
            hint = "run402 identity link nostr begin --pubkey <npub1...> --visibility public"
            raise FlagError(f"{flag} is missing.", hint=hint, details={"flag": flag})
    if visibility != "public":
        raise CommandError(
            "An identity link is public, forever.",
            code="IDENTITY_LINK_PUBLIC_VISIBILITY_REQUIRED",
            hint="Say --visibility public if that is what you want.",
            details={"flag": "--visibility"},
            next_actions=[{**advice.run(*_public(visibility or "")), "confirms": True}],
        )
    checked_key(idempotency_key)
    with TerminalClient() as client:
        output.emit(identity.begin(client, pubkey or "", idempotency_key=idempotency_key))


def _public(typed: str) -> list[str]:
    """The command as typed, with `public` for the visibility that was meant."""
    return secrecy.CommandLine(as_typed.words()).with_word(typed, "public")


@app.command(
    "link nostr complete",
    summary="Send the signed public event.",
    effect="write",
    auth="wallet",
    example="run402 identity link nostr complete --event-file event.json",
)
def complete(
    event_file: Annotated[
        str | None, typer.Option("--event-file", metavar="PATH", help="The signed public event, JSON; - is stdin.")
    ] = None,
    event_stdin: Annotated[bool, typer.Option("--event-stdin", help="Read the event from standard input.")] = False,
) -> None:
    """Send the signed event as the proof. It is checked here first: form, id, signatures, and the challenge inside it."""
    if bool(event_file) == event_stdin:
        raise CommandError(
            "Give the event once.",
            code="IDENTITY_LINK_EVENT_SOURCE_REQUIRED",
            hint="run402 identity link nostr complete --event-file <path>, or --event-stdin",
            details={"accepted_sources": _SOURCES},
        )
    text = _event_text(None if event_stdin or event_file == "-" else event_file)
    with TerminalClient() as client:
        output.emit(identity.complete(client, text))


def _event_text(name: str | None) -> str:
    if name is None:
        data = standard_input.read("the event", "Or pass --event-file <path>.", limit=_MAX_EVENT_BYTES + 1)
    else:
        data = read_file("--event-file", name, limit=_MAX_EVENT_BYTES + 1)
    if len(data) > _MAX_EVENT_BYTES:
        raise CommandError(
            f"The event has more than {_MAX_EVENT_BYTES} bytes.",
            code="IDENTITY_LINK_INVALID_JSON",
            hint="Give the one signed event, nothing else.",
        )
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise CommandError(
            f"The event is not UTF-8 text (byte {exc.start}).",
            code="IDENTITY_LINK_INVALID_UTF8",
            hint="Save it as UTF-8 and try again.",
        ) from None


@app.command(
    "link list",
    summary="List your links.",
    effect="read",
    auth="principal",
    example="run402 identity link list | jq -r '.identity_links[].display_subject'",
)
def list_() -> None:
    """List the links of the active identity."""
    with TerminalClient() as client:
        output.emit(identity.list_links(client))


@app.command(
    "link show",
    summary="The public proof of a link.",
    effect="read",
    auth=(),
    example="run402 identity link show IDENTITY_LINK_ID",
)
def show(identity_link_id: Link) -> None:
    """Show the public proof of a link. Needs no wallet."""
    with TerminalClient() as client:
        output.emit(identity.show(client, identity_link_id))


@app.command("link revoke", effect="destructive", auth="wallet", example="run402 identity link revoke IDENTITY_LINK_ID")
def revoke(identity_link_id: Link) -> None:
    """Revoke a link. What was published stays public; the proof says that it is revoked."""
    with TerminalClient() as client:
        output.emit(identity.revoke(client, identity_link_id))
