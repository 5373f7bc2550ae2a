"""The guestbook over HTTP: who may read, sign, change and remove, through its function and through REST."""

from __future__ import annotations

import json
from typing import Any

import guestbook_kit
import httpx
import pytest
from e2e_kit import Cli
from guestbook_kit import Guestbook

pytestmark = pytest.mark.e2e

FIRST = "Hello from a real PostgreSQL."


@pytest.fixture
def guestbook(cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client) -> Guestbook:
    return guestbook_kit.deploy(cli, http, gateway["url"], project)


def test_a_visitor_reads_and_cannot_sign(guestbook: Guestbook) -> None:
    assert "<title>Guestbook</title>" in guestbook.http.get(guestbook.site).text
    assert 'id="login"' in guestbook.http.get(f"{guestbook.site}login.html").text
    assert guestbook.messages() == [FIRST]
    assert guestbook.sign(None, "hi").status_code == 401
    for refused in (
        guestbook.rest("POST", author="Eve", message="hi"),
        guestbook.rest("PATCH", query="id=eq.1", message="changed"),
        guestbook.rest("DELETE", query="id=eq.1"),
    ):
        assert refused.status_code == 401, refused.text
    other_method = guestbook.http.get(f"{guestbook.site}api/entries")
    assert (other_method.status_code, other_method.headers["allow"]) == (405, "POST")
    assert guestbook.messages() == [FIRST]


def test_the_site_tells_its_page_which_project_it_belongs_to(guestbook: Guestbook) -> None:
    """So the directory is deployed as it is, with no key written into it."""
    told = guestbook.http.get(f"{guestbook.site}api/config")
    assert (told.status_code, told.json()) == (200, {"url": guestbook.base, "anonKey": guestbook.anon["apikey"]})


def test_the_function_signs_with_the_name_of_the_account(cli: Cli, guestbook: Guestbook) -> None:
    ada = guestbook.sign_up("Ada")
    added = guestbook.sign(ada, "  Nice\n  place  ")
    assert added.status_code == 201, added.text
    entry = added.json()
    assert (entry["author"], entry["message"], entry["user_id"]) == ("Ada", "Nice place", ada.id)
    for unwanted in ("", "   ", "x" * 501, 7, None, ["hi"], "buy at https://example.com"):
        assert guestbook.sign(ada, unwanted).status_code == 422, unwanted
    for body in (b"not json", b"null", b"[]", b""):
        answer = guestbook.http.post(f"{guestbook.site}api/entries", headers=ada.headers, content=body)
        assert answer.status_code == 422, body
    forged = {**ada.headers, "authorization": ada.headers["authorization"][:-4] + "AAAA"}
    assert guestbook.http.post(f"{guestbook.site}api/entries", headers=forged, json={}).status_code == 401
    assert guestbook.messages() == [FIRST, "Nice place"]
    logs = json.dumps(cli.ok("functions", "logs", "sign"))
    assert f"entry added by {ada.id}" in logs
    assert ada.headers["authorization"].removeprefix("Bearer ") not in logs


def test_entries_belong_to_whoever_wrote_them(guestbook: Guestbook) -> None:
    ada, bob = guestbook.sign_up("Ada"), guestbook.sign_up("Bob")
    entry = guestbook.sign(ada, "mine").json()
    plain = guestbook.rest("POST", bob, author="Bob", message="by REST")
    assert (plain.status_code, plain.json()[0]["user_id"]) == (201, bob.id)
    assert guestbook.rest("POST", bob, author="Ada", message="forged", user_id=ada.id).status_code == 403

    own, everything = f"id=eq.{entry['id']}", "id=gt.0"
    for query in (own, everything):
        touched = guestbook.rest("PATCH", bob, query, message="taken over").json()
        assert [row["user_id"] for row in touched] == ([] if query == own else [bob.id])
    assert guestbook.rest("DELETE", bob, own).json() == []
    assert guestbook.messages() == [FIRST, "mine", "taken over"]

    assert guestbook.rest("PATCH", ada, own, message="still mine").json()[0]["message"] == "still mine"
    assert guestbook.rest("PATCH", ada, own, user_id=bob.id).status_code == 403
    assert len(guestbook.rest("DELETE", ada, own).json()) == 1
    assert guestbook.messages() == [FIRST, "taken over"]


def test_an_older_guestbook_keeps_its_entries_and_closes(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client
) -> None:
    first = (guestbook_kit.EXAMPLE / "migrations" / "001_entries.sql").read_text()
    table = {"name": "entries", "expose": True, "policy": "public_read_write_UNRESTRICTED"}
    table["i_understand_this_is_unrestricted"] = True
    database = {"migrations": [{"id": "001_entries", "sql": first}], "expose": {"version": "1", "tables": [table]}}
    cli.ok("deploy", "apply", "--manifest", "-", stdin=json.dumps({"database": database}))
    anon = {"apikey": project["anon_key"]}
    old = {"author": "Eve", "message": "from before"}
    assert http.post(f"{gateway['url']}/rest/v1/entries", headers=anon, json=old).status_code == 201

    guestbook = guestbook_kit.deploy(cli, http, gateway["url"], project)
    assert guestbook.messages() == [FIRST, "from before"]
    assert guestbook.rest("POST", author="Eve", message="again").status_code == 401
    ada = guestbook.sign_up("Ada")
    assert guestbook.rest("DELETE", ada, "id=gt.0").json() == []
    assert guestbook.sign(ada, "new").status_code == 201
    assert guestbook.messages() == [FIRST, "from before", "new"]
