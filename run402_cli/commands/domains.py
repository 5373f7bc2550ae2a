"""run402 domains: own domains for the web and e-mail of a project."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import (
    ProjectOpt,
    comma_separated,
    integer,
    known_project,
    no_more,
    one_of,
    resolve_project,
)
from run402_cli.errors import CommandError, FlagError, UsageError
from run402_cli.services import domains
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", show_default=False)]
DomainWord = Annotated[list[str] | None, typer.Argument(metavar="DOMAIN", show_default=False)]


def _domain(words: list[str], usage: str) -> str:
    if not words:
        raise UsageError("The domain is missing.", hint=usage)
    return words[0]


@app.command(
    "connect",
    summary="Say what a domain is for.",
    effect="write",
    auth="principal",
    example=[
        "run402 domains connect example.com --web",
        "run402 domains connect example.com --email-send --mailbox-addresses primary --addresses hello,support",
        "run402 domains connect example.com --web --email-send --email-receive --authority hosted-zone",
    ],
)
def connect(
    domain: Domain,
    project: ProjectOpt = None,
    web: Annotated[bool, typer.Option("--web", help="Serve the site on this domain.")] = False,
    web_target: Annotated[
        str | None, typer.Option("--web-target", metavar="NAME", help="What to serve. Default: production.")
    ] = None,
    primary_web: Annotated[
        bool, typer.Option("--primary-web", help="The main address of the site (the default).")
    ] = False,
    web_alias: Annotated[bool, typer.Option("--web-alias", help="A further address beside the main one.")] = False,
    email_send: Annotated[bool, typer.Option("--email-send", help="Send e-mail from this domain.")] = False,
    email_receive: Annotated[bool, typer.Option("--email-receive", help="Receive e-mail on this domain.")] = False,
    receive_strategy: Annotated[
        str,
        typer.Option(
            "--receive-strategy", metavar="NAME", help="auto, outbound-only, forwarding, subdomain or full-mx."
        ),
    ] = "auto",
    mail_subdomain: Annotated[
        str | None, typer.Option("--mail-subdomain", metavar="NAME", help="The part that receives, e.g. mail.")
    ] = None,
    confirm_mx_takeover: Annotated[
        str | None,
        typer.Option(
            "--confirm-mx-takeover", metavar="FINGERPRINT", help="Fingerprint of the MX records to be replaced."
        ),
    ] = None,
    mailbox_addresses: Annotated[
        str | None,
        typer.Option(
            "--mailbox-addresses", metavar="MODE", help="How mailboxes use the domain: primary, alias, managed, none."
        ),
    ] = None,
    addresses: Annotated[
        str | None, typer.Option("--addresses", metavar="A,B", help="The parts before the @, separated by commas.")
    ] = None,
    create_mailboxes: Annotated[
        bool, typer.Option("--create-mailboxes", help="Create mailboxes that do not exist yet.")
    ] = False,
    no_create_mailboxes: Annotated[
        bool, typer.Option("--no-create-mailboxes", help="Use existing mailboxes only (the default).")
    ] = False,
    activation: Annotated[
        str | None,
        typer.Option("--activation", metavar="MODE", help="When addresses switch: automatic_when_ready or manual."),
    ] = None,
    authority: Annotated[
        str | None, typer.Option("--authority", metavar="MODE", help="Who keeps the DNS: manual-dns or hosted-zone.")
    ] = None,
) -> None:
    """Say what a domain is for: web, sending, receiving. The answer lists the DNS records to set; then `domains wait`.

    At least one of --web, --email-send, --email-receive and --mailbox-addresses is needed. Name every wish each
    time: the command states what is wanted as a whole.
    """
    if create_mailboxes and no_create_mailboxes:
        raise FlagError(
            "--create-mailboxes and --no-create-mailboxes exclude each other.", details={"flag": "--create-mailboxes"}
        )
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        desired: dict[str, Any] = {}
        if authority is not None:
            desired["authority"] = _choice("--authority", authority, domains.AUTHORITIES)
        if web or web_target is not None or primary_web or web_alias:
            role = "alias" if web_alias else "primary"
            desired["web"] = {"enabled": True, "target": web_target or "production", "role": role}
        mode = _mailbox_mode(mailbox_addresses)
        email: dict[str, Any] = {"send": {"enabled": True}} if email_send else {}
        if email_receive:
            email["receive"] = _receive(receive_strategy, mail_subdomain, confirm_mx_takeover)
        if mode is not None:
            email["mailbox_addresses"] = _mailboxes(domain, mode, addresses, create=create_mailboxes)
        if email and activation is not None:
            email["activation"] = one_of("--activation", activation, domains.ACTIVATIONS, key="flag")
        if email:
            desired["email"] = email
        if "web" not in desired and not email:
            raise UsageError(
                "Nothing is asked of the domain.",
                hint=f"Add --web or --email-send: {advice.command('domains', 'connect', domain, '--web')}",
            )
        answer = domains.connect(client, project_id, domain, desired)
    _name_servers(domain, answer)
    output.emit(answer)


def _choice(flag: str, value: str, choices: dict[str, str]) -> str:
    """What is sent for a flag's value; BAD_FLAG for one that is not among the choices."""
    if value in choices:
        return choices[value]
    raise FlagError(
        f"{flag} must be one of {', '.join(choices)}, not {value!r}.", details={"flag": flag, "value": value}
    )


