"""One long request does not keep the gateway from everybody else, whatever it is made of."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from gateway_kit import Live
from heartbeat import heartbeat

MIB = 1 << 20
# No measure of speed: what this catches takes tens of seconds.
BOUND = 2.0
JSON, CSV, FORM, TEXT = ("application/json", "text/csv", "application/x-www-form-urlencoded", "text/plain")


@pytest.fixture
def items(client: httpx.Client, project: dict[str, Any], service: dict[str, str]) -> dict[str, str]:
    """A table that anon may insert into, and `closed`, which it may not; the headers of anon."""
    address = f"/projects/v1/admin/{project['project_id']}"
    tables = "CREATE TABLE items (id int, t text); CREATE TABLE closed (id int, t text)"
    assert client.post(f"{address}/sql", content=tables, headers=service).status_code == 200
    manifest = {
        "version": "1",
        "tables": [
            {
                "name": "items",
                "expose": True,
                "policy": "public_read_write_UNRESTRICTED",
                "i_understand_this_is_unrestricted": True,
            }
        ],
    }
    applied = client.post(f"{address}/expose", json=manifest, headers=service)
    assert applied.status_code == 200, applied.text
    return {"apikey": project["anon_key"]}


def _send(client: httpx.Client, path: str, headers: dict[str, str], kind: str, body: bytes) -> httpx.Response:
    return client.post(path, headers={**headers, "Content-Type": kind}, content=body)


HOSTILE = {
    "rows of CSV": (CSV, b"id,t\n" + b"1,a\n" * (15 * MIB // 4)),
    "empty lines of CSV": (CSV, b"id,t\n" + b"\n" * (15 * MIB)),
    "columns of CSV": (CSV, b"id," * MIB + b"t\n1,2"),
    "fields of a form": (FORM, b"a=1&" * (15 * MIB // 4)),
    "rows of JSON": (JSON, b"[" + b'{"t":1},' * (15 * MIB // 8) + b"{}]"),
    "arrays in JSON": (JSON, b"[" + b"[]," * (5 * MIB) + b"[]]"),
    "texts in JSON": (JSON, b'[{"t":[' + b'"",' * (2 * MIB) + b"1]}]"),
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_long_body_of_rest_has_a_bound_in_values(
    live: Live, client: httpx.Client, items: dict[str, str], shape: str
) -> None:
    kind, body = HOSTILE[shape]
    with heartbeat(live) as pulse:
        answer = _send(client, "/rest/v1/items", items, kind, body)
    assert (answer.status_code, answer.json()["code"]) in ((413, "PGRST102"), (400, "PGRST102")), answer.text
    assert answer.json()["hint"]
    assert pulse.longest < BOUND


def test_who_may_not_write_is_told_before_a_long_body_is_read(client: httpx.Client, items: dict[str, str]) -> None:
    short, long = (_send(client, "/rest/v1/closed", items, CSV, b"id,t\n" + b"1,a\n" * n) for n in (1, 20_000))
    assert (long.status_code, long.headers["www-authenticate"]) == (401, "Bearer")
    assert long.json() == short.json()
    # Not even whether it can be read.
    assert _send(client, "/rest/v1/closed", items, JSON, b"{" * 100_000).json() == short.json()


def test_many_rows_of_who_may_write_arrive(
    client: httpx.Client, project: dict[str, Any], items: dict[str, str], service: dict[str, str]
) -> None:
    rows = [{"id": n, "t": "a, [b], {c} " * 5} for n in range(20_000)]
    answer = client.post("/admin/v1/rest/items", json=rows, headers={**service, "Prefer": "return=minimal"})
    assert answer.status_code == 201, answer.text
    lines = b"id,t\n" + b"".join(b"%d,NULL\n" % n for n in range(20_000))
    assert _send(client, "/rest/v1/items", items, CSV, lines).status_code == 201
    counted = "SELECT count(*)::int AS n, count(t)::int AS texts, max(id) AS most FROM items"
    address = f"/projects/v1/admin/{project['project_id']}/sql"
    found = client.post(address, content=counted, headers=service).json()["rows"]
    assert found == [{"n": 40_000, "texts": 20_000, "most": 19_999}]


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"id=eq.{n}" for n in range(1300)),
        "select=" + "id," * 4_500 + "id",
        "select=" + "t->a" * 2_000,
        "order=" + "id.desc," * 1_700 + "id",
        "or=(" + "id.eq.1," * 1_700 + "id.eq.1)",
        "&".join(f"a{n}.limit=1" for n in range(1050)),
    ],
    ids=lambda query: query[:12],
)
def test_a_long_address_is_refused_for_what_it_asks(client: httpx.Client, items: dict[str, str], query: str) -> None:
    answer = client.get(f"/rest/v1/items?{query}", headers=items)
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST100"), answer.text
    wanted = "id=in.(" + ",".join(map(str, range(2500))) + ")"
    assert client.get(f"/rest/v1/items?{wanted}", headers=items).json() == []


@pytest.mark.parametrize("path", ["/auth/v1/signup", "/rest/v1/rpc/nothing"])
def test_json_has_a_bound_in_values_elsewhere_too(
    live: Live, client: httpx.Client, items: dict[str, str], path: str
) -> None:
    body = b'{"email":"a@example.com","password":"12345678","data":[' + b"{}," * (2 * MIB) + b"{}]}"
    with heartbeat(live) as pulse:
        answer = _send(client, path, items, JSON, body)
    assert answer.status_code == 413, answer.text
    assert pulse.longest < BOUND
    # What stands in a text is one value.
    text = b'{"email":"a@example.com","password":"12345678","more":"' + b"[,{" * 500_000 + b'"}'
    assert _send(client, path, items, JSON, text).status_code != 413


SCRIPTS = {
    "statements": "begin;" * 30_000,
    "lines": "".join(f"INSERT INTO items VALUES ({n}, 'text');\n" for n in range(30_000)),
    "too many": "begin;" * 210_000,
    "commas": "SELECT 1" + ",1" * 150_000,
    "extensions": "CREATE EXTENSION IF NOT EXISTS citext;" * 20_000 + "SELECT nothing",
    "names": "begin;\n" * 40_000 + "SELECT * FROM public.items",
}


@pytest.mark.parametrize("shape", SCRIPTS)
def test_a_long_script_is_read_beside_other_requests(
    live: Live,
    client: httpx.Client,
    project: dict[str, Any],
    items: dict[str, str],
    service: dict[str, str],
    shape: str,
) -> None:
    address = f"/projects/v1/admin/{project['project_id']}/sql"
    with heartbeat(live) as pulse:
        answer = _send(client, address, service, TEXT, SCRIPTS[shape].encode())
    assert answer.status_code == {"too many": 413, "commas": 400, "extensions": 400, "names": 403}.get(shape, 200), (
        answer.text[:500]
    )
    if shape == "names":
        assert answer.json()["line"] == 40_001
    assert pulse.longest < BOUND


MAILS = {"scripts": "<script>", "tags": "<", "ends": "<script></script ", "references": "&#1", "lines": "a\n"}


@pytest.mark.parametrize("shape", MAILS)
def test_a_long_mail_is_read_beside_other_requests(
    live: Live, client: httpx.Client, service: dict[str, str], shape: str
) -> None:
    mailbox = client.post("/mailboxes/v1", json={"slug": "long-mail"}, headers=service)
    assert mailbox.status_code == 201, mailbox.text
    mail = {"to": "ada@example.com", "subject": "Long", "html": MAILS[shape] * (600_000 // len(MAILS[shape])) + "end"}
    with heartbeat(live) as pulse:
        answer = client.post(f"/mailboxes/v1/{mailbox.json()['mailbox_id']}/messages", json=mail, headers=service)
    assert answer.status_code == 201, answer.text[:500]
    assert pulse.longest < BOUND
