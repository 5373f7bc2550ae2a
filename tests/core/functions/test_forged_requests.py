"""A function that asks an address for somebody else reaches no control route, and does not see the token of its callers."""

from __future__ import annotations

import pytest
from functions_kit import Functions, handler
from gateway_kit import TOKEN, Live

FETCHES = handler(
    "const a = await fetch((await req.json()).url); return new Response(await a.text(), {status: a.status})"
)
SHOWS = handler("return Response.json([...req.headers])")


@pytest.mark.parametrize(
    "path",
    ["/projects/v1", "/projects/v1/{id}", "/apply/v1/operations?project_id={id}", "/projects/v1/{id}/credentials"],
)
def test_what_a_function_fetches_for_others_is_not_the_control_plane(
    functions: Functions, live: Live, path: str
) -> None:
    functions.deploy({"fetcher": FETCHES})
    answer = functions.call("fetcher", json={"url": live.base_url + path.format(id=functions.id)})
    assert (answer.status_code, answer.json()["error"]) == (401, "control_token_required")
    assert functions.project["service_key"] not in answer.text


def test_a_function_does_not_see_the_control_token(functions: Functions) -> None:
    functions.deploy({"shows": SHOWS})
    answer = functions.call("shows", json={})
    assert answer.status_code == 200
    assert "content-type" in answer.text
    assert TOKEN not in answer.text
