"""run402 email: mailboxes, messages and e-mail webhooks of a project."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import (
    OverwriteOpt,
    ProjectOpt,
    integer,
    known_project,
    no_more,
    parse_json_flag,
    resolve_project,
    webhook_url,
)
from run402_cli.errors import CommandError, UsageError
from run402_cli.services import email, email_mailboxes, email_webhooks
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

MailboxOpt = Annotated[
    str | None,
    typer.Option("--mailbox", metavar="SLUG|ID", help="The mailbox; without it the project's only one."),
]
FromNameOpt = Annotated[str | None, typer.Option("--from-name", metavar="NAME", help="Display name of the sender.")]
TextOpt = Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Plain-text form of the message.")]
UrlOpt = Annotated[str | None, typer.Option("--url", metavar="URL", help="Where events are posted to; https only.")]
EventsOpt = Annotated[
    str | None,
    typer.Option(
        "--events",
        metavar="NAMES",
        help="Comma list of delivery, bounced, complained, reply_received, mailbox_suspended.",
    ),
]
MailboxWord = Annotated[list[str] | None, typer.Argument(metavar="[MAILBOX]", show_default=False)]
MessageWord = Annotated[list[str] | None, typer.Argument(metavar="MESSAGE_ID", show_default=False)]
WebhookWord = Annotated[list[str] | None, typer.Argument(metavar="WEBHOOK_ID", show_default=False)]


def _first(words: list[str] | None, what: str, command: str) -> str:
    """The one argument of a command."""
    if not words or not words[0]:
        raise UsageError(f"The {what} is missing.", hint=advice.parsed("run402 " + command))
    no_more(words[1:])
    return words[0]


# -- mailboxes ----------------------------------------------------------------------------------------------------------


@app.command(
    "create", summary="Create a mailbox.", effect="write", auth="service_key", example="run402 email create contact"
)
def create(
    words: Annotated[list[str] | None, typer.Argument(metavar="SLUG", show_default=False)] = None,
    project: ProjectOpt = None,
) -> None:
    """Create a mailbox; its slug becomes the part of the address before the @. Repeating the command is a conflict (409)."""
    slug = _first(words, "slug", "email create <slug>")
    with TerminalClient() as client:
        output.emit(email_mailboxes.create(client, resolve_project(client.profile, project), slug), compact=True)


@app.command(
    "mailboxes",
    summary="List mailboxes with roles and readiness.",
    effect="read",
    auth="service_key",
    example="run402 email mailboxes | jq -r '.mailboxes[].address'",
)
def list_mailboxes(project: ProjectOpt = None) -> None:
    """List the project's mailboxes with their roles and whether they can send and receive."""
    with TerminalClient() as client:
        output.emit(email_mailboxes.list_mailboxes(client, resolve_project(client.profile, project)))


