"""Functions of a branch: the parent's code and secrets, the branch's own identity, no timers unless wanted."""

from __future__ import annotations

from functions_kit import Functions, handler

TELL = handler("return Response.json({ project: process.env.RUN402_PROJECT_ID, secret: process.env.API_TOKEN });")
HOURLY = {"id": "hourly", "type": "schedule", "cron": "0 * * * *", "run": {"event_type": "tick"}}


def branch(functions: Functions, **body: object) -> Functions:
    answer = functions.client.post(f"/projects/v1/{functions.id}/branches", json=body)
    assert answer.status_code == 201, answer.text
    project_id = answer.json()["branch_project_id"]
    return Functions(functions.client, functions.client.get(f"/projects/v1/{project_id}").json())


def scheduled(functions: Functions) -> bool:
    url = f"/projects/v1/{functions.id}/functions/api/trigger"
    return functions.client.post(url, headers=functions.service).status_code == 200


def test_a_branch_runs_the_functions_of_its_parent_as_itself(functions: Functions) -> None:
    functions.set_secret("API_TOKEN", "shared")
    functions.deploy({"api": TELL}, settings={"api": {"triggers": [HOURLY]}})
    made = branch(functions)
    assert made.call("api").json() == {"project": made.id, "secret": "shared"}
    assert functions.call("api").json() == {"project": functions.id, "secret": "shared"}
    assert (scheduled(functions), scheduled(made)) == (True, False)
    assert scheduled(branch(functions, enable_cron=True))


def test_a_deploy_to_the_branch_leaves_the_parent_alone(functions: Functions) -> None:
    functions.deploy({"api": TELL})
    made = branch(functions)
    made.deploy({"api": handler("return new Response('changed');")})
    assert made.call("api").text == "changed"
    assert functions.call("api").json()["project"] == functions.id
