"""Secrets: in the function's environment, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from functions_kit import Functions, handler

from run402_cli.core.functions.vault import Vault
from run402_cli.core.gateway import Gateway
from run402_cli.core.settings import Settings

READ = handler("return new Response(process.env.API_TOKEN ?? 'none');")


def test_a_secret_reaches_the_next_call(functions: Functions) -> None:
    functions.deploy({"api": READ})
    assert functions.call("api").text == "none"
    assert functions.set_secret("API_TOKEN", "first value").json()["status"] == "set"
    assert functions.call("api").text == "first value"
    functions.set_secret("API_TOKEN", "second\nvalue")
    assert functions.call("api").text == "second\nvalue"


def test_a_list_has_names_and_times_only(functions: Functions) -> None:
    functions.set_secret("B_KEY", "the-value-of-b")
    functions.set_secret("A_KEY", "")
    url = f"/projects/v1/admin/{functions.id}/secrets"
    answer = functions.client.get(url, headers=functions.service)
    assert [entry["key"] for entry in answer.json()["secrets"]] == ["A_KEY", "B_KEY"]
    assert "the-value-of-b" not in answer.text
    assert functions.client.get(url).status_code == 401
    # Who calls is looked at before what is asked for.
    assert functions.client.post(url, content=b"{").status_code == 401


def test_values_are_encrypted_in_the_database(functions: Functions, database_url: str) -> None:
    functions.set_secret("API_TOKEN", "plain-to-see")
    with psycopg.connect(database_url) as conn:
        stored = conn.execute("SELECT encrypted_value_ref FROM internal.core_function_secrets").fetchone()
    assert stored is not None
    assert stored[0].startswith("aesgcm:v1:")
    assert "plain-to-see" not in stored[0]


def test_a_sealed_value_moved_to_another_name_stays_closed(
    functions: Functions, gateway: Gateway, database_url: str
) -> None:
    functions.set_secret("API_TOKEN", "of the token")
    functions.deploy({"api": READ})
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE internal.core_function_secrets SET name = 'OTHER'")
    gateway.functions.forget(functions.id)
    assert functions.call("api").text == "none"


def test_delete(functions: Functions) -> None:
    functions.deploy({"api": READ})
    functions.set_secret("API_TOKEN", "x")
    url = f"/projects/v1/admin/{functions.id}/secrets/API_TOKEN"
    assert functions.client.delete(url, headers=functions.service).json() == {"status": "deleted", "key": "API_TOKEN"}
    assert functions.call("api").text == "none"
    assert functions.client.delete(url, headers=functions.service).status_code == 404


@pytest.mark.parametrize("name", ["lower", "1ST", "", "A-B", "RUN402_SERVICE_KEY"])
def test_bad_names_are_refused(functions: Functions, name: str) -> None:
    answer = functions.set_secret(name, "x")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_secret_name")


def test_a_value_over_the_limit_is_refused_without_repeating_it(functions: Functions) -> None:
    answer = functions.set_secret("BIG", "v" * 4097)
    assert answer.status_code == 400
    assert "vvvv" not in answer.text


def test_a_required_secret_that_is_missing_stops_the_deploy_and_later_the_call(functions: Functions) -> None:
    refused = functions.commit({"api": READ}, secrets={"require": ["API_TOKEN"]})
    assert (refused.status_code, refused.json()["error"]) == (422, "missing_required_secret")
    functions.set_secret("API_TOKEN", "x")
    functions.deploy({"api": READ}, secrets={"require": ["API_TOKEN"]})
    assert functions.call("api").text == "x"
    functions.client.delete(f"/projects/v1/admin/{functions.id}/secrets/API_TOKEN", headers=functions.service)
    answer = functions.call("api")
    assert (answer.status_code, answer.json()["secret_name"]) == (422, "API_TOKEN")


def test_a_functions_own_secret_beats_the_projects(functions: Functions) -> None:
    functions.deploy({"api": READ, "other": READ})
    functions.set_secret("API_TOKEN", "shared")
    url = f"/projects/v1/{functions.id}/functions/secrets"
    own = {"name": "API_TOKEN", "value": "own", "scope": "function", "function_name": "api"}
    assert functions.client.post(url, json=own, headers=functions.service).status_code == 201
    assert (functions.call("api").text, functions.call("other").text) == ("own", "shared")


def test_secrets_never_show_in_logs_and_failures(functions: Functions) -> None:
    functions.set_secret("API_TOKEN", 'swordfish "quoted"')
    functions.deploy(
        {
            "api": handler(
                "const s = process.env.API_TOKEN; console.log('plain', s); console.error(JSON.stringify({ s }));"
                " console.log(process.env.RUN402_SERVICE_KEY); throw new Error('with ' + s);"
            )
        }
    )
    answer = functions.call("api")
    assert answer.status_code == 500
    assert answer.json()["details"]["message"] == "Error: with [redacted]"
    kept = functions.messages("api")
    assert "swordfish" not in kept
    assert functions.project["service_key"] not in kept
    assert kept.count("[redacted]") >= 4
    assert all(entry["redacted"] for entry in functions.logs("api") if "[redacted]" in entry["message"])


def test_a_long_line_is_not_cut_inside_a_secret(functions: Functions) -> None:
    functions.set_secret("API_TOKEN", "swordfish-of-many-letters")
    functions.deploy(
        {
            "api": handler(
                "const s = process.env.API_TOKEN; for (const n of [5, 9, 20, 25]) console.log('x'.repeat(16384 - n) + s);"
                " throw new Error('y'.repeat(16384 - 'Error: '.length - 9) + s);"
            )
        }
    )
    assert functions.call("api").status_code == 500
    kept = functions.messages("api", tail=1000)
    assert "...[truncated]" in kept
    assert "sword" not in kept


def test_a_value_that_another_library_sealed_opens() -> None:
    """Sealed by pycryptodome's AES-GCM: what earlier versions left in a data directory stays readable."""
    vault = Vault(Settings(data_dir=Path(), jwt_secret="s" * 64, signed_read_secret=""))
    place = ("prj_1", "KEY", "project", "")
    sealed = "aesgcm:v1:AAECAwQFBgcICQoLDA0OD81P3pBBYYrupG5hVplL2zgNDIUoqA0="
    assert vault.open(place, sealed) == "naïve"
    assert vault.open(place, vault.seal(place, "")) == ""
    assert vault.open(("prj_2", *place[1:]), sealed) is None
    assert vault.open(place, "aesgcm:v1:AAEC") is None
