"""Functions that misbehave: the caller gets an answer, the gateway and the other functions go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from functions_kit import Functions, handler

from run402_cli.core.gateway import Gateway

GOOD = handler("return new Response('good');")
BAD = {
    "throws": (handler("throw new Error('the reason');"), 500, "local_executor_failed", "the reason"),
    "exits": (handler("process.exit(7);"), 500, "local_executor_failed", "exit code 7"),
    "kills": (handler("process.kill(process.pid, 'SIGKILL');"), 500, "local_executor_failed", "ended its process"),
    "spins": (handler("while (true) {}"), 504, "dynamic_runtime_timeout", "within 1 seconds"),
    "waits": (handler("await new Promise(() => {});"), 504, "dynamic_runtime_timeout", "within 1 seconds"),
    "hoards": (
        handler("const a = []; while (true) a.push(new Array(1000).fill(1));"),
        500,
        "local_executor_failed",
        "more memory than its 64 MB",
    ),
    "swells": (
        handler(
            "const a = []; while (true) { a.push(Buffer.alloc(1e7, 1)); await new Promise(r => setTimeout(r, 10)); }"
        ),
        500,
        "local_executor_failed",
        "more memory than its 64 MB",
    ),
    "late": (
        handler("setTimeout(() => { throw new Error('in a timer'); }, 5); await new Promise(() => {});"),
        500,
        "local_executor_failed",
        "in a timer",
    ),
    "import": ("throw new Error('at import');\nexport default () => 1;\n", 500, "local_executor_failed", "at import"),
    "nothing": (
        "export default await 1;\nexport const other = 1;\n",
        500,
        "local_executor_failed",
        "exports: default, other",
    ),
    "huge": (
        handler("return new Response('x'.repeat(7 * 1024 * 1024));"),
        502,
        "response_body_too_large",
        "larger than 6291456",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_failing_function_is_an_answer_and_a_log_entry(functions: Functions, name: str) -> None:
    source, status, error, reason = BAD[name]
    seconds = 5 if name == "swells" else 1
    config = {"config": {"timeout_seconds": seconds, "memory_mb": 64}}
    functions.deploy({name: source, "good": GOOD}, settings={name: config})
    answer = functions.call(name)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    request_id = answer.json()["request_id"]
    assert answer.headers["x-run402-request-id"] == request_id
    assert reason in answer.json()["details"]["message"]
    assert reason in functions.messages(name, request_id=request_id)
    assert functions.call("good").text == "good"
    assert functions.call(name).status_code == status


def test_strangers_do_not_see_the_functions_own_error(functions: Functions) -> None:
    functions.deploy_routed(handler("throw new Error('password is swordfish');"))
    answer = functions.get("/api/x")
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert set(answer.json()) == {"error", "message", "code", "request_id"}


def test_a_flood_on_stdout_is_cut_and_the_call_goes_on(functions: Functions) -> None:
    functions.deploy(
        {"flood": handler("for (let i = 0; i < 200000; i++) console.log('x'.repeat(80)); return new Response('done');")}
    )
    assert functions.call("flood").text == "done"
    kept = functions.messages("flood", tail=1000)
    assert "[output limit of this call reached]" in kept
    assert len(kept) < 80 * 1024


def test_a_request_body_over_the_limit_is_413(functions: Functions) -> None:
    functions.deploy_routed(handler("return new Response((await req.text()).length);"))
    limit = 6 * 1024 * 1024
    assert functions.route("POST", "/api/x", content=b"x" * limit).text == str(limit)
    assert functions.route("POST", "/api/x", content=b"x" * (limit + 1)).json()["error"] == "request_body_too_large"
    chunks = (b"x" * 1024 * 1024 for _ in range(8))
    assert functions.route("POST", "/api/x", content=chunks).status_code == 413


def test_a_slow_function_holds_up_neither_itself_nor_others(functions: Functions) -> None:
    source = handler(
        "if (new URL(req.url).search === '?slow') await new Promise(r => setTimeout(r, 1500)); return new Response('ok');"
    )
    functions.deploy({"api": source, "good": GOOD})
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(functions.call, "api?slow") for _ in range(2)]
        assert functions.call("good").text == "good"
        assert functions.call("api").text == "ok"
        assert not any(call.done() for call in slow)
        assert [call.result().text for call in slow] == ["ok", "ok"]


def test_more_calls_than_can_wait_are_refused_with_a_retry_hint(functions: Functions) -> None:
    functions.deploy({"api": handler("await new Promise(r => setTimeout(r, 1000)); return new Response('ok');")})
    with ThreadPoolExecutor(24) as pool:
        answers = [call.result() for call in [pool.submit(functions.call, "api") for _ in range(24)]]
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 20 + [503] * 4
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["error"] == "dynamic_runtime_busy"
    assert refused.headers["retry-after"] == "1"


def test_a_deleted_build_is_made_again(functions: Functions, gateway: Gateway) -> None:
    import shutil

    functions.deploy({"api": GOOD})
    assert functions.call("api").text == "good"
    runtime = gateway.functions
    shutil.rmtree(runtime.builder.root)
    runtime.forget(functions.id)
    assert functions.call("api").text == "good"
