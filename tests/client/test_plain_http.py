"""Plain http to another machine is warned of once per command, and nothing is paid over it unless it was allowed."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from config_kit import ADDRESS, PRIVATE_KEY
from payment_kit import World

from run402_cli import global_options
from run402_cli.client import Client, plain_http
from run402_cli.errors import PaymentError
from run402_cli.services.pay import pay


@pytest.fixture(autouse=True)
def wallet(config_dir: Path) -> None:
    (config_dir / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY}))
    (config_dir / "allowance.json").chmod(0o600)


@pytest.mark.parametrize(
    "url, wanted",
    [
        ("http://api.example/", True),
        ("http://10.0.0.7:4020/", True),
        ("http://localhost.evil.example/", True),
        ("http://127.0.0.1.evil.example/", True),
        ("http://0x7f000001.example/", True),
        ("https://api.example/", False),
        ("http://127.0.0.1:4020/", False),
        ("http://[::1]:4020/", False),
        ("http://localhost/", False),
        ("http://app.localhost/", False),
    ],
)
def test_what_is_open_to_everybody_on_the_way(url: str, wanted: bool) -> None:
    assert plain_http.is_open(httpx.URL(url)) is wanted


def test_it_is_said_once_per_command(capsys: pytest.CaptureFixture[str]) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    for _ in range(2):
        global_options.reset()
        with Client(transport=transport) as client:
            for _ in range(3):
                client.http.get("http://api.example/x")
                client.http.get("http://127.0.0.1:9/x")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all("http://api.example is not encrypted" in line for line in said)


def test_a_redirect_to_plain_http_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.scheme == "https":
            return httpx.Response(302, headers={"location": "http://api.example/x"})
        return httpx.Response(200)

    with Client(transport=httpx.MockTransport(handle)) as client:
        client.http.get("https://api.example/x")
    assert "http://api.example is not encrypted" in capsys.readouterr().err


URL = "http://seller.example/report"


def test_nothing_is_paid_over_it() -> None:
    world = World(URL)
    with Client(transport=httpx.MockTransport(world.handle)) as client, pytest.raises(PaymentError) as caught:
        pay(client, URL)
    error = caught.value.envelope()
    assert error["code"] == "PAYMENT_OVER_PLAIN_HTTP"
    assert error["details"]["funds_moved"] is False
    assert "--insecure-http" in error["hint"]
    assert not world.payments


def test_it_is_paid_where_that_was_allowed() -> None:
    world = World(URL)
    global_options.take("--insecure-http", None)
    with Client(transport=httpx.MockTransport(world.handle)) as client:
        assert pay(client, URL)["outcome"] == "paid"
    assert len(world.payments) == 1
