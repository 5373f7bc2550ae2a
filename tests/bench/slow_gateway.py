"""A gateway stub behind a link: every answer takes 20 ms. It forgets what is uploaded. Prints its address, then serves.

python slow_gateway.py
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

LATENCY_SECONDS = 0.020
PART_BYTES = 64 * 2**20
READ_BYTES = 1 << 18


class SlowGateway:
    """Answers the deploy calls of the Cloud dialect as if nothing were stored yet."""

    def __init__(self) -> None:
        self.base = ""

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=READ_BYTES)
        self.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        sys.stdout.write(self.base + "\n")
        sys.stdout.flush()
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                await self._exchange(line.decode(), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _exchange(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, _ = line.split(" ")
        length = 0
        while (header := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = bytearray()
        while length:
            piece = await reader.read(min(length, READ_BYTES))
            if not piece:
                raise asyncio.IncompleteReadError(b"", length)
            length -= len(piece)
            if method == "POST":
                body += piece
        await asyncio.sleep(LATENCY_SECONDS)
        answer = json.dumps(self._answer(path, body)).encode()
        head = (
            f'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: "x"\r\nContent-Length: {len(answer)}\r\n\r\n'
        )
        writer.write(head.encode() + answer)
        await writer.drain()

    def _answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path == "/apply/v1/plans":
            files = json.loads(body)["spec"]["site"]["replace"].values()
            missing = [{"sha256": one["sha256"], "size": one["size"], "present": False} for one in files]
            return {"plan_id": "plan_1", "operation_id": "op_1", "missing_content": missing}
        if path == "/content/v1/plans":
            sessions = [self._session(one["sha256"], one["size"]) for one in json.loads(body)["content"]]
            return {"plan_id": "cplan_1", "missing": sessions}
        if path.startswith("/apply/v1/plans/"):
            return {"operation_id": "op_1", "status": "ready", "release_id": "rel_1", "urls": {"project": self.base}}
        return {"events": []}

    def _session(self, sha256: str, size: int) -> dict[str, Any]:
        starts = range(0, max(size, 1), PART_BYTES)
        parts = [
            {
                "part_number": number,
                "url": f"{self.base}/put/{sha256}/{number}",
                "byte_start": start,
                "byte_end": min(start + PART_BYTES, size) - 1,
            }
            for number, start in enumerate(starts, 1)
        ]
        return {"sha256": sha256, "mode": "single" if len(parts) == 1 else "multipart", "parts": parts}


if __name__ == "__main__":
    asyncio.run(SlowGateway().serve())
