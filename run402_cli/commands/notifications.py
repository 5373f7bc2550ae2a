"""run402 notifications: what operators are told, and over which channels."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup, needs_action
from run402_cli.commands._options import comma_separated, instant, integer, one_of
from run402_cli.errors import CommandError, UsageError, Verdict
from run402_cli.services import notifications
from run402_cli.services.terminal import TerminalClient
from run402_cli.suggest import closest, did_you_mean

app = CommandGroup()

Action = Annotated[list[str] | None, typer.Argument(metavar="ACTION", show_default=False)]
Pairs = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", show_default=False)]
SourceOpt = Annotated[str | None, typer.Option("--source", metavar="SOURCE", help="app or platform.")]

_NUMBERS = ("digest_day_of_week", "digest_hour_utc")
_INTEGER = re.compile(r"-?[0-9]{1,9}")


@app.command(
    "list",
    summary="List notifications.",
    effect="read",
    auth="principal",
    example="run402 notifications list --type lease.expiring --limit 20",
)
def list_(
    type_: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only this event type.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only from this time on, or a span: 1h.")
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="In a page; 50 by default.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="next_cursor of the page before.")
    ] = None,
) -> None:
    """List the notifications that were sent or skipped."""
    count = integer("--limit", limit)
    start = instant("--since", since)
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(notifications.list_notifications(client, type=type_, since=start, limit=count, after=after))


@app.command(
    "get", effect="read", auth="principal", example="run402 notifications get NOTIFICATION_ID | jq .delivery_status"
)
def get(notification_id: Annotated[str, typer.Argument(metavar="NOTIFICATION_ID", show_default=False)]) -> None:
    """Show one notification."""
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(notifications.get(client, notification_id))


@app.command(
    "preferences", effect="read", auth="principal", example="run402 notifications preferences | jq .digest_cadence"
)
def preferences(words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
    """Show the preferences."""
    if words and words[0] == "set":
        preferences_set(words[1:])
        return
    if words:
        usage = "run402 notifications preferences, or: run402 notifications preferences set <key>=<value>"
        raise UsageError(f"Unexpected argument {words[0]!r}.", hint=usage)
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(notifications.preferences(client))


@app.command(
    "preferences set",
    summary="Change preferences.",
    effect="write",
    auth="principal",
    example=[
        "run402 notifications preferences set digest_cadence=weekly digest_day_of_week=1",
        "run402 notifications preferences set webhook_url=https://example.com/hook",
    ],
)
def preferences_set(pairs: Pairs = None) -> None:
    """Change preferences: digest_cadence, digest_day_of_week (1 = Monday), digest_hour_utc, threshold_alerts,
    lifecycle_events, webhook_url (empty or null takes it away), locale, timezone.
    """
    with TerminalClient() as client:
        client.require_wallet()
        changes = dict(_pair(text) for text in pairs or [])
        output.emit(notifications.set_preferences(client, changes))


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        usage = "run402 notifications preferences set <key>=<value>"
        raise UsageError(f"{text!r} is not KEY=VALUE.", hint=usage, details={"value": text})
    if key in _NUMBERS:
        if not _INTEGER.fullmatch(value):
            raise UsageError(f"{key} takes a whole number, not {value!r}.", details={"key": key, "value": value})
        return key, int(value)
    return key, None if key == "webhook_url" and value in ("", "null") else value


@app.command(
    "test",
    summary="Send a test notification.",
    effect="write",
    auth="principal",
    example="run402 notifications test --source platform",
)
def test(
    source: SourceOpt = None,
    type_: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Event type that the test pretends to be.")
    ] = None,
) -> None:
    """Send a test notification over every channel; once a minute."""
    one_of("--source", source, notifications.SOURCES)
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(notifications.send_test(client, source=source, event_type=type_))


# -- channels -------------------------------------------------------------------------------------------------------------


@app.command("channels", example="run402 notifications channels list", hidden=True)
def channels(context: typer.Context, words: Action = None) -> None:
    """Channels. Actions: connect, list, revoke; `run402 notifications channels <action> --help` shows each."""
    _action(context, words, "channels", ["connect", "list", "revoke"])


@app.command("rules", example="run402 notifications rules list", hidden=True)
def rules(context: typer.Context, words: Action = None) -> None:
    """Routing rules. Actions: add, list, rm; `run402 notifications rules <action> --help` shows each."""
    _action(context, words, "rules", ["add", "list", "rm"])


def _action(context: typer.Context, words: list[str] | None, name: str, actions: list[str]) -> None:
    """What is left of a group when no known action follows its name."""
    if words:
        near = closest(words[0], actions)
        raise CommandError(
            f"Unknown subcommand {words[0]!r} of notifications {name}.{did_you_mean(near)}",
            code="UNKNOWN_SUBCOMMAND",
            hint=f"One of {', '.join(actions)}; --help shows them.",
            details={
                "command": f"notifications {name}",
                "subcommand": words[0],
                "closest": near,
                "known_subcommands": actions,
            },
        )
    raise needs_action(context, actions)


@app.command(
    "channels connect",
    summary="Bind a Telegram chat and wait for the tap.",
    effect="write",
    auth="principal",
    example="run402 notifications channels connect telegram --label phone",
)
def channels_connect(
    words: Annotated[list[str] | None, typer.Argument(metavar="telegram", show_default=False)] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="TEXT", help="Name of the channel, 1 to 64 characters.")
    ] = None,
) -> None:
    """Bind a Telegram chat: the link is on stderr, tap it; waits until the code ends."""
    _check_channel(words or [])
    with TerminalClient() as client:
        client.require_wallet()
        started = notifications.connect_telegram(client, label=label)
        _tell_links(started)
        result = notifications.await_tap(client, started, output.notice)
        if result["connected"]:
            output.notice("Connected.")
        output.emit(result)
    if not result["connected"]:
        raise Verdict(
            1, "Nobody tapped the link in time.", advice.command("notifications", "channels", "connect", "telegram")
        )


def _check_channel(words: list[str]) -> None:
    usage = "run402 notifications channels connect telegram"
    if not words:
        raise UsageError("Say which channel.", hint=usage)
    if words[0] != "telegram":
        details = {"channel_type": words[0]}
        raise UsageError(f"There is no channel {words[0]!r}.", hint=usage, details=details)
    if len(words) > 1:
        raise UsageError(f"Unexpected argument {words[1]!r}.", hint=usage)


def _tell_links(started: dict[str, Any]) -> None:
    from run402_cli.client import browser

    for key, what in (("connect_url", "Open in Telegram"), ("connect_group_url", "Or for a group")):
        address = browser.web_address(started.get(key))
        if address is not None:
            output.request(f"{what}: {address}")
    output.notice(f"The link works until {browser.printable(started.get('code_expires_at') or 'it is used')}.")


@app.command(
    "channels list",
    summary="List channels.",
    effect="read",
    auth="principal",
    example="run402 notifications channels list | jq .telegram",
)
def channels_list() -> None:
    """List e-mail, webhook and Telegram channels."""
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(notifications.channels(client))


@app.command(
    "channels revoke", effect="destructive", auth="principal", example="run402 notifications channels revoke BINDING_ID"
)
def channels_revoke(binding_id: Annotated[str, typer.Argument(metavar="BINDING_ID", show_default=False)]) -> None:
    """Revoke a Telegram binding."""
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(notifications.revoke_channel(client, binding_id))


# -- rules ----------------------------------------------------------------------------------------------------------------


@app.command(
    "rules add",
    summary="Route events to a Telegram binding.",
    effect="write",
    auth="principal",
    needed="--binding",
    example="run402 notifications rules add --binding BINDING_ID --source platform --type lease.expiring",
)
def rules_add(
    binding: Annotated[
        str | None, typer.Option("--binding", metavar="ID", help="The Telegram binding to send to; required.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="Only events of this project. Default: all.")
    ] = None,
    source: SourceOpt = None,
    type_: Annotated[str | None, typer.Option("--type", metavar="A,B", help="Only these event types.")] = None,
    class_: Annotated[str | None, typer.Option("--class", metavar="A,B", help="Only these classes.")] = None,
) -> None:
    """Route the events that match every given option to a Telegram binding."""
    if not binding:
        raise UsageError("--binding is missing.", hint="run402 notifications rules add --binding <binding_id>")
    one_of("--source", source, notifications.SOURCES)
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(
            notifications.add_rule(
                client, binding, project_id=project, source=source, event_types=_items(type_), classes=_items(class_)
            )
        )


def _items(text: str | None) -> list[str] | None:
    return None if text is None else comma_separated(text)


@app.command(
    "rules list",
    summary="List rules.",
    effect="read",
    auth="principal",
    example="run402 notifications rules list | jq -r '.rules[].id'",
)
def rules_list() -> None:
    """List the rules, newest first."""
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(notifications.rules(client))


@app.command("rules rm", effect="destructive", auth="principal", example="run402 notifications rules rm RULE_ID")
def rules_rm(rule_id: Annotated[str, typer.Argument(metavar="RULE_ID", show_default=False)]) -> None:
    """Delete a rule."""
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(notifications.remove_rule(client, rule_id))
