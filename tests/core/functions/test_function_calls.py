"""Calling functions: by route, by name, and what becomes of requests and responses on the way."""

from __future__ import annotations

import base64
from typing import Any

import deploy_kit
import jwt
from functions_kit import Functions, handler

from run402_cli.core.functions.invoke import seen_headers

MIRROR = handler(
    "const u = new URL(req.url); return Response.json({ method: req.method, url: req.url, path: u.pathname,"
    " query: u.search, headers: Object.fromEntries(req.headers), body: await req.text() });"
)


def test_a_route_answers_with_the_functions_response(functions: Functions) -> None:
    functions.deploy_routed(MIRROR)
    answer = functions.get("/api/x%20y?a=1&a=2")
    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["path"], seen["query"]) == ("/api/x%20y", "?a=1&a=2")
    assert seen["url"] == f"{str(functions.client.base_url).rstrip('/')}/api/x%20y?a=1&a=2"
    assert answer.headers["x-run402-request-id"].startswith("req_")
    assert answer.headers["cache-control"] == "private, no-store"


def test_only_a_functions_own_answer_is_marked_as_one(functions: Functions) -> None:
    mine = "const own = {'x-run402-answered-by': 'gateway'}; return Response.json({hint: 'h'}, {status: 400, headers: own});"
    functions.deploy_routed(handler(mine))
    assert functions.get("/api/x").headers["x-run402-answered-by"] == "function"
    functions.deploy_routed(handler("throw new Error('no');"))
    assert "x-run402-answered-by" not in functions.get("/api/x").headers


def test_a_request_body_arrives_byte_for_byte(functions: Functions) -> None:
    functions.deploy_routed(handler("return new Response(await req.arrayBuffer());"))
    data = bytes(range(256)) * 4000
    answer = functions.route("POST", "/api/x", content=data)
    assert answer.content == data


def test_headers_of_the_platform_cannot_be_forged(functions: Functions) -> None:
    functions.deploy_routed(MIRROR)
    headers = {"X-Run402-User-Id": "mallory", "x-run402-actor-token": "t", "X-Own": "kept"}
    seen = functions.get("/api/x", headers=headers).json()["headers"]
    assert seen["x-own"] == "kept"
    assert "x-run402-user-id" not in seen
    assert "x-run402-actor-token" not in seen
    assert seen["x-run402-project-id"] == functions.id


def test_a_function_sees_no_credential_of_the_platform(functions: Functions) -> None:
    functions.deploy_routed(MIRROR)
    service_token = jwt.encode({"role": "service_role", "sub": "service"}, "x" * 32, algorithm="HS256")
    own_token = jwt.encode({"iss": "partner", "sub": "user_1"}, "x" * 32, algorithm="HS256")
    secret = {
        "SIGN-IN-WITH-X": "signed",
        "X-Run402-Write-Auth": "Bearer approved",
        "X-Admin-Mode": "1",
        "Cookie": "run402_admin=root; theme=dark",
        "apikey": functions.project["anon_key"],
    }
    tokens = (functions.project["service_key"], "dlg_token", service_token)
    for token in tokens:
        answer = functions.get("/api/x", headers={**secret, "Authorization": f"Bearer {token}"})
        seen = answer.json()["headers"]
        assert not {"sign-in-with-x", "x-run402-write-auth", "x-admin-mode", "apikey", "authorization"} & set(seen)
        assert seen["cookie"] == "theme=dark"
        assert not [value for value in (*secret.values(), *tokens) if value in answer.text and value != "1"]
    key = functions.project["service_key"]
    by_name = functions.client.post("/functions/v1/api", headers={"Authorization": f"Bearer {key}", "X-Own": "kept"})
    assert by_name.json()["headers"]["x-own"] == "kept"
    assert key not in by_name.text
    assert functions.project["service_key"] not in functions.call("api").text
    # A session of CI never gets as far as this on the local gateway.
    assert list(seen_headers([("authorization", "Bearer r402ci_x.y.z"), ("x-own", "kept")])) == [("x-own", "kept")]
    # Nor a key in a header or cookie of another name, of whichever project.
    other = [("x-api-key", key), ("x-key", f"Token {key}"), ("cookie", f"theme=dark; key={key}"), ("x-own", "kept")]
    assert list(seen_headers(other)) == [("cookie", "theme=dark"), ("x-own", "kept")]
    # What the app brings itself stays.
    for value in (f"Bearer {own_token}", "Bearer partner-token", "Basic dTpw"):
        assert functions.get("/api/x", headers={"Authorization": value}).json()["headers"]["authorization"] == value
    assert "cookie" not in functions.get("/api/x", headers={"Cookie": "run402_admin=1"}).json()["headers"]


