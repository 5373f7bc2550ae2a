"""Upload sessions, reading, listing, signing and deleting of stored objects."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from storage_kit import Storage, sha256

from run402_cli.core.gateway import Gateway
from run402_cli.core.settings import Settings
from run402_cli.core.storage import objects, signing

TEXT = b"hello, storage\n"


def test_an_uploaded_object_is_served_with_its_digest_in_every_header(storage: Storage) -> None:
    stored = storage.put("docs/a.txt", TEXT)
    answer = storage.get("public/docs/a.txt")
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["etag"] == f'"sha256-{sha256(TEXT)}"'
    assert answer.headers["x-run402-content-sha256"] == sha256(TEXT) == stored["sha256"]
    digest = base64.b64encode(bytes.fromhex(sha256(TEXT))).decode()
    assert answer.headers["content-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["cache-control"] == "public, max-age=300, stale-while-revalidate=3600"
    assert stored["public_url"].endswith("/storage/public/docs/a.txt")
    assert "immutable_url" not in stored


def test_ranges_and_conditions_are_answered(storage: Storage) -> None:
    storage.put("a.txt", TEXT)
    part = storage.get("public/a.txt", Range="bytes=7-")
    assert (part.status_code, part.content) == (206, TEXT[7:])
    assert part.headers["content-range"] == f"bytes 7-{len(TEXT) - 1}/{len(TEXT)}"
    assert storage.get("public/a.txt", Range=f"bytes={len(TEXT)}-").status_code == 416
    assert storage.get("public/a.txt", **{"Range": "bytes=1-", "If-Range": '"sha256-other"'}).status_code == 200
    assert storage.get("public/a.txt", **{"If-None-Match": part.headers["etag"]}).status_code == 304
    head = storage.client.head(f"{storage.path}/public/a.txt")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(TEXT)))


def test_a_private_object_is_not_public_but_its_owner_and_a_signed_url_read_it(storage: Storage) -> None:
    stored = storage.put("secret.txt", TEXT, visibility="private", immutable=True)
    assert "public_url" not in stored
    assert storage.get("public/secret.txt").json()["error"] == "storage_not_found"
    assert storage.get(f"immutable/{sha256(TEXT)}/secret.txt").status_code == 404
    for path in ("/storage/v1/blob/secret.txt", f"{storage.path}/blob/secret.txt"):
        owned = storage.owned("GET", path)
        assert (owned.content, owned.headers["cache-control"]) == (TEXT, "private, no-store")
        assert storage.client.get(path).status_code == 401
        anon = storage.client.get(path, headers={"apikey": storage.project["anon_key"]})
        assert anon.status_code == 401
    signed = storage.owned("POST", "/storage/v1/blob/secret.txt/sign", json={}).json()
    assert signed["expires_in"] == 3600
    assert httpx.get(signed["signed_url"], trust_env=False).content == TEXT


def test_a_signed_url_works_for_its_key_and_time_only(storage: Storage, gateway: Gateway) -> None:
    storage.put("a.txt", TEXT, visibility="private")
    storage.put("b.txt", b"other", visibility="private")
    url = storage.owned("POST", f"{storage.path}/blob/a.txt/sign", json={"ttl_seconds": 60}).json()["signed_url"]
    query = url.partition("?")[2]
    assert storage.get(f"signed/a.txt?{query}").content == TEXT
    assert storage.get(f"signed/b.txt?{query}").status_code == 404
    assert storage.get(f"signed/a.txt?{query}x").status_code == 404
    past = int(time.time()) - 1
    project_id = storage.project["project_id"]
    stale = signing.signature(gateway.settings, project_id, "a.txt", None, past)
    assert storage.get(f"signed/a.txt?expires={past}&signature={stale}").status_code == 404
    expires, mac = (part.partition("=")[2] for part in query.split("&"))
    arabic = "".join(chr(0x0660 + int(digit)) for digit in expires)
    for spelling in (
        f"0{expires}",
        f"+{expires}",
        f"%2B{expires}",
        f"%20{expires}",
        f"{expires}%0A",
        f"{expires}.0",
        arabic,
    ):
        assert storage.get(f"signed/a.txt?expires={spelling}&signature={mac}").status_code == 404, spelling
    assert storage.get(f"signed/a.txt?expires=1&expires={expires}&signature={mac}").status_code == 404


def test_the_signature_is_the_known_one() -> None:
    settings = Settings(data_dir=Path(), jwt_secret="", signed_read_secret="s3cret")
    made = signing.signature(settings, "prj_0123456789abcdef", "docs/a.txt", None, 1800000000)
    assert made == "O5jEiBGcbYoCznb8DzLfn5WwVPz1s98Vu1PzexvuYCA"


def test_the_inventory_revision_is_the_known_one() -> None:
    assert objects.revision(["b", "a"]) == "b457b85d3c87f4d69b7c937f1b5ce7c29afa07399951563a73aa426e92ee1ffb"
    assert objects.revision([]) == "67317a787e2ba9715440fa3d6d5aef8e3d950de3b8ff93560ca9f45074d1efc1"


@pytest.mark.parametrize(("path", "ttl"), [("/storage/v1/blob/a.txt/sign", 59), ("{own}/blob/a.txt/sign", 0)])
def test_a_ttl_out_of_range_is_refused(storage: Storage, path: str, ttl: int) -> None:
    storage.put("a.txt", TEXT)
    answer = storage.owned("POST", path.format(own=storage.path), json={"ttl_seconds": ttl})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_ttl")


def test_an_immutable_version_outlives_overwriting_and_deleting(storage: Storage) -> None:
    first = storage.put("app.js", b"one", immutable=True)
    storage.put("app.js", b"two", immutable=True)
    path = f"immutable/{sha256(b'one')}/app.js"
    assert first["immutable_url"].endswith(path)
    assert storage.owned("DELETE", "/storage/v1/blob/app.js").json() == {"key": "app.js", "deleted": True}
    answer = storage.get(path)
    assert (answer.content, answer.headers["cache-control"]) == (b"one", "public, max-age=31536000, immutable")
    assert storage.get("public/app.js").status_code == 404


def test_deleting_frees_the_storage_that_only_this_object_used(storage: Storage) -> None:
    def content_bytes() -> int:
        path = f"/projects/v1/admin/{storage.project['project_id']}/usage"
        return int(storage.owned("GET", path).json()["content_bytes"])

    storage.put("a.txt", TEXT)
    storage.put("copy.txt", TEXT)
    assert content_bytes() == len(TEXT)
    storage.owned("DELETE", "/storage/v1/blob/a.txt")
    assert content_bytes() == len(TEXT)
    storage.owned("DELETE", f"{storage.path}/blob/copy.txt")
    assert content_bytes() == 0
    assert storage.owned("DELETE", "/storage/v1/blob/copy.txt").status_code == 404


@pytest.mark.parametrize(
    "key",
    [
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "./a",
        "a\\b",
        "a%2fb",
        "a b",
        "a\nb",
        "_cas/a",
        "_staging",
        "_run402/x",
        "",
    ],
)
def test_keys_that_could_lead_elsewhere_are_refused(storage: Storage, key: str) -> None:
    answer = storage.session(key, TEXT)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_storage_key")


@pytest.mark.parametrize("path", ["%2e%2e/%2e%2e/secrets.json", "a%2fb", "a%5cb", "a%00b", "..%2f..%2fetc/passwd"])
def test_traversal_in_a_url_never_leaves_the_storage(storage: Storage, path: str) -> None:
    url = httpx.URL(str(storage.client.base_url)).copy_with(raw_path=f"{storage.path}/public/{path}".encode())
    assert storage.client.get(url).status_code in (400, 404)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"size_bytes": 0}, "invalid_size"),
        ({"size_bytes": 10**13}, "size_too_large"),
        ({"sha256": "abc"}, "invalid_sha256"),
        ({"content_type": "text"}, "invalid_content_type"),
        ({"visibility": "secret"}, "invalid_visibility"),
        ({"immutable": "yes"}, "invalid_request"),
    ],
)
def test_a_bad_declaration_is_refused(storage: Storage, fields: dict[str, Any], error: str) -> None:
    answer = storage.session("a.txt", TEXT, **fields)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_an_upload_that_is_not_what_was_declared_leaves_no_object(storage: Storage) -> None:
    for wrong, error in ((b"HELLO, STORAGE\n", "content_digest_mismatch"), (b"short", "content_size_mismatch")):
        upload_id = storage.session("a.txt", TEXT).json()["upload_id"]
        assert storage.send(upload_id, wrong).json()["bytes_written"] == len(wrong)
        assert storage.finish(upload_id).json()["error"] == error
    longer = storage.session("a.txt", TEXT).json()["upload_id"]
    assert storage.send(longer, TEXT * 1000).json()["bytes_written"] > len(TEXT)
    assert storage.finish(longer).json()["error"] == "content_size_mismatch"
    assert storage.keys() == []


def test_the_states_of_a_session(storage: Storage) -> None:
    upload_id = storage.session("a.txt", TEXT).json()["upload_id"]
    assert storage.finish(upload_id).json()["error"] == "upload_not_uploaded"
    assert storage.send(upload_id, TEXT).json()["status"] == "uploaded"
    assert storage.send(upload_id, TEXT).json()["error"] == "upload_not_active"
    done = storage.finish(upload_id)
    assert storage.finish(upload_id).json() == done.json()
    assert storage.owned("GET", f"{storage.path}/uploads/{upload_id}").json()["status"] == "completed"
    other = storage.session("b.txt", TEXT).json()["upload_id"]
    assert storage.owned("POST", f"{storage.path}/uploads/{other}/abort").json()["status"] == "aborted"
    assert storage.owned("POST", f"{storage.path}/uploads/{other}/abort").json()["error"] == "upload_not_active"
    assert storage.finish(other).json()["error"] == "upload_aborted"
    assert storage.owned("GET", f"{storage.path}/uploads/upl_nope").status_code == 404
    cleaned = storage.owned("POST", f"{storage.path}/cleanup").json()
    assert (cleaned["removed_uploads"], cleaned["retained_live_sha256"]) == (2, [sha256(TEXT)])


def test_bytes_may_come_as_base64_and_json_objects_stay_themselves(storage: Storage) -> None:
    for data in (TEXT, json.dumps({"bytes_base64": "aGk="}).encode()):
        upload_id = storage.session("a.json", data).json()["upload_id"]
        wrapped = json.dumps({"bytes_base64": base64.b64encode(data).decode()}) if data is TEXT else data
        storage.client.put(
            f"{storage.path}/uploads/{upload_id}/bytes",
            content=wrapped,
            headers={**storage.key, "Content-Type": "application/json"},
        )
        assert storage.finish(upload_id).status_code == 200
        assert storage.get("public/a.json").content == data


def test_another_project_cannot_see_or_change_objects(storage: Storage) -> None:
    storage.put("a.txt", TEXT, visibility="private")
    other = Storage(storage.client, storage.client.post("/projects/v1", json={}).json())
    assert other.keys() == []
    assert other.owned("GET", "/storage/v1/blob/a.txt").status_code == 404
    assert storage.client.get(f"{storage.path}/blob/a.txt", headers=other.key).status_code == 401
    assert storage.client.delete(f"{storage.path}/blob/a.txt", headers=other.key).status_code == 401


def test_listing_pages_by_key_and_by_time(storage: Storage) -> None:
    for key in ("b", "a", "img/x", "c", "A"):
        storage.put(key, key.encode())
    assert storage.keys() == ["A", "a", "b", "c", "img/x"]
    assert storage.keys(sort="createdAt:asc") == ["b", "a", "img/x", "c", "A"]
    assert storage.keys(prefix="img/") == ["img/x"]
    seen: list[str] = []
    query = {"sort": "createdAt:desc", "limit": "2"}
    while True:
        page = storage.owned("GET", "/storage/v1/blobs", params=query).json()
        seen += [blob["key"] for blob in page["blobs"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ["A", "c", "img/x", "a", "b"]
    wrong = storage.owned("GET", "/storage/v1/blobs", params={"sort": "key:asc", "cursor": query["cursor"]})
    assert wrong.json()["code"] == "INVALID_CURSOR_FOR_SORT"
    own = storage.owned("GET", f"{storage.path}/objects", params={"limit": "2"}).json()
    assert ([item["key"] for item in own["objects"]], own["next_cursor"]) == (["A", "a"], "a")
    assert storage.owned("GET", f"{storage.path}/objects", params={"cursor": "b"}).json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sort": "size"}, "INVALID_SORT"),
        ({"filter[colour]": "red"}, "INVALID_FILTER_KEY"),
        ({"filter[min_width]": "wide"}, "INVALID_REQUEST"),
        ({"limit": "1001"}, "INVALID_REQUEST"),
        ({"cursor": "nonsense"}, "INVALID_CURSOR_FOR_SORT"),
        ({"prefix": "../"}, "INVALID_STORAGE_PREFIX"),
    ],
)
def test_a_bad_listing_query_is_refused(storage: Storage, query: dict[str, str], code: str) -> None:
    answer = storage.owned("GET", "/storage/v1/blobs", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x06\0\0\0"


def hand(storage: Storage, key: str, data: bytes, **headers: str) -> httpx.Response:
    named = {"x-run402-asset-key": key, **{f"x-run402-asset-{name}": value for name, value in headers.items()}}
    sent = {"Authorization": f"Bearer {storage.project['service_key']}", "Content-Type": "image/png", **named}
    return storage.client.post("/apply/v1/service-asset-put", content=data, headers=sent)


def test_a_function_hands_in_an_asset_and_filters_find_it(storage: Storage) -> None:
    metadata = json.dumps({"uploaded_by": "u1", "tags": ["red", "blue"]})
    ref = hand(storage, "big.png", png(640, 480), metadata=metadata).json()
    assert (ref["width_px"], ref["height_px"], ref["image_format"]) == (640, 480, "png")
    assert ref["immutable_url"].endswith(f"/immutable/{sha256(png(640, 480))}/big.png")
    assert hand(storage, "small.png", png(10, 10), visibility="private", immutable="false").json()["url"] is None
    storage.put("note.txt", TEXT)
    assert storage.keys(**{"filter[is_image]": "true"}) == ["big.png", "small.png"]
    assert storage.keys(**{"filter[is_image]": "false"}) == ["note.txt"]
    assert storage.keys(**{"filter[min_width]": "320", "filter[max_height]": "480"}) == ["big.png"]
    assert storage.keys(**{"filter[tag]": "red"}) == ["big.png"]
    assert storage.keys(**{"filter[tag]": "Red"}) == []
    assert storage.keys(**{"filter[uploaded_by]": "u1", "filter[format]": "png"}) == ["big.png"]


def test_a_handed_in_asset_needs_a_key_bytes_and_good_headers(storage: Storage) -> None:
    assert hand(storage, "../x", b"x").json()["error"] == "invalid_storage_key"
    assert hand(storage, "x", b"").json()["error"] == "invalid_size"
    assert hand(storage, "x", b"x", metadata='{"a":{}}').json()["code"] == "INVALID_ASSET_METADATA"
    assert hand(storage, "x", b"x", **{"exif-policy": "maybe"}).json()["code"] == "INVALID_EXIF_POLICY"
    nobody = storage.client.post("/apply/v1/service-asset-put", content=b"x", headers={"x-run402-asset-key": "x"})
    assert nobody.status_code == 401


def test_diagnose_compares_the_stored_bytes_with_the_record(storage: Storage, gateway: Gateway) -> None:
    stored = storage.put("a.txt", TEXT, immutable=True)

    def diagnose(url: str) -> dict[str, Any]:
        answer: dict[str, Any] = storage.owned("GET", "/storage/v1/blobs/diagnose", params={"url": url}).json()
        return answer

    good = diagnose(stored["public_url"])
    assert good["expected_sha256"] == good["observed_sha256"] == sha256(TEXT)
    assert (good["path_kind"], good["cache"]["cache_kind"]) == ("blob-mutable", "mutable")
    assert diagnose(stored["immutable_url"])["path_kind"] == "blob-immutable"
    gateway.store.path(sha256(TEXT)).write_bytes(b"damaged")
    assert diagnose(stored["public_url"])["observed_sha256"] == sha256(b"damaged")
    gateway.store.path(sha256(TEXT)).unlink()
    assert diagnose(stored["public_url"])["observed_sha256"] is None
    assert storage.get("public/a.txt").json()["error"] == "content_digest_missing"
    for foreign in ("https://example.com/_blob/a.txt", stored["public_url"].replace("prj_", "prj_0"), "a.txt"):
        assert diagnose(foreign)["code"] == "URL_FORBIDDEN"


def test_a_page_reads_its_projects_assets_on_its_own_host(storage: Storage) -> None:
    storage.put("img/logo.txt", TEXT, immutable=True)
    storage.put("hidden.txt", TEXT, visibility="private")
    host = {"Host": f"{storage.project['public_id']}.localhost"}
    assert storage.client.get("/_blob/img/logo.txt", headers=host).content == TEXT
    hashed = storage.client.get(f"/_blob/img/logo-{sha256(TEXT)[:8]}.txt", headers=host)
    assert (hashed.content, "immutable" in hashed.headers["cache-control"]) == (TEXT, True)
    assert storage.client.get("/_blob/hidden.txt", headers=host).status_code == 404
    assert storage.client.get("/_blob/img/logo.txt").status_code == 404