@app.command(
    "defaults",
    summary="Show or set which mailboxes send by default.",
    effect="write",
    auth="service_key",
    example=["run402 email defaults", "run402 email defaults --outbound contact --auth-sender login"],
)
def defaults(
    outbound: Annotated[
        str | None, typer.Option("--outbound", metavar="SLUG|ID", help="Sends what names no mailbox.")
    ] = None,
    auth_sender: Annotated[
        str | None, typer.Option("--auth-sender", metavar="SLUG|ID", help="Sends sign-in links and codes.")
    ] = None,
    clear_outbound: Annotated[bool, typer.Option("--clear-outbound", help="No default outbound mailbox.")] = False,
    clear_auth_sender: Annotated[bool, typer.Option("--clear-auth-sender", help="No sign-in mailbox.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Show or set which mailbox sends by default, and which one sends sign-in mail."""
    roles: dict[str, tuple[str, str | None]] = {}
    for flag, selector, clear, key in (
        ("--outbound", outbound, clear_outbound, "default_outbound_mailbox_id"),
        ("--auth-sender", auth_sender, clear_auth_sender, "auth_sender_mailbox_id"),
    ):
        if selector and clear:
            raise UsageError(f"{flag} and --clear-{flag[2:]} exclude each other.", hint="Give one of them.")
        if selector or clear:
            roles[key] = (flag, selector or None)
    with TerminalClient() as client:
        output.emit(email_mailboxes.set_defaults(client, resolve_project(client.profile, project), roles))


@app.command(
    "update",
    summary="Set the footer of outgoing mail.",
    effect="write",
    auth="service_key",
    needed="--footer-policy",
    example="run402 email update contact --footer-policy none",
)
def update(
    words: MailboxWord = None,
    footer_policy: Annotated[
        str | None, typer.Option("--footer-policy", metavar="POLICY", help="run402_transparency or none.")
    ] = None,
    mailbox: MailboxOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Set the footer under a mailbox's outgoing mail. `none` needs the hobby or team tier."""
    usage = "run402 email update [<slug|mbx_id>] --footer-policy <run402_transparency|none>"
    given = words or []
    if len(given) > 1:
        raise UsageError(f"Unexpected argument {given[1]!r}.", hint=usage)
    if given and mailbox and given[0] != mailbox:
        raise UsageError(f"{given[0]!r} and --mailbox {mailbox} name different mailboxes.", hint="Give one of them.")
    if not footer_policy:
        raise UsageError("--footer-policy is missing.", hint=usage)
    if footer_policy not in email_mailboxes.FOOTER_POLICIES:
        raise UsageError(
            f"--footer-policy is run402_transparency or none, not {footer_policy!r}.",
            hint=usage,
            details={"footer_policy": footer_policy},
        )
    selector = given[0] if given else mailbox
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(email_mailboxes.set_footer_policy(client, project_id, selector, policy=footer_policy))


@app.command(
    "info",
    summary="Show one mailbox.",
    effect="read",
    auth="service_key",
    example="run402 email info --mailbox contact | jq .can_send",
)
@app.command("status", example="run402 email status", hidden=True)
def info(mailbox: MailboxOpt = None, project: ProjectOpt = None) -> None:
    """Show one mailbox: addresses, roles, readiness, footer policy."""
    with TerminalClient() as client:
        output.emit(email_mailboxes.info(client, resolve_project(client.profile, project), mailbox))


@app.command(
    "delete",
    summary="Delete a mailbox with its messages.",
    effect="destructive",
    auth="service_key",
    example="run402 email delete contact --confirm",
)
def delete(
    words: MailboxWord = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Confirm: its messages and webhooks go too.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Delete a mailbox with all of its messages and webhooks. Without an argument the project's only one."""
    target = words[0] if words else None
    no_more((words or [])[1:])
    if not confirm:
        named = f" {target}" if target else ""
        raise CommandError(
            f"Deleting mailbox{named or ' (the only one)'} deletes its messages and webhooks.",
            code="CONFIRMATION_REQUIRED",
            hint=advice.command("email", "delete", *([target] if target else []), *known_project(project), "--confirm"),
        )
    with TerminalClient() as client:
        output.emit(email_mailboxes.delete(client, resolve_project(client.profile, project), target), compact=True)


# -- messages -----------------------------------------------------------------------------------------------------------


@app.command(
    "send",
    summary="Send one message.",
    effect="write",
    auth="service_key",
    needed="--to",
    example=[
        "run402 email send --to ada@example.com --subject Hello --html '<p>Hello Ada</p>' --attach report.pdf",
        "run402 email send --to ada@example.com --template notification --var project_name=App --var message=Done",
    ],
)
def send(
    to: Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="The recipient; one.")] = None,
    template: Annotated[
        str | None, typer.Option("--template", metavar="NAME", help="project_invite, magic_link or notification.")
    ] = None,
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="KEY=VALUE", help="A template variable; repeatable.")
    ] = None,
    vars_: Annotated[
        list[str] | None, typer.Option("--vars", metavar="JSON", help="Template variables as a JSON object.")
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="TEXT", help="Subject line.")] = None,
    html: Annotated[str | None, typer.Option("--html", metavar="HTML", help="The message.")] = None,
    text: TextOpt = None,
    attach: Annotated[
        list[str] | None,
        typer.Option("--attach", metavar="PATH[:TYPE]", help="Attach a file; repeatable. Needs --html."),
    ] = None,
    from_name: FromNameOpt = None,
    mailbox: Annotated[
        str | None,
        typer.Option("--mailbox", metavar="SLUG|ID", help="Sends it; without it the default outbound mailbox."),
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Send one message: a template with its variables, or your own subject and HTML.

    Template variables: project_invite takes project_name and invite_url; magic_link takes project_name, link_url and
    expires_in; notification takes project_name and message.
    """
    variables = _variables(vars_ or [], var or [])
    attachments = [email.attachment(spec) for spec in attach or []]
    if not to:
        raise UsageError("--to is missing.", hint="run402 email send --to <address> --subject <text> --html <html>")
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        body = email.message(
            to=to,
            template=template,
            variables=variables,
            subject=subject,
            html=html,
            text=text,
            attachments=attachments,
            from_name=from_name,
        )
        output.emit(email.send(client, project_id, body, mailbox=mailbox), compact=True)


def _variables(objects: list[str], pairs: list[str]) -> dict[str, str]:
    """Template variables; single ones win over those of a JSON object."""
    variables: dict[str, str] = {}
    for text in objects:
        value = parse_json_flag("--vars", text)
        if not isinstance(value, dict):
            raise UsageError("--vars takes a JSON object.", hint="""Example: --vars '{"project_name": "App"}'""")
        variables |= {key: item if isinstance(item, str) else _plain(item) for key, item in value.items()}
    for pair in pairs:
        key, equals, item = pair.partition("=")
        if key and equals:
            variables[key] = item
    return variables


def _plain(value: Any) -> str:
    return output.dumps(value, compact=True)


@app.command(
    "list",
    summary="List messages, sent and received.",
    effect="read",
    auth="service_key",
    example="run402 email list --direction inbound --limit 20 | jq -r '.[].id'",
)
def list_(
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="Messages in a page, at most 200.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="MESSAGE_ID", help="Last message of the page before.")
    ] = None,
    direction: Annotated[
        str | None, typer.Option("--direction", metavar="WAY", help="inbound or outbound; both without it.")
    ] = None,
    mailbox: MailboxOpt = None,
    project: ProjectOpt = None,
) -> None:
    """List the messages of a mailbox, sent and received, as an array."""
    count = integer("--limit", limit)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(
            email.list_messages(client, project_id, mailbox=mailbox, limit=count, after=after, direction=direction)
        )


@app.command("get", effect="read", auth="service_key", example="run402 email get MESSAGE_ID | jq .replies")
def get(words: MessageWord = None, mailbox: MailboxOpt = None, project: ProjectOpt = None) -> None:
    """Show one message with its replies."""
    message_id = _first(words, "message id", "email get <message_id>")
    with TerminalClient() as client:
        output.emit(email.get(client, resolve_project(client.profile, project), message_id, mailbox=mailbox))


@app.command(
    "get-raw",
    summary="Save a received message byte for byte.",
    effect="write",
    auth="service_key",
    needed="--output",
    example="run402 email get-raw MESSAGE_ID --output message.eml",
)
def get_raw(
    words: MessageWord = None,
    output_: Annotated[str | None, typer.Option("--output", metavar="PATH", help="The file to write.")] = None,
    overwrite: OverwriteOpt = False,
    mailbox: MailboxOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Save the bytes of a received message exactly as they came, so that signatures (DKIM) still verify."""
    usage = "email get-raw <message_id> --output <path>"
    message_id = _first(words, "message id", usage)
    if not output_:
        raise UsageError("--output is missing.", hint=advice.parsed("run402 " + usage), details={"flag": "--output"})
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(
            email.save_raw(client, project_id, message_id, output_, mailbox=mailbox, overwrite=overwrite), compact=True
        )


@app.command(
    "outbox",
    summary="List what the local gateway would have sent.",
    effect="read",
    auth=(),
    example=[
        "run402 email outbox --to ada@example.com --limit 1 --jq '.messages[0].codes[0]' -r",
        "run402 email outbox | jq -r '.messages[].links[]'",
    ],
)
def outbox(
    to: Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="Only mail to this address.")] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="Newest messages, at most 100.")] = None,
) -> None:
    """List what the local gateway would have sent, newest first, of all its projects: links and codes stand apart.

    Sign-in mails are among them. The Cloud really sends its mail and has no outbox: there the command is an error.
    """
    count = integer("--limit", limit, high=email.OUTBOX_SHOWN)
    with TerminalClient() as client:
        output.emit(email.outbox(client, to=to, limit=count))