def _mailbox_mode(value: str | None) -> str | None:
    if value is not None and value not in domains.MAILBOX_MODES:
        raise FlagError(
            f"--mailbox-addresses takes a mode, one of {', '.join(domains.MAILBOX_MODES)}, not {value!r}.",
            hint="The addresses go to --addresses: --mailbox-addresses primary --addresses hello,support",
            details={"flag": "--mailbox-addresses", "value": value, "replacement_flag": "--addresses"},
        )
    return value


def _receive(strategy: str, subdomain: str | None, fingerprint: str | None) -> dict[str, Any]:
    sent = {value: value for value in domains.RECEIVE_STRATEGIES.values()}
    receive: dict[str, Any] = {"enabled": True}
    receive["strategy"] = _choice("--receive-strategy", strategy, {**domains.RECEIVE_STRATEGIES, **sent})
    if subdomain is not None:
        receive["mail_subdomain"] = subdomain
    if fingerprint is not None:
        receive["observed_mx_fingerprint"] = fingerprint
    return receive


def _mailboxes(domain: str, mode: str, text: str | None, *, create: bool) -> dict[str, Any]:
    parts = comma_separated(text or "")
    if mode in ("primary", "alias") and not parts:
        raise FlagError(
            f"--mailbox-addresses {mode} needs addresses.",
            hint=f"--addresses hello makes hello@{domain}; several are separated by commas",
            details={"flag": "--addresses", "domain": domain},
        )
    rows = [{"local_part": part, "mailbox_slug": part, "create_mailbox": create} for part in parts]
    return {"mode": mode, "addresses": rows}


def _name_servers(domain: str, answer: Any) -> None:
    """A hosted zone works only after the owner has set its name servers at the registrar: say so."""
    found: dict[str, Any] = answer if isinstance(answer, dict) else {}
    zone: dict[str, Any] = found.get("hosted_zone") or {}
    servers = zone.get("ns_assigned")
    if not servers or zone.get("status") == "delegated":
        return
    imported = len(zone.get("imported_records") or [])
    lines = [
        f"At the registrar of {domain}, set exactly these name servers:",
        *(f"  {server}" for server in servers),
        "Everything else happens by itself.",
    ]
    if imported:
        lines.append(f"{imported} existing DNS record(s) were imported into the new zone.")
    output.notice("\n".join([*lines, f"Then: {advice.command('domains', 'wait', domain, '--until', 'active')}"]))


@app.command("list", effect="read", auth="principal", example="run402 domains list | jq -r '.domains[].domain'")
def list_(
    words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    project: ProjectOpt = None,
    include_managed: Annotated[
        bool, typer.Option("--include-managed", help="Accepted and without effect.", hidden=True)
    ] = False,
) -> None:
    """List the domains of a project."""
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        no_more(words or [])
        output.emit(domains.list_domains(client, project_id))


@app.command(
    "status",
    summary="Show one domain.",
    effect="read",
    auth="principal",
    example="run402 domains status example.com | jq .status",
)
def status(words: DomainWord = None, project: ProjectOpt = None) -> None:
    """What is known of a domain, as last observed: status, records, checks, next actions."""
    usage = "run402 domains status <domain>"
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        domain = _domain(words or [], usage)
        no_more((words or [])[1:])
        output.emit(domains.get(client, project_id, domain))


@app.command(
    "dns",
    summary="DNS records to set.",
    effect="read",
    auth="principal",
    example=["run402 domains dns example.com", "run402 domains dns example.com --format bind > example.com.zone"],
)
def dns(
    words: DomainWord = None,
    project: ProjectOpt = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="json|bind", help="JSON, or plain zone-file lines.")
    ] = "json",
) -> None:
    """The DNS records to set at your provider, with the state of each."""
    domain = _domain(words or [], "run402 domains dns <domain>")
    no_more((words or [])[1:])
    one_of("--format", format_, ("json", "bind"), key="flag")
    with TerminalClient() as client:
        answer = domains.dns(client, resolve_project(client.profile, project), domain)
    if format_ == "bind":
        output.emit_text("\n".join(domains.bind_lines(answer["dns_records"])))
    else:
        output.emit(answer)


