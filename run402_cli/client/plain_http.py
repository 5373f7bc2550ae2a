"""Plain http to another machine: said once per command, and nothing is paid over it. See docs/protocol/conventions.md."""

from __future__ import annotations

from run402_cli import advice, as_typed, global_options, output
from run402_cli.client.http import httpx
from run402_cli.errors import PaymentError
from run402_cli.proxies import is_loopback

FLAG = "--insecure-http"


def is_open(url: httpx.URL) -> bool:
    """Whether everybody on the way reads and changes what is said to this address."""
    return url.scheme == "http" and not is_loopback(url.host)


def warn(request: httpx.Request) -> None:
    """A line on stderr before the first such request of a command."""
    if is_open(request.url) and not global_options.current.told_open:
        global_options.current.told_open = True
        output.notice(
            f"warning: http://{request.url.host} is not encrypted: keys and answers can be read and changed on the way. "
            "Use https:// where the server has it."
        )


def refuse_payment(request: httpx.Request) -> None:
    """PaymentError before anything is signed for such an address, unless --insecure-http was given."""
    if not is_open(request.url) or global_options.current.insecure_http:
        return
    words = as_typed.words()
    raise PaymentError(
        f"http://{request.url.host} is not encrypted, so anybody on the way could ask for the money. Nothing was signed.",
        code="PAYMENT_OVER_PLAIN_HTTP",
        category="payment_policy",
        details={"host": request.url.host, "funds_moved": False, "flag": FLAG},
        hint=f"Use https://. To pay over plain http all the same, add {FLAG} to the command.",
        next_actions=[advice.action("edit_request", *words, FLAG, why="Only where you trust the network.")]
        if words
        else [],
    )