@app.command(
    "reply", effect="write", auth="service_key", example="run402 email reply MESSAGE_ID --html '<p>Thank you.</p>'"
)
def reply(
    words: MessageWord = None,
    html: Annotated[str | None, typer.Option("--html", metavar="HTML", help="The answer.")] = None,
    text: TextOpt = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="TEXT", help="Default: the original's, with Re: before it.")
    ] = None,
    from_name: FromNameOpt = None,
    mailbox: MailboxOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Answer a received message in its thread."""
    usage = "email reply <message_id> --html <html>"
    message_id = _first(words, "message id", usage)
    if not html and not text:
        raise UsageError("The answer is missing.", hint=advice.parsed("run402 " + usage))
    with TerminalClient() as client:
        answer = email.reply(
            client,
            resolve_project(client.profile, project),
            message_id,
            html=html,
            text=text,
            subject=subject,
            from_name=from_name,
            mailbox=mailbox,
        )
        output.emit(answer, compact=True)


# -- webhooks -----------------------------------------------------------------------------------------------------------


@app.command(
    "webhooks list", summary="List webhooks.", effect="read", auth="service_key", example="run402 email webhooks list"
)
def webhooks_list(mailbox: MailboxOpt = None, project: ProjectOpt = None) -> None:
    """List the webhooks of a mailbox."""
    with TerminalClient() as client:
        output.emit(email_webhooks.list_webhooks(client, resolve_project(client.profile, project), mailbox=mailbox))


@app.command("webhooks get", effect="read", auth="service_key", example="run402 email webhooks get WEBHOOK_ID")
def webhooks_get(words: WebhookWord = None, mailbox: MailboxOpt = None, project: ProjectOpt = None) -> None:
    """Show one webhook."""
    webhook_id = _first(words, "webhook id", "email webhooks get <webhook_id>")
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(email_webhooks.get(client, project_id, webhook_id, mailbox=mailbox))


@app.command(
    "webhooks register",
    summary="Register a webhook.",
    effect="write",
    auth="service_key",
    needed=("--url", "--events"),
    reveals=True,
    example="run402 email webhooks register --url https://example.com/hook --events delivery,bounced",
)
def webhooks_register(
    url: UrlOpt = None,
    events: EventsOpt = None,
    mailbox: MailboxOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Post a mailbox's events to a URL. Deliveries are kept and repeated until they arrive."""
    usage = "run402 email webhooks register --url <https_url> --events <names>"
    if not url:
        raise UsageError("--url is missing.", hint=usage)
    webhook_url("--url", url)
    if not events:
        raise UsageError("--events is missing.", hint=usage)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        names = email_webhooks.events_of(events)
        answer = email_webhooks.register(client, project_id, url=url, events=names, mailbox=mailbox)
        output.emit(answer, compact=True)


