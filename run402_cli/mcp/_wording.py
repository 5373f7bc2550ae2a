"""Texts for agents name tools: the commands that a message mentions become the tools that do the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from run402_cli.mcp._tool import Tool
from run402_cli.secrecy import CommandLine

_COMMAND = re.compile(r"run402((?: [a-z][a-z0-9-]*){1,3})")
_FLAG = re.compile(r"\s--([a-z][a-z-]*)")
_END = re.compile(r"[`\n;]|[.,]\s")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_PLACE = re.compile(r"\{(\w+)\}")


def _name(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _arguments(tool: Tool, words: CommandLine) -> dict[str, Any] | None:
    """The inputs of a tool from the words of a command; None where a word, or the form of a value, is not clear."""
    params = {param.name: param for param in tool.params}
    found: dict[str, Any] = {}
    for flag, value in words.given.items():
        name = _name(flag)
        name = "project_id" if name == "project" and name not in params else name
        if name not in params or (params[name].kind == "bool") != (value is None):
            return None
        found[name] = True if value is None else value
    free = [name for name in params if params[name].required and name not in found]
    if len(words.bare) > len(free):
        return None
    found |= dict(zip(free, words.bare, strict=False))
    plain = all(params[name].kind in ("string", "bool") or "|" in params[name].kind for name in found)
    return found if plain else None


class Phrases:
    """The tools of this server, for commands and in sentences. `limited`: it has a profile, so not all tools are here."""

    def __init__(self, tools: Mapping[str, Tool], *, limited: bool = False) -> None:
        self.names = frozenset(tools)
        self._limited = limited
        self._tool_of = {command: tool for tool in tools.values() for command in tool.cli}

    def told(self, text: str) -> str:
        """The text with tools for commands, but for flags that the tool has no input for.

        A limited server leaves out the sentences about what it does not do.
        """
        said = _COMMAND.sub(self._named, text)
        if not self._limited:
            return said
        return " ".join(part for part in _SENTENCE.split(said) if _COMMAND.search(part) is None)

    def _named(self, match: re.Match[str]) -> str:
        words = match[1].split()
        flags = {
            flag.replace("-", "_") for flag in _FLAG.findall(_END.split(match.string[match.end() :], maxsplit=1)[0])
        }
        for length in range(len(words), 0, -1):
            tool = self._tool_of.get(" ".join(words[:length]))
            if tool is not None and flags <= {"project", *(param.name for param in tool.params)}:
                return " ".join([tool.name, *words[length:]])
        return match[0]

    def action(self, action: Mapping[str, Any]) -> dict[str, Any]:
        """An entry of `next_actions`: {type, tool, arguments, why} where a tool does the same, else as it came, told in tools.

        `arguments` is left out where the words of the command do not tell them.
        """
        told = {key: self.told(value) if isinstance(value, str) else value for key, value in action.items()}
        argv = action.get("argv")
        words: list[str] = argv[1:] if isinstance(argv, list) and argv[:1] == ["run402"] else []
        tool = self._tool_for(words) if words else None
        if tool is None:
            return told
        kept = {key: value for key, value in told.items() if key not in ("command", "argv")}
        arguments = _arguments(tool, CommandLine(words))
        return {**kept, "tool": tool.name, **({} if arguments is None else {"arguments": arguments})}

    def _tool_for(self, argv: list[str]) -> Tool | None:
        words = CommandLine(argv)
        tool = self._tool_of.get(" ".join(words.path)) if "--help" not in argv else None
        known = {"project", *(param.name for param in tool.params)} if tool is not None else set()
        return tool if {_name(flag) for flag in words.given} <= known else None

    def first(self, sentences: Iterable[str]) -> str | None:
        """The first of the sentences whose {tools} are all here, with their names in place."""
        for sentence in sentences:
            if set(_PLACE.findall(sentence)) <= self.names:
                return _PLACE.sub(r"\1", sentence)
        return None
