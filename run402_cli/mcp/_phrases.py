"""Texts for agents name tools: the commands that a message mentions become the tools that do the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from run402_cli.mcp._tool import Tool

_COMMAND = re.compile(r"run402((?: [a-z][a-z0-9-]*){1,3})")
_FLAG = re.compile(r"\s--([a-z][a-z-]*)")
_END = re.compile(r"[`\n;]|[.,]\s")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_PLACE = re.compile(r"\{(\w+)\}")


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

    def first(self, sentences: Iterable[str]) -> str | None:
        """The first of the sentences whose {tools} are all here, with their names in place."""
        for sentence in sentences:
            if set(_PLACE.findall(sentence)) <= self.names:
                return _PLACE.sub(r"\1", sentence)
        return None