@app.command(
    "webhooks update",
    summary="Change a webhook.",
    effect="write",
    auth="service_key",
    example="run402 email webhooks update WEBHOOK_ID --events delivery",
)
def webhooks_update(
    words: WebhookWord = None,
    url: UrlOpt = None,
    events: EventsOpt = None,
    mailbox: MailboxOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Change the URL of a webhook, its events (the whole list), or both."""
    usage = "email webhooks update <webhook_id> --url <https_url>, or --events <names>"
    webhook_id = _first(words, "webhook id", usage)
    if not url and not events:
        raise UsageError("There is nothing to change.", hint=advice.parsed("run402 " + usage))
    webhook_url("--url", url)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        changes: dict[str, Any] = {"url": url} if url else {}
        changes |= {"events": email_webhooks.events_of(events)} if events else {}
        output.emit(email_webhooks.update(client, project_id, webhook_id, changes, mailbox=mailbox), compact=True)


@app.command(
    "webhooks delete", effect="destructive", auth="service_key", example="run402 email webhooks delete WEBHOOK_ID"
)
def webhooks_delete(words: WebhookWord = None, mailbox: MailboxOpt = None, project: ProjectOpt = None) -> None:
    """Delete a webhook. There is no confirmation; repeating it is fine."""
    webhook_id = _first(words, "webhook id", "email webhooks delete <webhook_id>")
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(email_webhooks.delete(client, project_id, webhook_id, mailbox=mailbox), compact=True)


@app.command(
    "webhooks deliveries",
    summary="List deliveries to webhooks.",
    effect="read",
    auth="service_key",
    example="run402 email webhooks deliveries --status failed_permanent",
)
def webhooks_deliveries(
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="STATE", help="pending, in_flight, delivered or failed_permanent."),
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="Deliveries in a page.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="DELIVERY_ID", help="next_cursor of the page before.")
    ] = None,
    mailbox: MailboxOpt = None,
    project: ProjectOpt = None,
) -> None:
    """List deliveries to webhooks. failed_permanent ones are given up until `redrive`."""
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(
            email_webhooks.deliveries(client, project_id, mailbox=mailbox, status=status, limit=limit, after=after)
        )


@app.command(
    "webhooks redrive",
    summary="Queue a failed delivery again.",
    effect="write",
    auth="service_key",
    example="run402 email webhooks redrive DELIVERY_ID",
)
def webhooks_redrive(
    words: Annotated[list[str] | None, typer.Argument(metavar="DELIVERY_ID", show_default=False)] = None,
    mailbox: MailboxOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Queue a delivery that was given up again."""
    delivery_id = _first(words, "delivery id", "email webhooks redrive <delivery_id>")
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(email_webhooks.redrive(client, project_id, delivery_id, mailbox=mailbox))
