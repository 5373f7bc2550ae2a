"""Errors of functions: what is the same, what is new in a release, and what the verdict says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from functions_kit import Functions

from run402_cli.core.diagnostics.function_errors import fault_of, template

BREAKS = """
function pick(order) { return order.total; }
export default async (req) => {
  const mode = new URL(req.url).searchParams.get("mode");
  if (mode === "throw") return pick(undefined);
  if (mode === "number") throw new RangeError(`no order ${Math.floor(Math.random() * 1e6)}`);
  if (mode === "500") return new Response("sorry", { status: 503 });
  if (mode === "hang") await new Promise(() => {});
  return new Response("fine");
};
"""


@pytest.fixture
def functions(client: httpx.Client, project: dict[str, Any]) -> Functions:
    return Functions(client, project)


def errors(functions: Functions, path: str = "", **query: Any) -> dict[str, Any]:
    answer = functions.client.get(
        f"/projects/v1/{functions.id}/errors{path}", params=query, headers={"apikey": functions.project["service_key"]}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def call(functions: Functions, mode: str, name: str = "shop") -> int:
    return functions.call(name, params={"mode": mode}).status_code


def test_the_same_failure_is_one_row_with_its_frames_and_samples(functions: Functions) -> None:
    functions.deploy({"shop": BREAKS})
    assert [call(functions, mode) for mode in ("throw", "throw", "ok")] == [500, 500, 200]
    page = errors(functions)
    (row,) = page["errors"]
    assert (row["function"], row["kind"], row["error_name"], row["count"]) == ("shop", "uncaught", "TypeError", 2)
    assert row["fingerprint_quality"] == "frame_names"
    assert row["stable_frames"][0] == "pick (index.mjs)"
    assert [len(row["samples"]["recent"]), row["samples"]["first"]["id"][:4]] == [2, "req_"]
    assert row["samples"]["recent"][0]["id"] in row["next_actions"][0]["command"]
    assert (page["verdict"]["invocations_in_window"], page["verdict"]["new_fingerprints"]) == (3, 1)
    assert page["verdict"]["coverage"] == {"full_fidelity_functions": 1, "coarse_functions": 0}


def test_numbers_in_a_message_do_not_make_another_failure(functions: Functions) -> None:
    functions.deploy({"shop": BREAKS})
    for _ in range(3):
        call(functions, "number")
    assert [(row["message_template"], row["count"]) for row in errors(functions)["errors"]] == [("no order <n>", 3)]


def test_kinds_are_told_apart_and_filtered(functions: Functions) -> None:
    sources = {"shop": BREAKS, "dead": "throw new Error('no start');\nexport default () => 1;"}
    functions.deploy(sources, settings={"shop": {"config": {"timeout_seconds": 1}}})
    for mode in ("throw", "500", "hang"):
        call(functions, mode)
    call(functions, "ok", name="dead")
    found = {row["kind"]: row for row in errors(functions)["errors"]}
    assert set(found) == {"uncaught", "boot_crash", "invoke_failed", "handled_5xx"}
    assert found["invoke_failed"]["error_name"] == "dynamic_runtime_timeout"
    assert found["handled_5xx"]["error_name"] == "HTTP 503"
    assert found["boot_crash"]["function"] == "dead"
    assert [row["kind"] for row in errors(functions, kind="handled_5xx")["errors"]] == ["handled_5xx"]
    assert [row["function"] for row in errors(functions, function="dead")["errors"]] == ["dead"]
    wanted = found["uncaught"]["fingerprint_id"]
    assert [row["fingerprint_id"] for row in errors(functions, fingerprint=wanted)["errors"]] == [wanted]


def test_a_release_is_judged_by_what_is_new_in_it(functions: Functions) -> None:
    first = functions.deploy({"shop": BREAKS})["release_id"]
    call(functions, "throw")
    second = functions.deploy({"shop": BREAKS + "\n// changed"})["release_id"]
    call(functions, "throw")
    clean = errors(functions, new_in="active")
    assert clean["errors"] == []
    assert {key: clean["verdict"][key] for key in ("compared_release_id", "baseline_release_id")} == {
        "compared_release_id": second,
        "baseline_release_id": first,
    }
    assert (clean["verdict"]["new_fingerprints"], clean["verdict"]["recurring_fingerprints"]) == (0, 1)
    call(functions, "500")
    page = errors(functions, new_in=second)
    assert [row["kind"] for row in page["errors"]] == ["handled_5xx"]
    assert page["verdict"]["new_fingerprints"] == 1


def test_the_detail_names_other_functions_with_the_same_failure(functions: Functions) -> None:
    functions.deploy({"shop": BREAKS, "desk": BREAKS})
    call(functions, "throw")
    call(functions, "throw", name="desk")
    row = next(row for row in errors(functions)["errors"] if row["function"] == "shop")
    found = errors(functions, f"/{row['fingerprint_id']}")
    assert (found["also_seen_in_functions"], found["count"]) == (["desk"], 1)


def test_pages_follow_each_other(functions: Functions) -> None:
    functions.deploy({"shop": BREAKS})
    for mode in ("throw", "number", "500"):
        call(functions, mode)
    seen, cursor = [], None
    for _ in range(3):
        page = errors(functions, limit=1, **({"cursor": cursor} if cursor else {}))
        seen += [row["fingerprint_id"] for row in page["errors"]]
        cursor = page.get("next_cursor")
    assert (len(set(seen)), cursor) == (3, None)


def test_a_window_holds_what_happened_in_it(functions: Functions) -> None:
    functions.deploy({"shop": BREAKS})
    call(functions, "throw")
    assert len(errors(functions)["errors"]) == 1
    before = errors(functions, since="2020-01-01T00:00:00Z", until="2020-01-02T00:00:00Z")
    assert (before["errors"], before["verdict"]["window"]["since"]) == ([], "2020-01-01T00:00:00.000Z")


def test_a_project_without_calls_has_an_empty_verdict(functions: Functions) -> None:
    page = errors(functions)
    assert (page["errors"], page["has_more"], page["verdict"]["invocations_in_window"]) == ([], False, 0)


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("", {"kind": "odd"}, 400),
        ("", {"limit": "201"}, 400),
        ("", {"since": "yesterday"}, 400),
        ("", {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, 400),
        ("", {"cursor": "x"}, 400),
        ("", {"new_in": "active"}, 404),
        ("", {"new_in": "rel_nope"}, 404),
        ("/fp_nope", {}, 404),
    ],
)
def test_bad_questions_are_refused(functions: Functions, path: str, query: dict[str, str], status: int) -> None:
    url = f"/projects/v1/{functions.id}/errors{path}"
    answer = functions.client.get(url, params=query, headers={"apikey": functions.project["service_key"]})
    assert answer.status_code == status
    assert answer.json()["message"]


def test_errors_are_for_the_projects_own_service_key(functions: Functions) -> None:
    url = f"/projects/v1/{functions.id}/errors"
    assert functions.client.get(url).status_code == 401
    other = functions.client.post("/projects/v1", json={}).json()
    assert functions.client.get(url, headers={"apikey": other["service_key"]}).status_code == 403


def test_text_that_is_no_unicode_is_logged_and_counted(functions: Functions) -> None:
    source = "export default () => { console.log('a\\ud800b\\u0000c \\\\ud800'); throw new Error('x\\udfff'); }"
    functions.deploy({"shop": source})
    assert functions.call("shop").status_code == 500
    assert "a\ufffdb\ufffdc \\ud800" in functions.messages("shop")
    assert [row["message_template"] for row in errors(functions)["errors"]] == ["x\ufffd"]


def test_a_template_hides_what_changes_and_what_is_secret() -> None:
    assert template("user 3f2504e0-4f89-11d3-9a0c-0305e82c3301 has 12.5 of 7") == "user <id> has <n> of <n>"
    assert "hunter2" not in template("refused token=hunter2")


def test_frames_of_node_itself_do_not_count() -> None:
    stack = (
        "TypeError: x\n    at pick (file:///d/functions/apps-4.0.0/abc/lib/a.mjs:3:9)\n"
        "    at async file:///d/functions/apps-4.0.0/abc/index.mjs:9:1\n    at node:internal/process/task_queues:95:5\n"
    )
    facts = {"event": "function_invocation_failed", "cause": "thrown", "reason": "TypeError: x", "status": 500}
    fault = fault_of("shop", facts, stack)
    assert fault is not None
    assert fault.frames == ("pick (lib/a.mjs)", "<anonymous> (index.mjs)")
