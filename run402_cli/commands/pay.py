"""run402 pay: call any URL and pay what it asks, within a ceiling."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import IdempotencyKeyOpt, checked_key, load_json
from run402_cli.errors import FlagError, PaymentError, UsageError
from run402_cli.global_options import micros
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_METHOD = re.compile(r"[A-Z][A-Z0-9-]*")


@app.command(
    "pay",
    effect="write",
    auth=(),
    spends=True,
    passes_on=True,
    example=[
        "run402 pay https://seller.example/report --max-usd 0.05",
        "run402 pay https://seller.example/ask --method POST --body '{\"q\":1}' --idempotency-key order-17",
    ],
)
def pay(
    words: Annotated[list[str] | None, typer.Argument(metavar="URL", show_default=False)] = None,
    method: Annotated[str, typer.Option("--method", metavar="METHOD", help="HTTP method.")] = "GET",
    body: Annotated[
        str | None, typer.Option("--body", metavar="TEXT", help="Request body; not with GET or HEAD.")
    ] = None,
    max_usd: Annotated[str, typer.Option("--max-usd", metavar="USD", help="Pay at most this much.")] = "0.10",
    idempotency_key: IdempotencyKeyOpt = None,
    require_receipt: Annotated[
        bool, typer.Option("--require-receipt", help="Pay only a seller who signs an offer and a receipt.")
    ] = False,
) -> None:
    """Call a URL; when it answers 402 with an x402 challenge, pay it once and print the answer with the settlement.

    No credential of yours is sent. The limits of `run402 allowance limits` hold as well.
    """
    for flag, value in (("--method", method), ("--body", body), ("--max-usd", max_usd)):
        if value == "":
            raise FlagError(f"{flag} needs a value.", details={"flag": flag})
    if idempotency_key == "":
        raise FlagError("--idempotency-key needs a value.", details={"flag": "--idempotency-key"})
    url = _url(words or [])
    verb = method.upper()
    if not _METHOD.fullmatch(verb):
        raise FlagError(f"--method: {method!r} is no HTTP method.", details={"flag": "--method", "value": method})
    if body is not None and verb in ("GET", "HEAD"):
        raise UsageError(f"--body does not go with {verb}.", hint="Add --method POST, or leave the body out.")
    ceiling = micros("--max-usd", max_usd)
    _check_key(idempotency_key)
    from run402_cli.services import pay as service

    with TerminalClient() as client:
        result = service.pay(
            client,
            url,
            method=verb,
            body=body,
            max_usd_micros=ceiling,
            idempotency_key=idempotency_key,
            require_receipt=require_receipt,
        )
    output.emit(result, compact=True)


def _url(words: list[str]) -> str:
    if not words:
        raise UsageError("The URL is missing.", hint="run402 pay https://...")
    if len(words) > 1:
        extra = words[1]
        hint = "run402 pay <url> takes one URL."
        if _is_json(extra):
            hint = f"To send a body: {advice.command('pay', words[0], '--method', 'POST', '--body', extra)}"
        raise UsageError(f"Unexpected argument {extra!r}.", hint=hint)
    url = words[0]
    try:
        parts = urlsplit(url)
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{url!r} is not an http or https URL.", hint="Write it whole.", details={"url": url})
    return url


def _is_json(word: str) -> bool:
    try:
        return isinstance(load_json(word), dict | list)
    except (ValueError, RecursionError):
        return False


def _check_key(key: str | None) -> None:
    if key is None:
        return
    if not key.strip():
        raise PaymentError(
            "--idempotency-key is blank. Nothing was sent.",
            code="PAYMENT_SETTLEMENT_FAILED",
            details={"funds_moved": False, "field": "idempotencyKey"},
            hint="Give a value of your own, such as an order number, or leave the flag out.",
        )
    checked_key(key)
