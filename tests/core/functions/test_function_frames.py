"""What the process of a function sends is checked before it is used; an answer that nobody asked for goes to nobody."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from functions_kit import FRAME, Functions, handler

from run402_cli.core.functions import frames, workers
from run402_cli.core.functions.frames import CallFailed

STALE = """{ type: "response", call, status: 200, headers: [["x-forged", "1"]] }"""
OWN = "return new Response('own ' + new URL(req.url).search);"


@pytest.mark.parametrize("when", ["at once", "while nobody calls"])
def test_a_second_answer_is_not_the_answer_of_the_next_call(functions: Functions, when: str) -> None:
    send = f"frame({STALE});" if when == "at once" else f"setTimeout(() => frame({STALE}), 50);"
    functions.deploy_routed(FRAME + handler(f"if (req.url.includes('evil')) {{ {send} }} {OWN}"))
    for word in ("a", "b"):
        assert functions.get(f"/api/x?{word}").text == f"own ?{word}"
    functions.get("/api/x?evil")
    time.sleep(0.3)
    for word in ("c", "d"):
        answer = functions.get(f"/api/x?{word}")
        assert (answer.status_code, answer.text, "x-forged" in answer.headers) == (200, f"own ?{word}", False)


def test_logs_between_calls_are_no_answers(functions: Functions) -> None:
    functions.deploy_routed(
        "let n = 0;\n" + handler("setTimeout(() => console.log('late'), 50); return new Response(`${++n}`);")
    )
    assert functions.get("/api/x").text == "1"
    time.sleep(0.3)
    # The same process.
    assert functions.get("/api/x").text == "2"
    assert "late" in functions.messages("api")


ODD = {
    "a status of no HTTP": """frame({ type: "response", call, status: 99999, headers: [] });""",
    "a header of two lines": """frame({ type: "response", call, status: 200, headers: [["a", "b\\r\\nset-cookie: x=1"]] });""",
    "an answer without headers": """frame({ type: "response", call, status: 200 });""",
    "another call": """frame({ type: "response", call: "0", status: 200, headers: [] });""",
    "no object": """frame([]);""",
    "no JSON": """frame("{");""",
    "no UTF-8": """frame('{"type":"\\xff"}');""",
    "an unknown type": """frame({ type: "hello" , call });""",
    "an error of an unknown kind": """frame({ type: "error", call, code: "timeout", name: "x", message: "y" });""",
    "an error without words": """frame({ type: "error", call, code: "thrown" });""",
    "a log without text": """frame({ type: "log", stream: "stdout", text: 5 });""",
    "a length without end": """own().write(Buffer.alloc(8, 255));""",
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_frame_is_an_error_with_a_code(functions: Functions, what: str) -> None:
    functions.deploy_routed(FRAME + handler(f"if (req.url.includes('evil')) {{ {ODD[what]} }} {OWN}"))
    assert functions.get("/api/x?a").text == "own ?a"
    bad = functions.get("/api/x?evil")
    assert (bad.status_code, bad.json()["error"]) == (502, "local_executor_failed"), bad.text
    assert functions.get("/api/x?b").text == "own ?b"
    entries = [json.loads(entry["message"]) for entry in functions.logs("api") if entry["stream"] == "platform"]
    assert [entry["cause"] for entry in entries if entry["event"] == "function_invocation_failed"] == ["invalid"]


@pytest.mark.parametrize(
    "head",
    [
        {"status": 199, "headers": []},
        {"status": 600, "headers": []},
        {"status": "200", "headers": []},
        {"status": True, "headers": []},
        {"status": 200.5, "headers": []},
        {"status": 200, "headers": {}},
        {"status": 200, "headers": [["a"]]},
        {"status": 200, "headers": [["a", 5]]},
        {"status": 200, "headers": ["ab"]},
        {"status": 200, "headers": [["", "x"]]},
        {"status": 200, "headers": [["a b", "x"]]},
        {"status": 200, "headers": [["a:", "x"]]},
        {"status": 200, "headers": [["a", "x\ny"]]},
        {"status": 200, "headers": [["a", "x\0y"]]},
        {"status": 200, "headers": [["a", "\u0100"]]},
        {"status": 200, "headers": [["content-length", "-1"]]},
        {"status": 200, "headers": [["a", "x"]] * 257},
        {"status": 200, "headers": [["a", "x" * 70_000]] * 2},
    ],
)
def test_a_response_that_http_cannot_carry_is_refused(head: dict[str, Any]) -> None:
    with pytest.raises(CallFailed) as caught:
        frames.response({"type": "response", **head}, b"")
    assert caught.value.cause == "invalid"


def test_a_response_that_http_can_carry_is_taken() -> None:
    head = {
        "type": "response",
        "status": 418,
        "headers": [["X-A", " b c\t"], ["set-cookie", "\u00e9=\u00fc"], ["e", ""]],
    }
    reply = frames.response(head, b"body")
    assert (reply.status, reply.headers) == (418, [("X-A", "b c"), ("set-cookie", "\u00e9=\u00fc"), ("e", "")])


def test_texts_of_a_frame_can_be_stored() -> None:
    head = frames.head_of(b'{"type":"log","stream":"stderr","text":"a\\u0000b\\ud800c"}')
    assert frames.printed(head) == ("stderr", "a\ufffdb\ufffdc")
    error = frames.failure({"type": "error", "code": "thrown", "name": "E", "message": "a\0", "stack": "\udfff"})
    assert (error.message, error.stack) == ("E: a\ufffd", "\ufffd")


def test_an_error_with_nul_ends_a_run(functions: Functions) -> None:
    functions.deploy({"job": handler("throw new Error('a\\0b');")})
    run_id = functions.create_run("job", "k", retry={"max_attempts": 1}).json()["run_id"]
    assert "a\ufffdb" in functions.wait_for(run_id, "failed")["last_error"]["message"]


def test_one_project_never_has_all_processes(
    functions: Functions, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SHARE", 2)
    monkeypatch.setattr(workers, "MAX_WORKERS", 3)
    other = Functions(client, client.post("/projects/v1", json={"name": "attacker"}).json())
    slow = handler("await new Promise((done) => setTimeout(done, 6000)); return new Response('ok');")
    other.deploy({"one": slow, "two": slow, "three": slow})
    runs = [other.create_run(name, "k", retry={"max_attempts": 1}).json() for name in ("one", "two")]
    for run in runs:
        other.wait_for(run["run_id"], "running")
    time.sleep(1)
    refused = other.call("three")
    assert (refused.status_code, refused.json()["error"]) == (503, "dynamic_runtime_busy"), refused.text
    functions.deploy({"f": handler("return new Response('good');")})
    assert functions.call("f").text == "good"


def test_a_process_that_cannot_be_watched_keeps_no_other_from_it(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = "await new Promise((done) => setTimeout(done, 1000)); return new Response('ok');"
    hoard = "const a = []; while (true) { a.push(Buffer.alloc(1e7, 1)); await new Promise(r => setTimeout(r, 10)); }"
    functions.deploy(
        {"odd": handler(wait), "swells": handler(hoard)}, settings={"swells": {"config": {"memoryMb": 64}}}
    )
    measured, odd = workers._rss, []

    def rss(worker: Any) -> int:
        odd.append(worker)
        if worker is odd[0]:
            raise RuntimeError("no such process")
        return measured(worker)

    monkeypatch.setattr(workers, "_rss", rss)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(functions.call, "odd")
        time.sleep(0.5)
        swollen = functions.call("swells")
        assert first.result().text == "ok"
    assert (swollen.status_code, "more memory" in swollen.text) == (500, True)
