"""A TypeScript config, from its source to the page that it promises."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from e2e_kit import Cli

from run402_cli.release import node

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not any(each.version >= (22, 6, 0) for each in node.installed()), reason="needs Node.js 22.6"),
]

CONFIG = """
import { defineConfig, dir, sqlFile } from "@run402/sdk/node";

interface Context { env: (name: string) => string; rootDir: string }

export default ({ env }: Context) => {
  console.log("building the config");
  return defineConfig({
    database: {
      migrations: [sqlFile("db/001_notes.sql")],
      expose: { version: "1", tables: [{ name: "notes", expose: true, policy: "public_read_authenticated_write" }] },
    },
    site: { replace: dir("site") },
    verify: { http: [{ id: "home", path: `/${env("PAGE")}.html`, expect: { status: 200 } }] },
  });
};
"""


def test_up_deploys_a_typescript_config_and_checks_the_page(cli: Cli, http: httpx.Client, tmp_path: Path) -> None:
    app = tmp_path / "app"
    for name, text in {
        "run402.deploy.ts": CONFIG,
        "db/001_notes.sql": "create table notes (id serial primary key, text text)",
        "site/hello.html": "<h1>typed</h1>",
    }.items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(text)
    command = ("up", "--manifest", "run402.deploy.ts", "--name", "typed", "--yes")
    envelope = cli(*command, cwd=app).envelope
    assert (envelope["code"], envelope["details"]["name"]) == ("CONFIG_ENV_REQUIRED", "PAGE")
    cli.env["PAGE"] = "hello"
    done = cli(*command, cwd=app)
    result = done.json["result"]
    assert result["verify"]["status"] == "verified"
    assert http.get(result["verification"]["http"][0]["url"]).text == "<h1>typed</h1>"
    assert any(
        event.get("step", {}).get("details", {}).get("console") == "building the config" for event in done.events
    )
    assert cli.ok(*command, cwd=app)["result"]["deploy"]["release_id"] == result["deploy"]["release_id"]