def test_several_cookies_and_a_redirect_pass_through(functions: Functions) -> None:
    functions.deploy_routed(
        handler(
            "const h = new Headers({ location: '/elsewhere' }); h.append('set-cookie', 'a=1; Path=/');"
            " h.append('set-cookie', 'b=2; HttpOnly'); return new Response(null, { status: 302, headers: h });"
        )
    )
    answer = functions.get("/api/login", follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["location"] == "/elsewhere"
    assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]


def test_a_streamed_body_is_collected(functions: Functions) -> None:
    functions.deploy_routed(
        handler(
            "return new Response(new ReadableStream({ async start(c) { for (const p of ['one ', 'two ', 'three'])"
            " { c.enqueue(new TextEncoder().encode(p)); await new Promise(r => setTimeout(r, 5)); } c.close(); } }));"
        )
    )
    assert functions.get("/api/x").text == "one two three"


def test_head_has_the_headers_of_get_and_no_body(functions: Functions) -> None:
    functions.deploy_routed(handler("return new Response('four', { headers: { 'x-method': req.method } });"))
    answer = functions.route("HEAD", "/api/x")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "4"
    assert answer.headers["x-method"] == "HEAD"


def test_a_method_that_the_route_does_not_take_is_405(functions: Functions) -> None:
    functions.deploy_routed(MIRROR, methods=["GET", "POST"])
    answer = functions.route("DELETE", "/api/x")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_plain_values_and_envelopes_are_responses_too(functions: Functions) -> None:
    functions.deploy(
        {
            "value": handler("return { a: 1 };"),
            "nothing": handler(""),
            "envelope": handler(
                "return { status: 201, headers: [['x-a', '1']], cookies: ['c=1'], body: { encoding: 'base64',"
                f" data: '{base64.b64encode(b'hi').decode()}', size: 2 }} }};"
            ),
        }
    )
    assert functions.call("value").json() == {"a": 1}
    assert functions.call("nothing").text == "null"
    answer = functions.call("envelope")
    assert (answer.status_code, answer.text, answer.headers["x-a"]) == (201, "hi", "1")
    assert answer.headers["set-cookie"] == "c=1"


def test_a_call_by_name_needs_a_key_of_the_project(functions: Functions, client: Any) -> None:
    functions.deploy({"api": MIRROR})
    assert client.post("/functions/v1/api").status_code == 401
    assert client.post("/functions/v1/api", headers={"apikey": "nobody"}).status_code == 401
    by_anon = client.put("/functions/v1/api?x=1", headers=functions.anon, content=b"body")
    assert by_anon.json()["body"] == "body"
    assert by_anon.json()["method"] == "PUT"
    assert by_anon.json()["query"] == "?x=1"


def test_an_unknown_function_is_404_and_names_the_known_ones(functions: Functions) -> None:
    functions.deploy({"api": MIRROR})
    answer = functions.call("nope")
    assert answer.status_code == 404
    assert "api" in answer.json()["message"]


