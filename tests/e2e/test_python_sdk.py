"""The Python API against a real gateway: every kind of upload. (tests/test_howto.py runs the examples of its page.)"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from e2e_kit import Cli

from run402_cli import Run402

pytestmark = pytest.mark.e2e


def test_every_kind_of_upload_goes_through_in_this_process(cli: Cli, gateway: dict[str, Any], tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>dir</h1>", encoding="utf-8")
    (tmp_path / "logo.txt").write_text("logo", encoding="utf-8")
    copy = tmp_path / "copy.txt"
    before = dict(os.environ)
    with Run402(config_dir=cli.config) as r:
        assert r.api_base == gateway["url"]
        project = r.project(r.projects.provision(name="uploads")["project_id"])
        asset = project.assets.put(tmp_path / "logo.txt", key="img/")[0]
        assert (asset["key"], asset["size_bytes"]) == ("img/logo.txt", 4)
        project.assets.get("img/logo.txt", copy)
        assert copy.read_text(encoding="utf-8") == "logo"
        assert project.sites.deploy_dir(site, confirm_prune=True)["deployment_id"]
        source = "export default async (req) => new Response(JSON.stringify({ got: await req.text() }))"
        assert project.functions.deploy("echo", source, timeout=5)["status"] == "deployed"
        assert "hi" in str(project.functions.invoke("echo", body="hi"))
        project.snapshots.create()
        assert len(project.snapshots.list()["snapshots"]) == 1
        assert len(project.deploy.list()["operations"]) >= 3
        assert r.projects.current()["active_project_id"] == project.id
    assert dict(os.environ) == before
    assert project.id in cli("projects", "get", "--project", project.id).out


def test_up_deploys_a_directory(cli: Cli, tmp_path: Path) -> None:
    app = tmp_path / "app"
    (app / "site").mkdir(parents=True)
    (app / "site" / "index.html").write_text("<h1>up</h1>", encoding="utf-8")
    (app / "run402.deploy.json").write_text('{"site": {"replace": {"__source": "local-dir", "path": "site"}}}')
    events: list[dict[str, Any]] = []
    with Run402(config_dir=cli.config) as r:
        result = r.up(str(app), name="sdk-up", yes=True, on_event=events.append)
    assert result["result"]["project_id"].startswith("prj_")
    assert events
