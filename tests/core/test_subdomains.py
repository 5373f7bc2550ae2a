"""Subdomains, domains and the page cache: what of them a gateway on one machine can do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from deploy_kit import deploy, site


@pytest.fixture
def release_id(client: httpx.Client, project: dict[str, Any]) -> str:
    spec = {"project_id": project["project_id"], "site": {"replace": site({"index.html": b"home"})}}
    return str(deploy(client, spec, b"home")["release_id"])


def claim(client: httpx.Client, service: dict[str, str], name: str, deployment: str) -> httpx.Response:
    return client.post("/subdomains/v1", json={"name": name, "deployment_id": deployment}, headers=service)


def page(client: httpx.Client, name: str) -> httpx.Response:
    return client.get("/", headers={"host": f"{name}.localhost:{client.base_url.port}"})


def test_a_claimed_name_serves_the_site_until_released(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], release_id: str
) -> None:
    made = claim(client, service, "my-shop", release_id)
    assert made.status_code == 201
    entry = made.json()
    assert entry["url"] == f"http://my-shop.localhost:{client.base_url.port}/"
    assert (entry["project_id"], entry["deployment_id"]) == (project["project_id"], release_id)
    assert page(client, "my-shop").content == b"home"
    assert client.get("/subdomains/v1", headers=service).json() == {"subdomains": [entry]}
    gone = client.delete("/subdomains/v1/my-shop", headers=service).json()
    assert (gone["name"], gone["project_id"]) == ("my-shop", project["project_id"])
    assert page(client, "my-shop").status_code == 404
    assert client.delete("/subdomains/v1/my-shop", headers=service).json()["code"] == "SUBDOMAIN_NOT_FOUND"


def test_a_claimed_name_survives_a_deploy_and_a_declared_one_follows_it(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], release_id: str
) -> None:
    claim(client, service, "mine", release_id)
    spec = {"project_id": project["project_id"], "subdomains": {"set": ["declared"]}}
    deploy(client, spec)
    assert page(client, "mine").content == page(client, "declared").content == b"home"
    deploy(client, {**spec, "subdomains": {"remove": ["declared"]}})
    assert page(client, "mine").status_code == 200
    assert page(client, "declared").status_code == 404


def test_without_a_deployment_it_is_the_live_release_and_there_must_be_one(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    refused = client.post("/subdomains/v1", json={"name": "early"}, headers=service)
    assert (refused.status_code, refused.json()["code"]) == (409, "NO_DEPLOYMENT")
    assert refused.json()["next_actions"][0]["argv"][1:3] == ["deploy", "apply"]
    spec = {"project_id": project["project_id"], "site": {"replace": site({"index.html": b"home"})}}
    live = deploy(client, spec, b"home")["release_id"]
    claimed = client.post("/subdomains/v1", json={"name": "early"}, headers=service)
    assert (claimed.status_code, claimed.json()["deployment_id"]) == (201, live)
    assert page(client, "early").content == b"home"


def test_a_name_of_another_project_is_taken(client: httpx.Client, service: dict[str, str], release_id: str) -> None:
    claim(client, service, "once", release_id)
    other = client.post("/projects/v1", json={}).json()
    spec = {"project_id": other["project_id"], "site": {"replace": site({"index.html": b"x"})}}
    theirs = deploy(client, spec, b"x")["release_id"]
    refused = claim(client, {"apikey": other["service_key"]}, "once", theirs)
    assert (refused.status_code, refused.json()["code"]) == (409, "SUBDOMAIN_TAKEN")
    assert page(client, "once").content == b"home"


def test_only_the_active_release_gets_a_name(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], release_id: str
) -> None:
    spec = {"project_id": project["project_id"], "site": {"replace": site({"index.html": b"two"})}}
    deploy(client, spec, b"two")
    refused = claim(client, service, "older", release_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "DEPLOYMENT_NOT_ACTIVE")
    assert claim(client, service, "none", "rel_unknown").status_code == 404


@pytest.mark.parametrize("name", ["ab", "Shop", "-shop", "shop-", "a.b.c", "www", "x" * 64, "sh op"])
def test_impossible_names_are_refused(
    name: str, client: httpx.Client, service: dict[str, str], release_id: str
) -> None:
    assert claim(client, service, name, release_id).json()["code"] == "INVALID_SUBDOMAIN"


def test_subdomains_need_the_service_key(client: httpx.Client, project: dict[str, Any], release_id: str) -> None:
    assert claim(client, {"apikey": project["anon_key"]}, "shop", release_id).status_code == 401
    assert client.get("/subdomains/v1").status_code == 401


def test_custom_domains_are_refused_with_what_works_instead(client: httpx.Client, project: dict[str, Any]) -> None:
    path = f"/projects/v1/{project['project_id']}/domains"
    assert client.get(path).json() == {"domains": []}
    assert client.get(f"{path}/shop.example").json()["code"] == "DOMAIN_NOT_FOUND"
    assert client.delete(f"{path}/shop.example").status_code == 404
    for target in (f"{path}/shop.example", f"{path}/shop.example/actions/check"):
        refused = client.post(target, json={})
        assert (refused.status_code, refused.json()["capability"]) == (422, "domains.custom")
        assert "run402 subdomains claim shop " in refused.json()["next_actions"][0]["command"]


def test_the_cache_is_always_empty_and_its_generation_counts_invalidations(
    client: httpx.Client, service: dict[str, str], release_id: str
) -> None:
    claim(client, service, "shop", release_id)
    host = f"shop.localhost:{client.base_url.port}"
    seen = client.get("/cache/v1/inspect", params={"host": host, "path": "/a?b=1", "locale": "en"}).json()
    assert seen == {"status": "MISS", "host": host, "path": "/a", "search": "b=1", "method": "GET", "locale": "en"}
    exact = client.post("/cache/v1/invalidate", json={"kind": "exact", "host": host, "path": "/a"}).json()
    assert exact == {"deleted": 0, "generation": "1", "host": host, "path": "/a"}
    assert client.post("/cache/v1/invalidate", json={"kind": "all", "host": host}).json()["generation"] == "2"
    prefix = {"kind": "prefix", "host": host, "prefix": "no-slash"}
    assert client.post("/cache/v1/invalidate", json=prefix).status_code == 400
    assert client.post("/cache/v1/invalidate", json={"kind": "some", "host": host}).status_code == 400


@pytest.mark.parametrize("host", ["example.com", "nobody.localhost", "127.0.0.1.example"])
def test_the_cache_of_a_strange_host_is_none_of_ours(host: str, client: httpx.Client) -> None:
    refused = client.post("/cache/v1/invalidate", json={"kind": "all", "host": host})
    assert (refused.status_code, refused.json()["code"]) == (403, "R402_CACHE_INVALIDATION_HOST_FORBIDDEN")
    assert client.get("/cache/v1/inspect", params={"host": host, "path": "/"}).status_code == 403
