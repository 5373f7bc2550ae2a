"""Small objects that come many in one request: what is stored, what is refused, and what a crash leaves of them."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from deploy_kit import batch, deploy, ref, sha256, site
from killable_kit import Killable

from run402_cli.core.content import journal
from run402_cli.core.content import store as stores
from run402_cli.core.content.journal import entries
from run402_cli.core.content.store import ContentStore
from run402_cli.core.gateway import Gateway

SMALL = [f"object {number}".encode() * number for number in range(50)]  # an empty one among them
PROJECT = "prj_0123456789abcdef"


def send(client: httpx.Client, project: dict[str, Any], body: bytes) -> httpx.Response:
    return client.post(f"/projects/v1/{project['project_id']}/content/batches", content=body)


def batches(root: Path) -> list[Path]:
    return list((root / "batches").glob("*"))


def put(store: ContentStore, *contents: bytes) -> None:
    body = batch(*contents)
    store.put_batch(PROJECT, body, list(entries(body)))


def killed_after(store: ContentStore, body: bytes) -> ContentStore:
    """The store as the next process finds it, when one was killed with this batch on the disk."""
    store.journal.folder.mkdir(parents=True, exist_ok=True)
    (store.journal.folder / f"{PROJECT}.0123").write_bytes(body)
    return ContentStore(store.root)


class TestRequests:
    def test_a_batch_is_stored_for_its_project(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        answer = send(client, project, batch(*SMALL))
        assert (answer.status_code, answer.json()) == (201, {"staged": len(SMALL)})
        other = client.post("/projects/v1", json={}).json()
        for data in SMALL:
            assert gateway.store.read(sha256(data)) == data
            assert gateway.store.project_size(project["project_id"], sha256(data)) == len(data)
            assert gateway.store.project_size(other["project_id"], sha256(data)) is None
        assert not list((gateway.store.root / "tmp").glob("*"))
        assert send(client, other, batch(*SMALL)).status_code == 201
        assert gateway.store.project_size(other["project_id"], sha256(SMALL[3])) == len(SMALL[3])

    @pytest.mark.parametrize("core", [True, False])
    def test_a_plan_says_the_limits_and_takes_what_came(
        self, client: httpx.Client, project: dict[str, Any], core: bool
    ) -> None:
        files = {"index.html": b"<p>page</p>", "a/b.css": b"p{}"}
        name = "project" if core else "project_id"
        spec = {name: project["project_id"], "site": {"replace": site(files, core=core)}}
        planned = client.post("/apply/v1/plans", json={"spec": spec}).json()
        assert planned["content_batches"] == journal.LIMITS
        assert send(client, project, batch(*files.values())).status_code == 201
        assert client.post(f"/apply/v1/plans/{planned['plan_id']}/commit", json={}).status_code == 200
        assert client.get(f"/projects/v1/{project['project_id']}/static/a/b.css").content == b"p{}"

    @pytest.mark.parametrize(
        ("body", "status", "error"),
        [
            (b"no line of a digest", 400, "invalid_request"),
            (batch(b"good") + b"rest", 400, "invalid_request"),
            (batch(b"good", b"cut off")[:-1], 400, "invalid_request"),
            (batch(b"good").upper(), 400, "invalid_request"),
            (batch(b"good") + f"{sha256(b'wrong')} 3\nbad".encode(), 409, "content_digest_mismatch"),
            (batch(b"good", bytes(journal.MAX_OBJECT_BYTES + 1)), 413, "content_too_large"),
            (batch(b"good", *(b"%d" % n for n in range(journal.MAX_OBJECTS))), 400, "invalid_request"),
            (bytes(journal.MAX_BYTES + 1), 413, "request_too_large"),
        ],
        ids=["text", "tail", "cut", "upper", "digest", "large object", "many", "large"],
    )
    def test_a_batch_that_is_not_whole_leaves_nothing(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway, body: bytes, status: int, error: str
    ) -> None:
        answer = send(client, project, body)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert gateway.store.project_size(project["project_id"], sha256(b"good")) is None
        assert not [path for path in batches(gateway.store.root) if project["project_id"] in path.name]

    def test_an_empty_batch_and_an_unknown_project(self, client: httpx.Client, project: dict[str, Any]) -> None:
        assert send(client, project, b"").json() == {"staged": 0}
        assert send(client, {"project_id": "prj_0000000000000000"}, batch(b"x")).status_code == 404

    def test_a_disk_that_refuses_is_told_and_no_batch_stays(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_args: object) -> None:
            raise OSError(28, "No space left on device")

        before = batches(gateway.store.root)
        monkeypatch.setattr(stores, "_moved", full)
        answer = send(client, project, batch(b"does not fit"))
        assert (answer.status_code, answer.json()["error"]) == (507, "storage_unavailable")
        assert batches(gateway.store.root) == before

    def test_the_content_of_a_deleted_project_does_not_come_back(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        assert send(client, project, batch(b"short-lived")).status_code == 201
        key = {"apikey": project["service_key"]}
        assert client.delete(f"/projects/v1/{project['project_id']}", headers=key).status_code == 200
        ContentStore(gateway.store.root).recover()
        assert not (gateway.store.root / "refs" / project["project_id"]).exists()


class TestDisk:
    def test_one_sync_of_a_file_serves_all_objects(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[str] = []
        monkeypatch.setattr(journal, "sync_file", lambda handle: synced.append(handle.name))
        store = ContentStore(tmp_path)
        put(store, *SMALL)
        assert [Path(name).parent for name in synced] == [tmp_path / "batches"]

    def test_a_commit_syncs_no_folder_of_what_a_batch_keeps(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = ContentStore(tmp_path)
        put(store, *SMALL)
        store.put(PROJECT, sha256(b"alone"), b"alone")
        synced: list[Path] = []
        monkeypatch.setattr(stores, "sync_folder", synced.append)
        store.sync(PROJECT, [sha256(data) for data in (*SMALL, b"alone")])
        assert synced == [store.path(sha256(b"alone")).parent, store.ref_path(PROJECT, sha256(b"alone")).parent]

    @pytest.mark.parametrize("at_once", [True, False])
    def test_many_folders_are_synced_at_once_where_the_system_can(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
    ) -> None:
        store = ContentStore(tmp_path)
        put(store, *SMALL)
        store.settle()
        synced: list[Path] = []
        monkeypatch.setattr(stores, "sync_folder", synced.append)
        monkeypatch.setattr(stores, "sync_file_system", lambda _root: at_once)
        store.sync(PROJECT, [sha256(data) for data in SMALL])
        folders = {sha256(data)[:2] for data in SMALL}
        assert len(folders) * 2 > stores.MANY_FOLDERS
        assert len(synced) == (0 if at_once else len(folders) * 2)

    @pytest.mark.parametrize("at_once", [True, False])
    def test_batches_go_when_their_objects_are_synced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
    ) -> None:
        store = ContentStore(tmp_path)
        put(store, *SMALL)
        store.ref_path(PROJECT, sha256(SMALL[1])).unlink()  # by a purge
        if not at_once:
            monkeypatch.setattr(journal, "sync_file_system", lambda _folder: False)
        assert len(batches(tmp_path)) == 1
        store.settle()
        assert not batches(tmp_path)
        assert store.journal.covered(PROJECT) == set()

    def test_a_sync_that_fails_keeps_the_batches(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_folder: Path) -> bool:
            raise OSError(5, "Input/output error")

        store = ContentStore(tmp_path)
        put(store, *SMALL)
        with monkeypatch.context() as patch:
            patch.setattr(journal, "sync_file_system", broken)
            with pytest.raises(OSError, match="Input/output"):
                store.settle()
        assert len(batches(tmp_path)) == 1
        store.settle()
        assert not batches(tmp_path)

    def test_a_file_system_without_second_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(*_args: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr("os.link", never)
        store = ContentStore(tmp_path)
        put(store, *SMALL)
        store.share(PROJECT, "prj_other")
        for project in (PROJECT, "prj_other"):
            assert store.sizes(project, [sha256(SMALL[7])]) == {sha256(SMALL[7]): len(SMALL[7])}


class TestCrashes:
    def test_what_a_batch_has_and_the_disk_lost_is_stored_again(self, tmp_path: Path) -> None:
        store = ContentStore(tmp_path)
        put(store, *SMALL)
        whole, empty, other, gone = (store.path(sha256(data)) for data in SMALL[1:5])
        empty.write_bytes(b"")
        other.write_bytes(bytes(len(SMALL[3])))
        gone.unlink()
        shutil.rmtree(tmp_path / "refs")
        again = ContentStore(tmp_path)
        again.recover()
        assert [path.read_bytes() for path in (whole, empty, other, gone)] == SMALL[1:5]
        assert again.sizes(PROJECT, [sha256(data) for data in SMALL]) == {sha256(data): len(data) for data in SMALL}
        assert not batches(tmp_path)

    def test_killed_between_a_batch_and_its_files(self, tmp_path: Path) -> None:
        again = killed_after(ContentStore(tmp_path), batch(*SMALL))
        again.recover()
        assert all(again.read(sha256(data)) == data for data in SMALL)

    @pytest.mark.parametrize("length", [0, 10, 90, -1])
    def test_half_a_batch_becomes_no_half_object(self, tmp_path: Path, length: int) -> None:
        again = killed_after(ContentStore(tmp_path), batch(b"first", b"second object")[:length])
        again.recover()
        for path in (tmp_path / "cas").glob("*/*"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        assert again.project_size(PROJECT, sha256(b"second object")) is None
        assert not batches(tmp_path)

    def test_a_killed_gateway_has_all_that_it_said_it_has(self, killable: Killable, tmp_path: Path) -> None:
        """Killed while batches come in, and then the files lose what was not synced."""
        project = killable.client.post("/projects/v1", json={"name": "crash"}).json()
        bodies = [[b"%d-%d" % (turn, number) * 200 for number in range(100)] for turn in range(400)]
        told = _sent_until_killed(killable, project, bodies)
        content = tmp_path / "data" / "content"
        synced_later = [entry for path in batches(content) for entry in entries(path.read_bytes())]
        assert synced_later
        for entry in synced_later[:50]:
            (content / "cas" / entry.sha256[:2] / entry.sha256).write_bytes(b"")
        killable.start()
        store = ContentStore(content)
        for data in told:
            assert store.read(sha256(data)) == data
            assert store.project_size(project["project_id"], sha256(data)) == len(data)
        for path in (content / "cas").glob("*/*"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        spec = {"project_id": project["project_id"], "site": {"replace": {"a.txt": ref(told[0])}}}
        assert deploy(killable.client, spec)["status"] == "ready"


def _sent_until_killed(killable: Killable, project: dict[str, Any], bodies: Iterable[list[bytes]]) -> list[bytes]:
    """What the gateway took before it was killed, in the middle of a batch."""
    told: list[bytes] = []
    enough = threading.Event()

    def sending() -> None:
        with httpx.Client(base_url=killable.client.base_url, timeout=60, trust_env=False) as client:
            for contents in bodies:
                try:
                    answer = send(client, project, batch(*contents))
                except httpx.TransportError:
                    return
                assert answer.status_code == 201, answer.text
                told.extend(contents)
                if len(told) >= 500:
                    enough.set()

    thread = threading.Thread(target=sending)
    thread.start()
    assert enough.wait(60)
    killable.kill()
    thread.join(60)
    return told
