"""The table of tools: complete, described, honest about its effects, and compatible with the Node server's inputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from run402_cli.effects import SURFACE
from run402_cli.mcp import profiles
from run402_cli.mcp._tool import DESTRUCTIVE, EFFECTS, LOCAL_READ, READ, Tool
from run402_cli.mcp._types import schema_of
from run402_cli.mcp.tools import TOOLS
from run402_cli.registry import GROUPS

OTHER_TABLE = Path(__file__).resolve().parents[3] / "shared" / "contract" / "mcp-tools.yaml"
# Inputs that the Node server does not have: a tool that writes a file replaces none unless it is told to.
ADDED = {"overwrite"}
LEFT_OUT = {
    "get_buzz_route",
    "list_buzz_route_deliveries",
    "get_gitvault_status",
    "list_gitvault_heads",
    "verify_gitvault",
}
# Spellings that a message of the command line may use for a command of the table.
SPELLINGS = {
    "agent passkey enroll",
    "ci link github",
    "transfer list --incoming",
    "transfer list --outgoing",
    "email status",
    "up verify",
    "logs",
}
# Tools that save an answer on this machine, or that only ask for a look.
LOOKS = {
    *("assets_get", "jobs_download_artifact", "project_use", "domains_check", "get_email_raw", "delete_project"),
    *("init", "allowance_create", "join_room"),
}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_each_tool_describes_itself(tool: Tool) -> None:
    from jsonschema import Draft7Validator

    assert re.fullmatch(r"[a-z][a-z_]*", tool.name)
    assert tool.purpose.endswith(".")
    assert 25 < len(tool.purpose) < 330
    assert tool.effect in EFFECTS
    schema = tool.input_schema()
    Draft7Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    for param in tool.params:
        if "default" in param.rules:
            assert not param.required
            Draft7Validator(param.schema()).validate(param.rules["default"])


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_each_tool_names_commands_that_exist(tool: Tool) -> None:
    commands = {name for name, group in GROUPS.items() if not group.commands}
    commands |= {f"{name} {path}" for name, group in GROUPS.items() for path in group.commands}
    assert set(tool.cli) <= commands | SPELLINGS


def test_no_command_belongs_to_two_tools() -> None:
    named = [command for tool in TOOLS.values() for command in tool.cli]
    assert len(named) == len(set(named))


def test_a_tool_that_only_reads_stands_for_commands_that_only_read() -> None:
    for tool in TOOLS.values():
        if tool.effect in (READ, LOCAL_READ) and tool.name not in LOOKS:
            effects = {SURFACE[command].effect for command in tool.cli if command in SURFACE}
            assert effects <= {"read"}, (tool.name, effects)


def test_hints_follow_from_the_effect() -> None:
    for tool in TOOLS.values():
        hints = tool.hints()
        assert hints["readOnlyHint"] is (tool.effect in (READ, LOCAL_READ))
        assert hints["destructiveHint"] is (tool.effect == DESTRUCTIVE)
    assert TOOLS["pay_url"].hints()["openWorldHint"] is True
    assert TOOLS["verify_project_archive"].hints()["openWorldHint"] is False


def test_profiles_name_tools_that_exist() -> None:
    for name in profiles.PROFILES:
        assert set(profiles.chosen(TOOLS, name)) == set(profiles.PROFILES[name])


def other_table() -> dict[str, list[dict[str, Any]]]:
    """Name -> inputs. The file's lines of interest hold one flow mapping each, with values that are JSON."""
    tools: dict[str, list[dict[str, Any]]] = {}
    name = ""
    for line in OTHER_TABLE.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"  - name: (\w+)", line):
            name = found[1]
            tools[name] = []
        elif found := re.fullmatch(r"      - \{(.*)\}", line):
            tools[name].append(mapping(found[1]))
    return tools


def mapping(text: str) -> dict[str, Any]:
    values, at = {}, 0
    while at < len(text):
        key = re.compile(r"(?:, )?(\w+): ").match(text, at)
        assert key is not None, text
        values[key[1]], at = json.JSONDecoder().raw_decode(text, key.end())
    return values


def default_of(param: dict[str, Any]) -> Any:
    """Defaults that the server or this machine fills in are described, not given."""
    value = param["default"]
    described = isinstance(value, str) and re.search(r"\(server|^active project$|^RUN402_", value)
    return None if described else {"release": "current"} if value == "{release: current}" else value


def rules_of(param: dict[str, Any]) -> dict[str, Any]:
    names = {"max": "maximum", "min_items": "minItems", "max_length": "maxLength"}
    rules = {names.get(key, key): param[key] for key in (*names, "pattern", "format") if key in param}
    if "min" in param:
        rules |= {"exclusiveMinimum": 0} if param["min"] == ">0" else {"minimum": param["min"]}
    if "default" in param and default_of(param) is not None:
        rules["default"] = default_of(param)
    return rules


@pytest.mark.skipif(not OTHER_TABLE.exists(), reason="the table of the Node server's tools is not beside this checkout")
def test_names_and_inputs_are_those_of_the_node_server() -> None:
    other = other_table()
    assert len(other) > 200
    assert set(TOOLS) == set(other) - LEFT_OUT
    for name, tool in TOOLS.items():
        wanted = {param["name"]: param for param in other[name]}
        assert {param.name for param in tool.params} - ADDED == set(wanted), name
        for param in (each for each in tool.params if each.name not in ADDED):
            theirs = wanted[param.name]
            assert schema_of(param.kind) == schema_of(theirs["type"]), (name, param.name)
            assert param.required is theirs.get("required", False), (name, param.name)
            assert dict(param.rules) == rules_of(theirs), (name, param.name)
