"""Configuration programs and Astro builds, run in a real Node.js."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from run402_cli.release import node, programs
from run402_cli.release.errors import ReleaseError
from run402_cli.release.manifest import normalize
from run402_cli.release.node import Node

pytestmark = pytest.mark.skipif(next(node.installed(), None) is None, reason="needs Node.js")
MODERN = next((each for each in node.installed() if each.version >= (22, 6, 0)), None)
needs_types = pytest.mark.skipif(MODERN is None, reason="needs a Node.js that loads TypeScript")

SITE = {"site": {"replace": {"index.html": "hi"}}}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def failure(path: Path) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        programs.evaluate(path)
    return caught.value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.mjs", f"export default {json.dumps(SITE)}"),
        ("a.mjs", f"export const config = {json.dumps(SITE)}"),
        ("a.mjs", f"export default () => ({json.dumps(SITE)})"),
        ("a.mjs", f"export default async () => ({json.dumps(SITE)})"),
        ("a.js", f"module.exports = {json.dumps(SITE)}"),
        ("a.cjs", f"exports.config = () => ({json.dumps(SITE)})"),
        ("a.cjs", f"exports.__esModule = true; exports.default = {json.dumps(SITE)}"),
    ],
)
def test_every_way_to_export_a_config_is_understood(tmp_path: Path, name: str, text: str) -> None:
    assert programs.evaluate(write(tmp_path, name, text)).document == SITE


@needs_types
@pytest.mark.parametrize("name", ["a.ts", "a.mts"])
def test_typescript_is_loaded_even_when_the_first_node_is_too_old(tmp_path: Path, name: str) -> None:
    text = f"type T = object; const value: T = {json.dumps(SITE)}; export default value satisfies T;"
    assert programs.evaluate(write(tmp_path, name, text)).document == SITE


@needs_types
def test_commonjs_typescript_is_loaded(tmp_path: Path) -> None:
    text = f"const value: object = {json.dumps(SITE)}; module.exports = value;"
    assert programs.evaluate(write(tmp_path, "a.cts", text)).document == SITE


def test_a_function_gets_the_manifest_its_directory_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP", "north")
    text = """export default ({ manifestPath, rootDir, env }) => ({
        seen: [manifestPath, rootDir, env.SHOP, env("SHOP"), env.require("SHOP"), env.ABSENT ?? null, "SHOP" in env,
               { ...env }.SHOP],
    })"""
    path = write(tmp_path, "a.mjs", text)
    expected = [str(path), str(tmp_path), "north", "north", "north", None, True, "north"]
    assert programs.evaluate(path).document == {"seen": expected}


def test_a_variable_that_is_required_and_missing_is_named(tmp_path: Path) -> None:
    error = failure(write(tmp_path, "a.mjs", 'export default ({ env }) => ({ project: env.require("SHOP_PROJECT") })'))
    assert (error.code, error.details) == ("CONFIG_ENV_REQUIRED", {"name": "SHOP_PROJECT"})


def test_a_projects_own_helper_may_demand_a_variable_too(tmp_path: Path) -> None:
    text = 'throw Object.assign(new Error("no"), { code: "CONFIG_ENV_REQUIRED", details: { name: "TOKEN" } })'
    assert failure(write(tmp_path, "a.mjs", text)).details == {"name": "TOKEN"}


def test_the_helpers_are_there_without_any_package(tmp_path: Path) -> None:
    write(tmp_path, "db/001_init.sql", "select 1")
    text = """
    import { defineConfig, dir, emailTrigger, file, nodeFunction, scheduleTrigger, sqlFile } from "@run402/sdk/node";
    export default defineConfig({
      project: "prj_1",
      database: { migrations: [sqlFile("db/001_init.sql"), sqlFile("db/001_init.sql", { name: "again" })] },
      functions: { replace: { api: nodeFunction("api.mjs", { triggers: [
        scheduleTrigger({ id: "s", cron: "0 * * * *", run: { event_type: "t" } }),
        emailTrigger({ id: "e", mailbox: "m", events: ["delivery"], run: { event_type: "t" } })] }) } },
      site: { replace: dir("dist", { ignore: ["x"] }) },
      assets: { put: [{ key: "k", source: file("k.bin", { contentType: "a/b" }) }] },
    });
    """
    document = programs.evaluate(write(tmp_path, "a.mjs", text)).document
    spec = normalize(document, base_dir=tmp_path, project=None).spec
    assert spec["database"]["migrations"] == [
        {"id": "001_init", "sql": "select 1"},
        {"name": "again", "sql": "select 1"},
    ]
    function = spec["functions"]["replace"]["api"]
    assert function["source"] == {"__source": "fs-file", "path": str(tmp_path / "api.mjs")}
    assert [trigger["type"] for trigger in function["triggers"]] == ["schedule", "email"]
    assert spec["site"]["replace"] == {"__source": "local-dir", "path": str(tmp_path / "dist"), "ignore": ["x"]}
    assert spec["assets"]["put"][0]["source"]["contentType"] == "a/b"


def test_the_projects_own_package_is_used_before_our_helpers(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "@run402" / "sdk"
    write(package, "package.json", json.dumps({"name": "@run402/sdk", "exports": {"./node": "./node.mjs"}}))
    write(package, "node.mjs", 'export const dir = () => "from the package"')
    text = 'import { dir } from "@run402/sdk/node"; export default { dir: dir("x") }'
    assert programs.evaluate(write(tmp_path, "a.mjs", text)).document == {"dir": "from the package"}


def test_bytes_become_base64_file_entries(tmp_path: Path) -> None:
    text = 'export default { a: Buffer.from("hi"), b: { data: new Uint8Array([1, 2]), contentType: "x/y" } }'
    assert programs.evaluate(write(tmp_path, "a.mjs", text)).document == {
        "a": {"data": "aGk=", "encoding": "base64"},
        "b": {"data": "AQI=", "encoding": "base64", "contentType": "x/y"},
    }


def test_what_a_config_prints_does_not_mix_with_its_value(tmp_path: Path) -> None:
    text = 'console.log("{\\"project\\": \\"no\\"}"); console.error("warned"); export default {}'
    evaluated = programs.evaluate(write(tmp_path, "a.mjs", text))
    assert evaluated.document == {}
    assert evaluated.console.splitlines() == ['{"project": "no"}', "warned"]


def test_open_handles_do_not_keep_a_finished_config_alive(tmp_path: Path) -> None:
    assert programs.evaluate(write(tmp_path, "a.mjs", "setInterval(() => {}, 1000); export default {}")).document == {}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("export const other = {}", "EXECUTABLE_CONFIG_INVALID_EXPORT"),
        ("export default 7", "EXECUTABLE_CONFIG_INVALID_EXPORT"),
        ("export default null", "EXECUTABLE_CONFIG_INVALID_EXPORT"),
        ("export default []", "EXECUTABLE_CONFIG_INVALID_EXPORT"),
        ("export default () => 'x'", "EXECUTABLE_CONFIG_INVALID_EXPORT"),
        ("export default { site: () => 1 }", "EXECUTABLE_CONFIG_INVALID_EXPORT"),
        ("export default { n: 1n }", "EXECUTABLE_CONFIG_INVALID_EXPORT"),
        ("const a = {}; a.a = a; export default a", "EXECUTABLE_CONFIG_INVALID_EXPORT"),
        ("export default () => { throw new Error('boom') }", "EXECUTABLE_CONFIG_EVALUATION_FAILED"),
        ("export default () => process.exit(0)", "EXECUTABLE_CONFIG_EVALUATION_FAILED"),
        ("throw new Error('boom')", "EXECUTABLE_CONFIG_LOAD_FAILED"),
        ("process.exit(3)", "EXECUTABLE_CONFIG_LOAD_FAILED"),
        ("export default {", "EXECUTABLE_CONFIG_LOAD_FAILED"),
        ("import 'no-such-package'; export default {}", "EXECUTABLE_CONFIG_LOAD_FAILED"),
        ("throw undefined", "EXECUTABLE_CONFIG_LOAD_FAILED"),
    ],
)
def test_a_config_that_gives_no_object_says_why(tmp_path: Path, text: str, code: str) -> None:
    path = write(tmp_path, "a.mjs", text)
    error = failure(path)
    assert error.code == code
    assert error.details is not None
    assert (error.details["path"], error.details["extension"]) == (str(path), ".mjs")


@pytest.mark.parametrize(
    "text", ["export default () => { for (;;) {} }", "export default () => new Promise(() => setInterval(() => {}, 9))"]
)
def test_a_config_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(programs, "EVALUATION_S", 0.3)
    error = failure(write(tmp_path, "a.mjs", text))
    assert error.code == "EXECUTABLE_CONFIG_TIMEOUT"
    assert error.details is not None
    assert error.details["timeout_ms"] == 300


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_processes_that_a_config_began_are_killed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "EVALUATION_S", 1.0)
    text = """import { spawn } from "node:child_process"; import { writeFileSync } from "node:fs";
    export default () => { const child = spawn("sleep", ["600"]); writeFileSync("PID", String(child.pid)); for (;;) {} }"""
    pid = tmp_path / "pid"
    failure(write(tmp_path, "a.mjs", text.replace("PID", str(pid))))
    assert _gone(int(pid.read_text()))


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_an_interrupted_wait_leaves_no_process_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"

    def interrupted(*_: object) -> None:
        while not pid.exists() or not pid.read_text():
            time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setattr(node, "_wait", interrupted)
    text = f"""import {{ writeFileSync }} from "node:fs";
    writeFileSync({json.dumps(str(pid))}, `${{process.pid}}`); for (;;) {{}}"""
    with pytest.raises(KeyboardInterrupt):
        programs.evaluate(write(tmp_path, "a.mjs", text))
    assert _gone(int(pid.read_text()))


def _gone(pid: int) -> bool:
    for _ in range(200):
        stat = Path(f"/proc/{pid}/stat")
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # dead, and nobody has asked for its status
        time.sleep(0.02)
    return False


def test_a_config_that_is_not_there_or_no_program_is_refused(tmp_path: Path) -> None:
    assert failure(tmp_path / "absent.mjs").code == "EXECUTABLE_CONFIG_LOAD_FAILED"
    assert failure(write(tmp_path, "a.tsx", "")).code == "UNSUPPORTED_EXECUTABLE_CONFIG_EXTENSION"


@pytest.mark.parametrize("source", ['{ path: "fn.ts" }', '{ __source: "fs-file", path: "a/fn.tsx" }'])
def test_a_typescript_function_must_be_bundled_first(tmp_path: Path, source: str) -> None:
    text = f"export default {{ functions: {{ patch: {{ set: {{ api: {{ source: {source} }} }} }} }} }}"
    error = failure(write(tmp_path, "a.mjs", text))
    assert error.code == "TYPESCRIPT_FUNCTION_REQUIRES_BUNDLE"
    assert error.details is not None
    assert error.details["field"] == "functions.patch.set.api.source"


@pytest.mark.parametrize(
    ("name", "versions", "code"),
    [
        ("a.mjs", [], "EXECUTABLE_CONFIG_LOAD_FAILED"),
        ("a.ts", [], "EXECUTABLE_CONFIG_LOAD_FAILED"),
        ("a.mjs", [(16, 0, 0)], "EXECUTABLE_CONFIG_LOAD_FAILED"),
        ("a.ts", [(20, 20, 0)], "EXECUTABLE_CONFIG_TS_LOADER_UNAVAILABLE"),
    ],
)
def test_without_a_fitting_node_the_error_says_which_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, versions: list[Any], code: str
) -> None:
    monkeypatch.setattr(node, "installed", lambda: iter([Node("/x/node", version) for version in versions]))
    error = failure(write(tmp_path, name, "export default {}"))
    assert (error.code, "run402[core]" in error.message) == (code, True)


def test_the_users_node_comes_before_the_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/mine/node")
    monkeypatch.setattr(node, "_version", lambda path: (24, 0, 0) if path == "/mine/node" else (22, 0, 0))
    assert next(node.installed()) == Node("/mine/node", (24, 0, 0))


@pytest.fixture
def astro_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a small @run402/astro that behaves as the real one does, and an empty dist/."""
    package = tmp_path / "node_modules" / "@run402" / "astro"
    exports = {"./release-slice": {"import": "./slice.mjs"}}
    write(package, "package.json", json.dumps({"name": "@run402/astro", "type": "module", "exports": exports}))
    write(
        package,
        "slice.mjs",
        """import { readFile } from "node:fs/promises"; import { join } from "node:path";
        class AdapterError extends Error { constructor(fields) { super(fields.message); Object.assign(this, fields); } }
        export async function buildAstroReleaseSlice(dist) {
          const file = join(dist, "run402", "adapter.json");
          const common = { file, suggestedFix: "build again", docs: "https://docs.run402.com/astro" };
          const text = await readFile(file, "utf8").catch(() => { throw new AdapterError(
            { code: "R402_ASTRO_ADAPTER_MANIFEST_MISSING", message: "no adapter.json", ...common }) });
          const adapter = JSON.parse(text);
          if (adapter.version !== "1.0") throw new AdapterError({ message: "version",
            code: "R402_ASTRO_ADAPTER_MANIFEST_VERSION_UNSUPPORTED", observedVersion: adapter.version, ...common });
          const source = await readFile(join(dist, "run402", "server", adapter.serverEntrypoint), "utf8");
          return { site: { replace: { __source: "local-dir", path: join(dist, "run402", "client") },
                           public_paths: { mode: "implicit" } },
                   functions: { replace: { ssr: { runtime: "node22", source, class: "ssr" } } } };
        }""",
    )
    (tmp_path / "dist").mkdir()
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def test_an_astro_build_gives_site_and_ssr_function(astro_project: Path) -> None:
    write(astro_project, "dist/run402/adapter.json", json.dumps({"version": "1.0", "serverEntrypoint": "entry.mjs"}))
    write(astro_project, "dist/run402/server/entry.mjs", "export default 1")
    write(astro_project, "dist/run402/client/index.html", "hi")
    manifest = {
        "site": {"replace": {"old.html": "x"}},
        "functions": {"replace": {"api": {"source": "a"}, "ssr": {"source": "old"}}, "patch": {"delete": ["b"]}},
        "routes": None,
    }
    document = programs.merge_astro(manifest, "dist").document
    assert document["site"]["replace"]["path"] == str(astro_project / "dist" / "run402" / "client")
    assert set(document["functions"]) == {"replace"}
    assert document["functions"]["replace"]["api"] == {"source": "a"}
    assert document["functions"]["replace"]["ssr"]["source"] == "export default 1"
    assert document["functions"]["replace"]["ssr"]["capabilities"] == ["astro.ssr.v1"]
    assert document["routes"] is None
    normalize(document, base_dir=astro_project, project="prj_1")


