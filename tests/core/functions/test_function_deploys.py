"""Deploying functions: what is refused and with which words, what is carried on, what comes of TypeScript and files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import deploy_kit
import httpx
import pytest
from functions_kit import Functions, handler

from run402_cli.core.functions.build import MODULES
from run402_cli.core.functions.node import check_modules

OK = handler("return new Response('ok');")


def test_a_syntax_error_is_reported_with_file_line_and_message(functions: Functions) -> None:
    functions.deploy({"api": OK})
    answer = functions.commit({"api": "export default async () => {\n  const x = ;\n};\n"})
    assert answer.status_code == 422
    body = answer.json()
    assert (body["error"], body["code"], body["phase"]) == (
        "invalid_function_bundle",
        "INVALID_FUNCTION_BUNDLE",
        "stage",
    )
    assert (body["reason"], body["function_name"]) == ("syntax_error", "api")
    assert (body["file"], body["line"], body["column"]) == ("api.mjs", 2, 13)
    assert "api.mjs:2:13: Expression expected" in body["message"]
    assert functions.call("api").text == "ok"


def test_an_early_error_of_the_language_is_found_too(functions: Functions) -> None:
    body = functions.commit({"api": "let a = 1;\nlet a = 2;\nexport default () => a;\n"}).json()
    assert body["line"] == 2
    assert "already been declared" in body["message"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import x from 'left-pad';\nexport default x;\n", "--deps left-pad"),
        ("import x from '@scope/thing/sub';\nexport default x;\n", "--deps @scope/thing"),
        ("import x from './other.mjs';\nexport default x;\n", "not among the files"),
    ],
)
def test_an_import_that_is_not_there_stops_the_deploy(functions: Functions, source: str, words: str) -> None:
    answer = functions.commit({"api": source})
    assert answer.status_code == 422
    assert words in answer.json()["message"]


COMMON = 'const p = require("path");\nmodule.exports = async () => Response.json({ok: 1});\n'


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (COMMON, "exports nothing (module.exports is not an export here). Add: export default async (req)"),
        ("export const GET = () => 1;\n", "it exports GET. Add: export { GET as default };"),
        ("export const a = 1, b = (n: number) => 1;\n", "it exports a, b. Add: export default"),
        (
            "import { nope } from 'node:fs';\nexport default nope;\n",
            "imports nope from node:fs, which does not export it",
        ),
    ],
)
def test_what_no_call_could_ever_run_is_not_deployed(functions: Functions, source: str, words: str) -> None:
    functions.deploy({"api": OK})
    answer = functions.commit({"api": source})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "INVALID_FUNCTION_BUNDLE")
    assert (body["reason"], body["file"]) == ("missing_export", "api.mjs")
    assert words in body["message"]
    assert functions.call("api").text == "ok"


def linked(folder: Path, files: dict[str, str], *, handler: str = "default") -> list[str]:
    """What the check finds in the first file as the entry; `p` and `q` are packages that are installed."""
    for package in ("p", "q"):
        (folder / "node_modules" / package).mkdir(parents=True)
    if "package.json" not in files:
        (folder / "package.json").write_text('{"type": "module"}')
    for name, text in files.items():
        (folder / name).write_text(text)
    modules = {name: text for name, text in files.items() if name.endswith(MODULES)}
    report = asyncio.run(check_modules(folder, modules, next(iter(files)), handler))
    return [f"{problem['file']}: {problem['message']}" for problem in report["problems"]]


@pytest.mark.parametrize(
    "files",
    [
        {"m.mjs": "export { h as default } from './l.mjs';", "l.mjs": "export const h = () => 1;"},
        {
            "m.mjs": "export * from './l.mjs';",
            "l.mjs": "export * from './k.mjs';",
            "k.mjs": "export function handler() {}",
        },
        {"m.mjs": "import * as l from './l.mjs'; export default make(); function make() { return l.h; }", "l.mjs": ""},
        {"m.mjs": "export { default } from 'p';"},
        {"m.mjs": "export * from 'p';"},
        {"m.mjs": "import { h } from './l.mjs'; export default h;", "l.mjs": "export * from 'p'; export * from 'q';"},
        {"m.mjs": "import x, { y } from 'p'; import { y as z } from 'q'; export { x as 'default' };"},
        {
            "m.mjs": "import { x } from './l.mjs'; export default x;",
            "l.mjs": "import d from './m.mjs'; export const x = d;",
        },
        {"m.mjs": "import fs, { readFileSync } from 'fs'; import { db } from '@run402/functions'; export default db;"},
        {"m.mjs": "export default () => 1;", "unused.mjs": "import { nope } from './m.mjs';"},
        {"m.cjs": "module.exports = () => 1;"},
        {"m.cjs": "#!/usr/bin/env node\nif (!globalThis.x) { exports.handler = () => 1; return; }"},
        {"m.cts": "const h = (r: Request): number => 1;\nmodule.exports = h;"},
        {"m.mjs": "import h from './c.cjs'; export default h;", "c.cjs": "module.exports = () => 1;"},
        {"m.js": "module.exports = () => 1;", "package.json": "{}"},
        {"m.ts": "type R = Request; export default (r: R): number => 1;"},
    ],
)
def test_nothing_that_may_run_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    assert linked(tmp_path, files) == []


A_CIRCLE = {
    "m.mjs": "import { a } from './a.mjs'; export default () => a(); export const base = 1;",
    "a.mjs": "import { base } from './m.mjs'; export * from './b.mjs'; export function a() { return base; }",
    "b.mjs": "export * from './a.mjs'; export const b = 1;",
}


@pytest.mark.parametrize(
    "files",
    [
        A_CIRCLE,
        {**A_CIRCLE, "m.mjs": "export { b as default } from './a.mjs'; export const base = 1, handler = () => base;"},
        {
            "m.mjs": "export * from './a.mjs'; export default h; import { h } from './a.mjs';",
            "a.mjs": "export * from './m.mjs'; export function h() {}",
        },
        # The same thing over two ways is no conflict.
        {
            "m.mjs": "export { handler } from './a.mjs';",
            "a.mjs": "export * from './b.mjs'; export * from './c.mjs';",
            "b.mjs": "export * from './c.mjs';",
            "c.mjs": "export * from './a.mjs'; export const handler = async () => 1;",
        },
        {
            "m.mjs": "import { x } from './a.mjs'; export default x;",
            "a.mjs": "export * from './m.mjs'; export * from 'p';",
        },
    ],
)
def test_modules_that_import_each_other_are_linked_as_node_does_it(tmp_path: Path, files: dict[str, str]) -> None:
    assert linked(tmp_path, files) == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {**A_CIRCLE, "b.mjs": "export * from './a.mjs'; import { nope } from './a.mjs';"},
            "b.mjs: imports nope from ./a.mjs, which does not export it",
        ),
        (
            {"m.mjs": "export { x as default } from './a.mjs';", "a.mjs": "export { default as x } from './m.mjs';"},
            "a.mjs: imports default from ./m.mjs, which does not export it",
        ),
        (
            {
                "m.mjs": "import { x } from './a.mjs'; export default () => x;",
                "a.mjs": "export * from './b.mjs'; export * from './c.mjs';",
                "b.mjs": "export const x = 1;",
                "c.mjs": "export const x = 2; import './m.mjs';",
            },
            "m.mjs: imports x from ./a.mjs, which has two different ones by export *. ",
        ),
    ],
)
def test_a_name_that_no_module_of_a_circle_exports_is_refused(tmp_path: Path, files: dict[str, str], told: str) -> None:
    (found,) = linked(tmp_path, files)
    assert found.startswith(told)


CALLED = "export default async (req) => { ... };"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("export default 5;", "a number"),
        ("export default {\n  fetch(req) { return new Response('x'); },\n};", "an object"),
        ("export default [() => 1];", "an array"),
        ("export default class { fetch() {} }", "a class"),
        ("class App {}\nexport { App as default };", "a class"),
        ("const config = { a: 1 };\nexport default config;", "an object"),
        ("export default globalThis.x ? null : `t`;", "null"),
        ("export default undefined;", "undefined"),
        ("let h;\nexport default h;", "undefined"),
        ("import * as h from './l.mjs';\nexport default h;", "a namespace"),
        ("import { h } from './l.mjs';\nexport default h;", "an object"),
        ("export { constants as default } from 'node:fs';", "of the type object"),
        ("export const handler = 'x';", "a string"),
    ],
)
def test_an_export_that_is_no_function_is_refused(tmp_path: Path, source: str, what: str) -> None:
    (told,) = linked(tmp_path, {"m.mjs": source, "l.mjs": "export const h = {};"})
    assert told.startswith(f"m.mjs: exports {what}")
    assert told.endswith(f"Write a function instead: {CALLED}")


@pytest.mark.parametrize(
    "source",
    [
        "export default 5;\nexport const handler = () => 1;",
        "let h = 5;\nexport { h as default };\nfunction later() { [h] = [() => 1]; }\nlater();",
        "var h = () => 1;\nvar h;\nexport { h as default };",
        "export default globalThis.x ? null : () => 1;",
        "export default new Proxy(() => 1, {});",
        "export default await 1;",
        "const { h } = globalThis;\nexport default h;",
        "let h;\nfor (h of [() => 1]);\nexport { h as default };",
        "let h = 1;\neval('h = () => 1');\nexport { h as default };",
        "class h {}\nh = () => 1;\nexport { h as default };",
        "export { readFileSync as default } from 'node:fs';",
        "const undefined_ = function () {};\nexport { undefined_ as default };",
        "import { a } from './l.mjs';\nexport const b = a;\nexport default b;",
    ],
)
def test_what_may_become_a_function_passes(tmp_path: Path, source: str) -> None:
    library = "import { b } from './m.mjs';\nexport const a = b;"
    assert linked(tmp_path, {"m.mjs": source, "l.mjs": library}) == []


def test_commonjs_that_names_no_export_is_refused(tmp_path: Path) -> None:
    (told,) = linked(tmp_path, {"m.cjs": "const h = () => 1;"})
    assert told == "m.cjs: is CommonJS and exports nothing. Add: module.exports = async (req) => { ... };"


def test_a_default_that_cannot_be_called_is_not_deployed(functions: Functions) -> None:
    functions.deploy({"api": OK})
    body = functions.commit({"api": "export default 5;\n"}).json()
    assert (body["code"], body["reason"], body["file"]) == ("INVALID_FUNCTION_BUNDLE", "not_callable", "api.mjs")
    assert body["phase"] == "stage"
    assert f"exports a number as default, which cannot be called. Write a function instead: {CALLED}" in body["message"]
    assert body["message"].endswith(CALLED)
    assert functions.call("api").text == "ok"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("export default 6;\n", "not_callable"),
        ("export const GET = () => 1;\n", "missing_export"),
        ("export default (;\n", "syntax_error"),
        ("import x from 'left-pad';\nexport default x;\n", "missing_import"),
    ],
)
def test_the_plan_refuses_what_a_deploy_would_when_the_code_is_there(
    functions: Functions, source: str, reason: str
) -> None:
    spec = functions.spec({"api": source})
    assert functions.plan(spec).status_code == 200
    deploy_kit.stage(functions.client, functions.project, source.encode())
    answer = functions.plan(spec)
    body = answer.json()
    assert (answer.status_code, body["code"], body["reason"]) == (422, "INVALID_FUNCTION_BUNDLE", reason)
    assert body["phase"] == "plan"


def test_the_plan_leaves_packages_to_the_deploy(functions: Functions) -> None:
    source = "import { x } from 'no-package-of-this-name';\nexport default x;\n"
    spec = functions.spec({"api": source}, settings={"api": {"deps": ["another-of-no-name"]}})
    deploy_kit.stage(functions.client, functions.project, source.encode())
    assert functions.plan(spec).status_code == 200


@pytest.mark.parametrize("entry", ["main.tsx", "main.py", "src/main.json"])
def test_an_entry_with_an_ending_that_node_cannot_run_is_refused_by_the_plan(functions: Functions, entry: str) -> None:
    code = {"files": {entry: deploy_kit.ref(b"export default () => 1;")}, "entrypoint": f"{entry}#run"}
    answer = functions.plan({"project_id": functions.id, "functions": {"patch": {"set": {"api": code}}}})
    body = answer.json()
    assert (answer.status_code, body["reason"], body["file"]) == (422, "entrypoint_ending", entry)
    assert ".js .mjs .cjs .ts .mts .cts" in body["message"]


# (module (func (export "run") (result i32) i32.const 42))
WASM = bytes.fromhex("0061736d010000000105016000017f030201000707010372756e00000a06010400412a0b")


@pytest.mark.parametrize(
    ("entry", "source", "said"),
    [
        ("main", b"export default () => new Response('ran');", "ran"),
        ("main.cjs", b"module.exports = () => new Response('ran');", "ran"),
        ("main.cts", b"enum Word { Ran = 'ran' }\nmodule.exports = () => new Response(Word.Ran);", "ran"),
        ("main.mts", b"export default (): Response => new Response('ran');", "ran"),
        ("main.wasm#run", WASM, "42"),
    ],
)
def test_every_ending_that_is_let_through_runs(functions: Functions, entry: str, source: bytes, said: str) -> None:
    code = {"files": {entry.partition("#")[0]: deploy_kit.ref(source)}, "entrypoint": entry}
    spec = {"project_id": functions.id, "functions": {"patch": {"set": {"api": code}}}}
    deploy_kit.deploy(functions.client, spec, source)
    assert functions.call("api").text == said


def test_an_export_that_the_entrypoint_names_has_to_be_there(tmp_path: Path) -> None:
    files = {"main.mjs": "export default () => 1;\nexport const yes = () => 1;"}
    assert linked(tmp_path / "yes", files, handler="yes") == []
    (told,) = linked(tmp_path / "nope", files, handler="nope")
    assert told.startswith("main.mjs: has no export nope, which the entrypoint names: it exports default, yes. Add: ")


def test_a_name_that_a_file_does_not_export_is_told_where_it_is_asked(tmp_path: Path) -> None:
    files = {"m.mjs": "export { x as default } from './l.mjs';", "l.mjs": "export { x } from './k.mjs';", "k.mjs": ""}
    assert linked(tmp_path, files) == ["l.mjs: imports x from ./k.mjs, which does not export it"]


def test_typescript_runs(functions: Functions) -> None:
    functions.deploy(
        {
            "types": "type A = { n: number };\nexport default async (req: Request): Promise<Response> => {\n"
            "  const a: A = { n: 1 };\n  return Response.json(a satisfies A);\n};\n",
            "enums": "enum Color { Red = 'red' }\nexport default () => new Response(Color.Red);\n",
        }
    )
    assert functions.call("types").json() == {"n": 1}
    assert functions.call("enums").text == "red"


def test_several_files_with_an_entrypoint(functions: Functions) -> None:
    files = {
        "src/main.mts": b"import { name } from './lib/name.mjs';\nexport default (): Response => new Response(name);\n",
        "src/lib/name.mjs": b"import { readFileSync } from 'node:fs';\n"
        b"export const name = readFileSync(new URL('../../data.txt', import.meta.url), 'utf8');\n",
        "data.txt": b"from a file",
    }
    entry = {"files": {path: deploy_kit.ref(data) for path, data in files.items()}, "entrypoint": "src/main.mts"}
    spec = {"project_id": functions.id, "functions": {"replace": {"multi": entry}}}
    deploy_kit.deploy(functions.client, spec, *files.values())
    assert functions.call("multi").text == "from a file"
    changed = {**files, "data.txt": b"another text"}
    entry["files"] = {path: deploy_kit.ref(data) for path, data in changed.items()}
    deploy_kit.deploy(functions.client, spec, b"another text")
    assert functions.call("multi").text == "another text"


def test_both_dialects_and_the_effects_of_the_core_one(functions: Functions) -> None:
    spec = {
        "project": functions.id,
        "functions": {
            "replace": {
                "api": {
                    "runtime": "node22",
                    "source": deploy_kit.ref(OK.encode(), core=True),
                    "config": {"timeoutSeconds": 3, "memoryMb": 256},
                    "requireAuth": False,
                }
            }
        },
        "routes": {"replace": [{"pattern": "/api/*", "target": {"type": "function", "name": "api"}}]},
    }
    planned = functions.plan(spec)
    assert planned.status_code == 201, planned.text
    effects = planned.json()["function_effects"]
    assert effects["bundles"][0]["timeout_ms"] == 3000
    assert effects["bundles"][0]["memory_bytes"] == 256 * 1024**2
    assert effects["dynamic_routes"] == [
        {"pattern": "/api/*", "kind": "prefix", "prefix": "/api/", "methods": None, "function_name": "api"}
    ]
    deploy_kit.stage(functions.client, functions.project, OK.encode())
    done = deploy_kit.commit(functions.client, planned.json())
    assert done.json()["status"] == "committed"
    assert functions.get("/api/x").text == "ok"
    assert functions.plan(spec).json()["noop"] is True


def test_functions_are_carried_on_by_deploys_that_do_not_name_them(functions: Functions) -> None:
    functions.deploy({"api": OK})
    page = b"<h1>hi</h1>"
    deploy_kit.deploy(
        functions.client,
        {"project_id": functions.id, "site": {"replace": {"index.html": deploy_kit.ref(page)}}},
        page,
    )
    assert functions.call("api").text == "ok"
    functions.deploy({"other": handler("return new Response('other');")})
    assert functions.call("api").text == "ok"
    assert functions.call("other").text == "other"


def test_removing_a_function_asks_first(functions: Functions) -> None:
    functions.deploy({"api": OK, "other": OK})
    source = deploy_kit.ref(OK.encode())
    planned = functions.plan({"project_id": functions.id, "functions": {"replace": {"api": {"source": source}}}})
    warning = next(w for w in planned.json()["warnings"] if "FUNCTION_REMOVAL" in w["code"])
    assert (warning["affected"], warning["requires_confirmation"]) == (["other"], True)
    assert deploy_kit.commit(functions.client, planned.json()).status_code == 200
    assert functions.call("other").status_code == 404


def test_settings_change_without_code(functions: Functions) -> None:
    functions.deploy({"api": OK})
    spec = {"project_id": functions.id, "functions": {"patch": {"set": {"api": {"config": {"timeout_seconds": 2}}}}}}
    deploy_kit.deploy(functions.client, spec)
    assert functions.call("api").text == "ok"
    assert listed(functions)[0]["timeout"] == 2


def test_promoting_an_earlier_release_brings_its_code_back(functions: Functions) -> None:
    first = functions.deploy({"api": handler("return new Response('one');")})
    functions.deploy({"api": handler("return new Response('two');")})
    assert functions.call("api").text == "two"
    answer = functions.client.post(
        f"/apply/v1/releases/{first['release_id']}/promote", json={"project": functions.id, "allow_warning_codes": []}
    )
    assert answer.status_code == 200, answer.text
    assert functions.call("api").text == "one"


BAD_GATE = {"table": "a;b", "id_column": "i", "role_column": "r", "allowed": ["x"]}
MIXED_TRIGGER = {"id": "a", "type": "schedule", "cron": "* * * * *", "mailbox": "m", "run": {"event_type": "x"}}


@pytest.mark.parametrize(
    ("entry", "status", "error"),
    [
        ({"runtime": "node18"}, 400, "invalid_release_spec"),
        ({"config": {"timeout_seconds": 0}}, 400, "invalid_release_spec"),
        ({"config": {"color": 1}}, 400, "invalid_release_spec"),
        ({"deps": ["sharp"]}, 400, "invalid_release_spec"),
        ({"deps": ["file:../x"]}, 400, "invalid_release_spec"),
        ({"deps": ["--registry=http://x"]}, 400, "invalid_release_spec"),
        ({"schedule": "every day"}, 422, "invalid_function_schedule"),
        ({"schedule": "61 * * * *"}, 422, "invalid_function_schedule"),
        ({"class": "ssr"}, 422, "unsupported_capability"),
        ({"source": None}, 422, "invalid_function_bundle"),
        ({"require_role": BAD_GATE}, 422, "role_gate_invalid_identifier"),
        ({"triggers": [MIXED_TRIGGER]}, 400, "invalid_release_spec"),
    ],
)
def test_what_a_plan_refuses(functions: Functions, entry: dict[str, Any], status: int, error: str) -> None:
    answer = functions.plan(functions.spec({"api": OK}, settings={"api": entry}))
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text


def test_twenty_one_schedules_are_too_many(functions: Functions) -> None:
    triggers = [{"id": f"t{n}", "type": "schedule", "cron": "0 0 * * *", "run": {"event_type": "x"}} for n in range(21)]
    answer = functions.plan(functions.spec({"api": OK}, settings={"api": {"triggers": triggers}}))
    assert (answer.status_code, answer.json()["error"]) == (422, "schedule_limit_exceeded")


def listed(functions: Functions) -> list[dict[str, Any]]:
    answer = functions.client.get(f"/projects/v1/admin/{functions.id}/functions", headers=functions.service)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["functions"])


def test_list_update_delete_and_rebuild(functions: Functions, client: httpx.Client) -> None:
    functions.deploy({"api": OK, "other": OK})
    url = f"/projects/v1/admin/{functions.id}/functions"
    assert client.get(url).status_code == 401
    first = listed(functions)[0]
    assert (first["name"], first["runtime"], first["timeout"], first["memory"]) == ("api", "node22", 15, 128)
    assert (first["deps_resolved"], first["runtime_stale"], first["schedule"]) == ({}, False, None)
    assert first["url"] == f"{functions.client.base_url}/functions/v1/api".replace("//functions", "/functions")
    changed = client.patch(
        f"{url}/api", json={"schedule": "0 3 * * *", "config": {"memory": 256}}, headers=functions.service
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["memory"], changed.json()["schedule"]) == (256, "0 3 * * *")
    assert changed.json()["schedule_meta"]["next_run_at"].endswith("T03:00:00.000Z")
    assert client.patch(f"{url}/api", json={}, headers=functions.service).status_code == 400
    rebuilt = client.post(f"/projects/v1/{functions.id}/functions/api/rebuild").json()
    assert (rebuilt["rebuilt"], rebuilt["old_fingerprint"]) == (True, rebuilt["new_fingerprint"])
    every = client.post(f"/projects/v1/{functions.id}/functions/rebuild").json()
    assert (every["rebuilt_count"], every["total"]) == (2, 2)
    assert functions.call("api").text == "ok"
    assert client.delete(f"{url}/other", headers=functions.service).json() == {"status": "deleted", "name": "other"}
    assert client.delete(f"{url}/other", headers=functions.service).status_code == 404
    assert [entry["name"] for entry in listed(functions)] == ["api"]


def test_a_routed_function_cannot_be_deleted(functions: Functions) -> None:
    functions.deploy_routed(OK)
    answer = functions.client.delete(f"/projects/v1/admin/{functions.id}/functions/api", headers=functions.service)
    assert (answer.status_code, answer.json()["error"]) == (409, "function_in_use")
