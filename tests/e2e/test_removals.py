"""What a deploy removes is asked about first, whatever command, dialect or mode it comes in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from e2e_kit import Cli

import run402_cli
from run402_cli.errors import DeployError

pytestmark = pytest.mark.e2e

FUNCTION = {"source": {"data": "export default () => new Response('x')"}}
PAGES = {f"{name}.html": {"data": f"<p>{name}</p>"} for name in ("index", "a", "b", "c", "d")}
FUNCTIONS = "RUN402_CORE_DESTRUCTIVE_FUNCTION_REMOVAL"
SUBDOMAINS = "RUN402_CORE_DESTRUCTIVE_SUBDOMAIN_REMOVAL"
FILES = "RUN402_CORE_DESTRUCTIVE_SITE_BULK_REMOVAL"


@pytest.fixture
def full(cli: Cli, project: dict[str, Any]) -> str:
    """A release with two functions, a subdomain and five pages; the subdomain's name."""
    name = "shop-" + project["project_id"].removeprefix("prj_")
    spec = {
        "functions": {"replace": {"a": FUNCTION, "b": FUNCTION}},
        "subdomains": {"set": [name]},
        "site": {"replace": PAGES},
    }
    cli.ok("deploy", "apply", "--spec", json.dumps(spec))
    return name


def live(cli: Cli) -> tuple[list[str], list[str], int]:
    release = cli.ok("deploy", "release", "active")["release"]
    return [f["name"] for f in release["functions"]], release["subdomains"]["names"], len(release["site"]["paths"])


def test_deploy_and_up_stop_until_the_codes_were_allowed(cli: Cli, full: str) -> None:
    kept = {key: PAGES[key] for key in ("index.html", "a.html")}
    less = {"functions": {"replace": {"a": FUNCTION}}, "subdomains": {"set": []}, "site": {"replace": kept}}
    (cli.cwd / "run402.deploy.json").write_text(json.dumps(less))
    wanted = sorted([FILES, FUNCTIONS, SUBDOMAINS])
    manifest = ("--manifest", "run402.deploy.json")
    for command in (("deploy", "apply", *manifest), ("apply", *manifest), ("up", "--yes")):
        refused = cli(*command).envelope
        assert refused["unacknowledged_warning_codes"] == wanted, command
        assert live(cli) == (["a", "b"], [full], 5)
    half = cli("deploy", "apply", *manifest, "--allow-warning", FUNCTIONS).envelope
    assert half["unacknowledged_warning_codes"] == sorted([FILES, SUBDOMAINS])
    done = cli.ok("up", "--yes", *(word for code in wanted for word in ("--allow-warning", code)))
    assert done["result"]["deploy"]["diff"]["functions"]["removed"] == ["b"]
    assert live(cli) == (["a"], [], 2)


def test_a_rehearsal_that_commits_and_a_reviewed_plan(cli: Cli, full: str) -> None:
    less = json.dumps({"functions": {"replace": {"a": FUNCTION}}})
    refused = cli("deploy", "apply", "--spec", less, "--rehearse", "--commit", "--teardown", "always").envelope
    assert refused["unacknowledged_warning_codes"] == [FUNCTIONS]
    planned = cli.ok("deploy", "apply", "--spec", less, "--plan")
    assert [w["code"] for w in planned["warnings"] if w["requires_confirmation"]] == [FUNCTIONS]
    assert live(cli)[0] == ["a", "b"]
    cli.ok("deploy", "apply", "--spec", less, "--require-plan", planned["plan_id"])
    assert live(cli)[0] == ["a"]


def test_site_deploys(cli: Cli, full: str) -> None:
    folder = cli.cwd / "dist"
    folder.mkdir()
    for name in ("index", "e", "f", "g", "h"):
        (folder / f"{name}.html").write_text(f"<p>{name}</p>")
    assert cli("sites", "deploy-dir", "dist").envelope["unacknowledged_warning_codes"] == [FILES]
    manifest = json.dumps({"files": [{"file": "index.html", "data": "one"}]})
    assert cli("sites", "deploy", stdin=manifest).envelope["unacknowledged_warning_codes"] == [FILES]
    assert live(cli)[2] == 5
    cli.ok("sites", "deploy-dir", "dist", "--confirm-prune")
    assert live(cli) == (["a", "b"], [full], 5)
    cli.ok("sites", "deploy", "--allow-warning", FILES, stdin=manifest)
    assert live(cli)[2] == 1


def test_the_python_api(cli: Cli, full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(cli.config))
    less = {"functions": {"patch": {"delete": ["b"]}}}
    with run402_cli.Run402() as api:
        with pytest.raises(DeployError) as caught:
            api.deploy.apply(less)
        assert caught.value.code == FUNCTIONS
        api.deploy.apply(less, allow_warning_codes=[FUNCTIONS])
    assert live(cli)[0] == ["a"]


def test_going_back_to_a_release_that_has_less(cli: Cli, full: str) -> None:
    before = cli.ok("deploy", "release", "active")["release"]["release_id"]
    more = {
        "functions": {"patch": {"set": {"c": FUNCTION}}},
        "database": {"migrations": [{"id": "m", "sql": "create table t (n int)"}]},
    }
    cli.ok("deploy", "apply", "--spec", json.dumps(more))
    refused = cli("deploy", "promote", before).envelope
    assert sorted(w["code"] for w in refused["warnings"]) == ["MIGRATIONS_NOT_REVERSIBLE", FUNCTIONS]
    assert cli("deploy", "promote", before, "--allow-warning", "MIGRATIONS_NOT_REVERSIBLE").code == 1
    assert live(cli)[0] == ["a", "b", "c"]
    cli.ok("deploy", "promote", before, "--allow-warnings")
    assert live(cli)[0] == ["a", "b"]