@pytest.mark.parametrize(
    ("adapter", "code", "more"),
    [
        (None, "R402_ASTRO_ADAPTER_MANIFEST_MISSING", {}),
        ({"version": "2.0"}, "R402_ASTRO_ADAPTER_MANIFEST_VERSION_UNSUPPORTED", {"observed_version": "2.0"}),
    ],
)
def test_a_build_without_a_usable_adapter_manifest_is_refused(
    astro_project: Path, adapter: Any, code: str, more: dict[str, str]
) -> None:
    if adapter is not None:
        write(astro_project, "dist/run402/adapter.json", json.dumps(adapter))
    with pytest.raises(ReleaseError) as caught:
        programs.merge_astro({}, "dist")
    directory = astro_project / "dist"
    file = str(directory / "run402" / "adapter.json")
    assert caught.value.code == code
    assert caught.value.details == {"flag": "--dir", "dir": str(directory), "file": file, **more}
    assert (caught.value.hint, caught.value.body) == ("build again", {"docs": "https://docs.run402.com/astro"})


def test_a_build_that_cannot_be_bundled_is_refused(astro_project: Path) -> None:
    write(astro_project, "dist/run402/adapter.json", json.dumps({"version": "1.0", "serverEntrypoint": "absent.mjs"}))
    with pytest.raises(ReleaseError) as caught:
        programs.merge_astro({}, "dist")
    assert caught.value.code == "BAD_USAGE"
    assert caught.value.details is not None
    assert "ENOENT" in caught.value.details["error"]


def test_without_the_package_dir_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReleaseError) as caught:
        programs.merge_astro({}, "dist")
    assert caught.value.code == "BAD_USAGE"
    assert caught.value.details is not None
    assert caught.value.details["flag"] == "--dir"
    assert "@run402/astro" in caught.value.details["import_error"]
