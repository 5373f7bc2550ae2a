"""The job types of a local gateway: what they take, what they do, which files they leave."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from run402_cli.core.errors import GatewayError

Note = Callable[[str], Awaitable[None]]
MAX_TEXT = 1024**2
MAX_DELAY_MS = 60_000
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


class JobFailed(Exception):
    """The job ends as failed, with this code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Output:
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class JobType:
    """`check` refuses bad input before a job is made; `run` may be cancelled at any await."""

    check: Callable[[Mapping[str, Any]], None]
    run: Callable[[Mapping[str, Any], Note], Awaitable[dict[str, Output]]]


def _check_words(given: Mapping[str, Any]) -> None:
    text, delay = given.get("text"), given.get("delay_ms", 0)
    if not isinstance(text, str) or len(text) > MAX_TEXT or "\0" in text:
        raise _bad("text", f"a text of at most {MAX_TEXT} characters")
    if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= MAX_DELAY_MS:
        raise _bad("delay_ms", f"a whole number from 0 to {MAX_DELAY_MS}")
    unknown = sorted(set(given) - {"text", "delay_ms"})
    if unknown:
        raise _bad(unknown[0], "left out: demo.word_count takes text and delay_ms")


def _bad(field: str, wanted: str) -> GatewayError:
    place = f"input.input_json.{field}"
    return GatewayError(400, "invalid_job_input", f"`{place}` must be {wanted}.", field=place)


async def _count_words(given: Mapping[str, Any], note: Note) -> dict[str, Output]:
    await note(f"reading {len(given['text'])} characters")
    await asyncio.sleep(given.get("delay_ms", 0) / 1000)
    counts = Counter(word.lower() for word in _WORD.findall(given["text"]))
    if not counts:
        raise JobFailed("NO_WORDS", "The text has no words. Submit a text with at least one.")
    await note(f"counted {counts.total()} words, {len(counts)} different")
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    facts = {"words": counts.total(), "different": len(counts), "counts": dict(ranked)}
    report = "".join(f"{count:>8}  {word}\n" for word, count in ranked)
    return {
        "counts.json": Output("application/json", json.dumps(facts, ensure_ascii=False, indent=2).encode() + b"\n"),
        "report.txt": Output("text/plain; charset=utf-8", report.encode()),
    }


TYPES: Mapping[str, JobType] = {"demo.word_count": JobType(_check_words, _count_words)}