def test_the_invoke_call_gives_a_plain_object_and_returns_an_envelope(functions: Functions) -> None:
    functions.deploy({"api": handler("console.log('seen'); return Response.json(input);", "input")})
    body = {"project_id": functions.id, "function_name": "api"}
    answer = functions.client.post("/functions/v1/invoke", json=body, headers=functions.service).json()
    assert answer["response"]["status"] == 200
    given = base64.b64decode(answer["response"]["body"]["data"]).decode()
    assert f'"projectId":"{functions.id}"' in given
    assert '"invocationKind":"direct"' in given
    assert [entry["message"] for entry in answer["logs"]] == ["seen\n"]
    missing = functions.client.post(
        "/functions/v1/invoke", json={**body, "function_name": "no"}, headers=functions.service
    )
    assert (missing.status_code, missing.json()["error"]) == (503, "dynamic_runtime_unavailable")


def test_named_exports_and_handler_are_entrypoints(functions: Functions) -> None:
    functions.deploy(
        {
            "named": "export const run = () => new Response('run');\nexport default () => new Response('default');\n",
            "older": "export const handler = () => new Response('handler');\n",
        },
        settings={"named": {"entrypoint": "run"}},
    )
    assert functions.call("named").text == "run"
    assert functions.call("older").text == "handler"


def test_state_stays_between_warm_calls(functions: Functions) -> None:
    functions.deploy({"count": "let n = 0;\nexport default () => Response.json(++n);\n"})
    assert [functions.call("count").json() for _ in range(3)] == [1, 2, 3]


def test_the_environment_says_where_the_function_runs(functions: Functions) -> None:
    release = functions.deploy({"env": handler("return Response.json(process.env);")})
    env = functions.call("env").json()
    assert env["RUN402_PROJECT_ID"] == functions.id
    assert env["RUN402_RELEASE_ID"] == release["release_id"]
    assert env["RUN402_FUNCTION_NAME"] == "env"
    assert env["RUN402_ANON_KEY"] == functions.project["anon_key"]
    assert env["RUN402_API_BASE"] == str(functions.client.base_url).rstrip("/")
    assert "RUN402_WORKER_TOKEN" not in env
    assert "jwt" not in str(env).lower()


def test_each_call_knows_its_own_request(functions: Functions) -> None:
    functions.deploy({"env": handler("await 1; return new Response(process.env.RUN402_REQUEST_ID);")})
    for _ in range(3):
        answer = functions.call("env")
        assert answer.text == answer.headers["x-run402-request-id"]


def test_a_page_of_any_origin_may_call_by_name_with_the_anon_key(functions: Functions, client: Any) -> None:
    functions.deploy({"api": MIRROR})
    page = {"Origin": "http://blog.localhost:4020", "Sec-Fetch-Site": "cross-site"}
    answer = client.post("/functions/v1/api", headers={**page, **functions.anon})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    preflight = client.options("/functions/v1/api", headers={**page, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 204
    assert client.post("/functions/v1/api", headers=page).status_code == 401
    runs = client.get("/functions/v1/api/runs", headers={**page, **functions.anon})
    assert (runs.status_code, runs.json()["error"]) == (403, "origin_forbidden")


def test_a_site_host_leads_to_the_function_and_shows_in_its_url(functions: Functions) -> None:
    functions.deploy_routed(MIRROR)
    host = f"{functions.project['public_id']}.localhost:{functions.client.base_url.port}"
    answer = functions.client.get("/api/x?y", headers={"host": host, "Origin": "http://elsewhere.example"})
    assert answer.json()["url"] == f"http://{host}/api/x?y"


def test_a_404_of_a_function_is_final(functions: Functions) -> None:
    page = b"<h1>file</h1>"
    deploy_kit.stage(functions.client, functions.project, page)
    site = {"replace": {"index.html": deploy_kit.ref(page, "text/html")}}
    routes = {"replace": [{"pattern": "/api/*", "target": {"type": "function", "name": "api"}}]}
    functions.deploy({"api": handler("return new Response('not here', { status: 404 });")}, site=site, routes=routes)
    assert functions.get("/").text == "<h1>file</h1>"
    answer = functions.get("/api/other")
    assert (answer.status_code, answer.text) == (404, "not here")
