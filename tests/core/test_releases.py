"""Reading releases, their differences, promotion, and what `deploy verify` asks."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from deploy_kit import deploy, migration, plan, site

from run402_cli.core.releases import diffs
from run402_cli.release.state import materialize, state_digest

A, B = b"<p>a</p>", b"<p>b</p>"
# What `two` asks before the first release becomes the active one again.
GOING_BACK = ["MIGRATIONS_NOT_REVERSIBLE", "RUN402_CORE_DESTRUCTIVE_SITE_BULK_REMOVAL"]


@pytest.fixture
def keys(project: dict[str, Any]) -> dict[str, str]:
    return {"apikey": project["anon_key"]}


@pytest.fixture
def two(client: httpx.Client, project: dict[str, Any]) -> tuple[str, str]:
    """Ids of a first release and of the active second one, which adds a file and a migration."""
    base = {"project_id": project["project_id"]}
    first = deploy(client, {**base, "site": {"replace": site({"index.html": A})}}, A)
    more = {"patch": {"put": site({"index.html": B, "more.html": B})}}
    database = {"migrations": [migration("m1", "create table t (n int)")]}
    second = deploy(client, {**base, "site": more, "database": database}, B)
    return first["release_id"], second["release_id"]


class TestInventory:
    def test_nothing_is_live_before_the_first_deploy(
        self, client: httpx.Client, project: dict[str, Any], keys: dict[str, str]
    ) -> None:
        body = client.get("/apply/v1/releases/active", headers=keys).json()
        assert (body["release_id"], body["state_kind"], body["site"]) == (None, "current_live", {"paths": []})

    def test_active_and_superseded_releases(
        self, client: httpx.Client, keys: dict[str, str], two: tuple[str, str]
    ) -> None:
        first, second = two
        active = client.get("/apply/v1/releases/active", headers=keys).json()
        assert (active["release_id"], active["status"], active["parent_id"]) == (second, "active", first)
        assert [entry["path"] for entry in active["site"]["paths"]] == ["index.html", "more.html"]
        assert [entry["migration_id"] for entry in active["migrations_applied"]] == ["m1"]
        assert active["migrations_applied"][0]["applied_at"].endswith("Z")
        assert active["static_manifest_metadata"]["file_count"] == 3
        assert client.get(active["events_url"]).status_code == 200
        old = client.get(f"/apply/v1/releases/{first}", headers=keys).json()
        assert (old["status"], old["effective"]) == ("superseded", False)
        assert old["superseded_at"]

    def test_site_limit_shortens_the_list_and_says_so(
        self, client: httpx.Client, keys: dict[str, str], two: tuple[str, str]
    ) -> None:
        body = client.get("/apply/v1/releases/active?site_limit=1", headers=keys).json()
        assert (len(body["site"]["paths"]), body["site"]["totals"]) == (1, {"paths": 2})
        assert client.get("/apply/v1/releases/active?site_limit=0", headers=keys).status_code == 400

    def test_keys_decide_what_is_seen(self, client: httpx.Client, two: tuple[str, str]) -> None:
        assert client.get("/apply/v1/releases/active").status_code == 401
        other = client.post("/projects/v1", json={}).json()
        headers = {"apikey": other["anon_key"]}
        assert client.get(f"/apply/v1/releases/{two[0]}", headers=headers).status_code == 404
        assert client.get(f"/apply/v1/releases/{two[0]}").json()["release_id"] == two[0]


class TestDiff:
    def test_between_releases(self, client: httpx.Client, keys: dict[str, str], two: tuple[str, str]) -> None:
        first, second = two
        body = client.get(f"/apply/v1/releases/diff?from={first}&to=active", headers=keys).json()
        assert (body["from_release_id"], body["to_release_id"], body["is_noop"]) == (first, second, False)
        assert [entry["path"] for entry in body["site"]["added"]] == ["more.html"]
        assert [entry["path"] for entry in body["site"]["changed"]] == ["index.html"]
        assert body["migrations"] == {"applied_between_releases": ["m1"]}
        same = client.get(f"/apply/v1/releases/diff?from={second}&to=active", headers=keys).json()
        assert same["is_noop"] is True

    def test_from_empty_and_limits(self, client: httpx.Client, keys: dict[str, str], two: tuple[str, str]) -> None:
        body = client.get("/apply/v1/releases/diff?from=empty&to=active&limit=1", headers=keys).json()
        assert (len(body["site"]["added"]), body["site"]["totals"]["added"]) == (1, 2)
        for query in ("from=active", "from=active&to=empty", ""):
            assert client.get(f"/apply/v1/releases/diff?{query}", headers=keys).status_code == 400
        assert client.get("/apply/v1/releases/diff?from=rel_x&to=active", headers=keys).status_code == 404


class TestPromote:
    def test_the_pointer_moves_back_after_the_warning_is_acknowledged(
        self, client: httpx.Client, project: dict[str, Any], keys: dict[str, str], two: tuple[str, str]
    ) -> None:
        first, second = two
        url = f"/apply/v1/releases/{first}/promote"
        body = {"project": project["project_id"], "allow_warning_codes": []}
        asked = client.post(url, json=body)
        assert (asked.status_code, asked.json()["code"]) == (409, "PROMOTE_WARNING_REQUIRES_ACK")
        assert asked.json()["unacknowledged_warning_codes"] == GOING_BACK
        half = client.post(url, json={**body, "allow_warning_codes": GOING_BACK[:1]})
        assert (half.status_code, half.json()["unacknowledged_warning_codes"]) == (409, GOING_BACK[1:])
        done = client.post(url, json={**body, "allow_warning_codes": GOING_BACK}).json()
        assert (done["status"], done["release_id"], done["previous_release_id"]) == ("ok", first, second)
        assert done["diff"]["migrations"]["only_in_current"] == ["m1"]
        assert done["diff"]["site_paths"] == {"added_in_current": 1, "removed_in_current": 0, "changed": 1}
        assert client.get(f"/projects/v1/{project['project_id']}/static/").content == A
        report = client.get(f"/apply/v1/operations/{done['operation_id']}/edge-coherence", headers=keys).json()
        assert report["coherent"] is True

    def test_refusals(self, client: httpx.Client, project: dict[str, Any], two: tuple[str, str]) -> None:
        other = client.post("/projects/v1", json={}).json()["project_id"]

        def code(release: str, project_id: str) -> tuple[int, str]:
            answer = client.post(f"/apply/v1/releases/{release}/promote", json={"project": project_id})
            return answer.status_code, answer.json()["code"]

        assert code(two[1], project["project_id"]) == (409, "PROMOTE_NO_OP")
        assert code("rel_none", project["project_id"]) == (404, "PROMOTE_TARGET_NOT_FOUND")
        assert code(two[0], other) == (400, "PROMOTE_PROJECT_MISMATCH")

    def test_a_plan_made_before_the_promotion_conflicts(
        self, client: httpx.Client, project: dict[str, Any], two: tuple[str, str]
    ) -> None:
        spec = {"project_id": project["project_id"], "site": {"patch": {"delete": ["more.html"]}}}
        planned = plan(client, spec).json()
        body = {"project": project["project_id"], "allow_warning_codes": GOING_BACK}
        client.post(f"/apply/v1/releases/{two[0]}/promote", json=body)
        refused = client.post(f"/apply/v1/plans/{planned['plan_id']}/commit", json={})
        assert (refused.status_code, refused.json()["code"]) == (409, "BASE_RELEASE_CONFLICT")


class TestOperations:
    def test_listing_pages_through_newest_first(
        self, client: httpx.Client, keys: dict[str, str], two: tuple[str, str]
    ) -> None:
        page = client.get("/apply/v1/operations?limit=1", headers=keys).json()
        assert [entry["release_id"] for entry in page["operations"]] == [two[1]]
        rest = client.get(f"/apply/v1/operations?cursor={page['cursor']}", headers=keys).json()
        assert ([entry["release_id"] for entry in rest["operations"]], rest["cursor"]) == ([two[0]], None)

    def test_an_operation_is_hidden_from_other_projects(
        self, client: httpx.Client, keys: dict[str, str], two: tuple[str, str]
    ) -> None:
        (newest,) = client.get("/apply/v1/operations?limit=1", headers=keys).json()["operations"]
        url = f"/apply/v1/operations/{newest['operation_id']}"
        assert client.get(url, headers=keys).json()["status"] == "ready"
        other = client.post("/projects/v1", json={}).json()
        assert client.get(url, headers={"apikey": other["anon_key"]}).status_code == 403
        missing = client.get("/apply/v1/operations/op_none", headers=keys)
        assert (missing.status_code, missing.json()["code"]) == (404, "OPERATION_NOT_FOUND")


def test_a_diff_of_many_files_is_capped_with_totals() -> None:
    files = {f"f{n}.txt": {"sha256": f"{n:064x}", "size": 1} for n in range(5)}
    diff = diffs.compare(None, materialize(None, {"site": {"replace": files}}), cap=2)
    assert (len(diff["site"]["added"]), diff["site"]["totals"]) == (2, {"added": 5, "removed": 0, "changed": 0})
    assert "5 added" in diffs.summary(diff, 1, True)
    assert json.dumps(diff)


def test_an_unchanged_state_has_one_digest_and_no_differences() -> None:
    state = materialize(None, {"site": {"replace": {"a.html": {"sha256": "0" * 64, "size": 1}}}})
    again = materialize(state, {"site": {"patch": {"put": {"a.html": {"sha256": "0" * 64, "size": 1}}}}})
    assert state_digest(state) == state_digest(again)
    assert diffs.changes_nothing(diffs.compare(state, again))
