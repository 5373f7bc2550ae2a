"""Where `up` takes the app from: directories and repositories."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from up_kit import Workspace

from run402_cli.up._source import _without_credentials, head_commit

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def repository(path: Path) -> str:
    """A repository with one commit; returns the commit."""
    path.mkdir()
    (path / "app.json").write_text(json.dumps({"site": {"replace": {"index.html": "x"}}}))
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    for args in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *args], cwd=path, check=True, capture_output=True)
    commit = head_commit(path)
    assert commit is not None
    return commit


@needs_git
def test_a_repository_is_cloned_and_the_checkout_removed(workspace: Workspace) -> None:
    commit = repository(workspace.path / "origin")
    done = workspace.run("up", f"file://{workspace.path / 'origin'}", "--check").json
    details = done["steps"][0]["details"]
    assert (details["kind"], details["commit"]) == ("repo", commit)
    assert done["result"]["manifest_path"] == f"{details['checkout']}/app.json"
    assert not Path(details["checkout"]).exists()


@needs_git
def test_a_repository_that_cannot_be_fetched_leaves_nothing_behind(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    done = workspace.run("up", f"file://{workspace.path}/nowhere", "--check")
    assert (done.code, done.envelope["code"]) == (1, "RUN402_SOURCE_RESOLVE_FAILED")
    assert done.steps == [("app.source.resolve", "failed")]
    assert list(temporary.iterdir()) == []


@needs_git
def test_a_directory_under_version_control_names_its_commit(workspace: Workspace) -> None:
    commit = repository(workspace.path / "app")
    details = workspace.run("up", "app", "--check").json["steps"][0]["details"]
    assert (details["kind"], details["commit"]) == ("local", commit)


def test_a_token_in_a_repository_url_is_never_shown(workspace: Workspace) -> None:
    assert _without_credentials("https://tok@h.example/x.git") == "https://h.example/x.git"
    assert _without_credentials("git@h.example:x.git") == "git@h.example:x.git"
    assert _without_credentials("ssh://git@h.example/x.git") == "ssh://git@h.example/x.git"
    assert _without_credentials("ssh://git:pw@h.example/x.git") == "ssh://h.example/x.git"
    assert _without_credentials("https://h.example/x.git?token=abc#x") == "https://h.example/x.git"
    done = workspace.run("up", "https://u:s3cret@127.0.0.1:1/x.git", "--check")
    assert (done.code, done.envelope["code"]) == (1, "RUN402_SOURCE_RESOLVE_FAILED")
    assert "s3cret" not in done.err


@pytest.mark.parametrize(
    "address",
    [
        *("ssh://u:s3cret@127.0.0.1:1/x.git", "https://127.0.0.1:1/x.git?token=s3cret", "HTTPS://s3cret@127.0.0.1:1/x"),
        *("https://127.0.0.1:1/x.git?a=1&private_token=s3cret", "git+https://u:s3cret@127.0.0.1:1/x?access_key=s3cret"),
    ],
)
@pytest.mark.parametrize("words", [("--check",), ("--yes",), ("--dry-run", "--human"), ("--json-stream", "--check")])
def test_no_secret_of_an_address_is_shown_by_any_way_to_say_it(
    workspace: Workspace, address: str, words: tuple[str, ...]
) -> None:
    done = workspace.run("up", address, *words)
    assert done.code == 1
    assert "127.0.0.1:1/x" in done.out + done.err
    assert "s3cret" not in done.out + done.err