@app.command(
    "check",
    summary="Look at DNS and providers again.",
    effect="write",
    auth="principal",
    example="run402 domains check example.com | jq .checks",
)
def check(domain: Domain, project: ProjectOpt = None) -> None:
    """Look at DNS and providers again, and show the domain."""
    with TerminalClient() as client:
        output.emit(domains.check(client, resolve_project(client.profile, project), domain))


@app.command(
    "apply",
    summary="Make the changes that are safe.",
    effect="write",
    auth="principal",
    example="run402 domains apply example.com",
)
def apply(
    domain: Domain,
    project: ProjectOpt = None,
    authority: Annotated[
        str | None, typer.Option("--authority", metavar="MODE", help="Accepted and without effect.", hidden=True)
    ] = None,
) -> None:
    """Make the changes that the gateway may safely make itself."""
    with TerminalClient() as client:
        output.emit(domains.apply(client, resolve_project(client.profile, project), domain))


@app.command(
    "repair",
    summary="Restore the gateway's side of a domain.",
    effect="write",
    auth="principal",
    example="run402 domains repair example.com",
)
def repair(domain: Domain, project: ProjectOpt = None) -> None:
    """Restore the gateway's own side of a domain."""
    with TerminalClient() as client:
        output.emit(domains.repair(client, resolve_project(client.profile, project), domain))


@app.command(
    "test-receive",
    summary="Test whether mail arrives.",
    effect="write",
    auth="principal",
    needed="--to",
    example="run402 domains test-receive example.com --to hello | jq .receive_test.address",
)
def check_receiving(
    domain: Domain,
    to: Annotated[
        str | None, typer.Option("--to", metavar="ADDRESS", help="The address, or its part before the @.")
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Start a test of receiving: send a message to the address in `receive_test`, then look with `domains status`."""
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        if not to:
            raise FlagError(
                "--to is missing.",
                hint=advice.command("domains", "test-receive", domain, "--to", "hello"),
                details={"flag": "--to"},
            )
        output.emit(domains.check_receiving(client, project_id, domain, to=to))


@app.command(
    "wait",
    summary="Wait until a domain is ready.",
    effect="write",
    auth="principal",
    example="run402 domains wait example.com --until active --timeout-ms 600000",
)
def wait(
    domain: Domain,
    project: ProjectOpt = None,
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="STATE", help="active, safe (no blocking check fails), receive-active (mail arrives)."
        ),
    ] = "active",
    timeout_ms: Annotated[str, typer.Option("--timeout-ms", metavar="MS", help="How long to wait.")] = "120000",
    interval_ms: Annotated[str, typer.Option("--interval-ms", metavar="MS", help="Time between looks.")] = "5000",
) -> None:
    """Check a domain again and again until it is ready."""
    one_of("--until", until, domains.UNTIL, key="flag")
    timeout, interval = integer("--timeout-ms", timeout_ms), integer("--interval-ms", interval_ms)
    assert timeout is not None
    assert interval is not None
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(domains.wait(client, project_id, domain, until=until, timeout_ms=timeout, interval_ms=interval))


@app.command(
    "activate",
    summary="Switch mailboxes to the domain.",
    effect="write",
    auth="principal",
    example="run402 domains activate example.com",
)
def activate(domain: Domain, project: ProjectOpt = None) -> None:
    """Switch the mailboxes to their addresses on this domain (after connect with --activation manual)."""
    with TerminalClient() as client:
        output.emit(domains.activate(client, resolve_project(client.profile, project), domain))


@app.command(
    "disconnect", effect="destructive", auth="principal", example="run402 domains disconnect example.com --confirm"
)
def disconnect(
    words: DomainWord = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Confirm: web and e-mail stop on this domain.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Take a domain off the project. Records at your DNS provider stay; remove them there."""
    domain = _domain(words or [], "run402 domains disconnect <domain> --confirm")
    no_more((words or [])[1:])
    if not confirm:
        raise CommandError(
            f"Disconnecting {domain} stops its web and e-mail.",
            code="CONFIRMATION_REQUIRED",
            hint=advice.command("domains", "disconnect", domain, *known_project(project), "--confirm"),
            details={"domain": domain},
        )
    with TerminalClient() as client:
        output.emit(domains.disconnect(client, resolve_project(client.profile, project), domain))
