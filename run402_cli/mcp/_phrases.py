"""Texts for agents name tools: the commands of the command line that a message mentions become the tools that do the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from run402_cli.mcp._tool import Tool

_COMMAND = re.compile(r"`?run402((?: [a-z][a-z0-9-]*){1,3})([^`\n]*?)(`|(?=[.;,)]\s|[.;,)]?$|\s(?:and|or|&&)\s))")
_PLACE = re.compile(r"\{(\w+)\}")
_YES = re.compile(r"(`\w+`) --(yes|confirm)\b")


class Phrases:
    """Names of this server's tools for commands and in sentences."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self.names = frozenset(tools)
        self._tool_of = {command: tool.name for tool in tools.values() for command in tool.cli}

    def told(self, text: str) -> str:
        """The text with tool names for commands. A sentence about a command that no tool here does is left out."""
        kept = [self._sentence(sentence) for sentence in re.split(r"(?<=[.:!?])\s+(?=[A-Z`])", text)]
        return _YES.sub(r"\1 with `\2: true`", " ".join(filter(None, kept)))

    def _sentence(self, sentence: str) -> str:
        replaced = _COMMAND.sub(self._named, sentence)
        return "" if "run402 " in replaced and replaced.startswith(("run402 ", "`run402 ")) else replaced

    def _named(self, match: re.Match[str]) -> str:
        words = match[1].split()
        for length in range(len(words), 0, -1):
            name = self._tool_of.get(" ".join(words[:length]))
            if name is not None:
                rest = "".join(f" {word}" for word in words[length:]) + match[2]
                return f"`{name}`{rest.rstrip()}"
        return match[0]

    def command(self, text: str) -> str | None:
        """What a next action's command is here; None when no tool does it."""
        match = re.match(r"run402((?: [a-z][a-z0-9-]*){1,3})(.*)", text, re.DOTALL)
        if match is None:
            return None
        words = match[1].split()
        for length in range(len(words), 0, -1):
            name = self._tool_of.get(" ".join(words[:length]))
            if name is not None:
                return f"{name}{''.join(f' {word}' for word in words[length:])}{match[2]}".strip()
        return None

    def first(self, sentences: Iterable[str]) -> str | None:
        """The first of the sentences whose {tools} are all here, with their names in place."""
        for sentence in sentences:
            if set(_PLACE.findall(sentence)) <= self.names:
                return _PLACE.sub(r"`\1`", sentence)
        return None
