"""Content on its way to the gateway: upload plans of the Cloud dialect, staging of the Core dialect.

docs/protocol/deploy.md.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from run402_cli import output
from run402_cli.client import Client, redirects, segment
from run402_cli.client.http import httpx
from run402_cli.services.ci_session import CiClient

CHECKSUM_HEADER = "x-amz-checksum-sha256"


def plan(client: Client, project_id: str, entries: Sequence[Mapping[str, Any]]) -> Any:
    """POST /content/v1/plans {content: [{sha256, size, content_type?}]} -> {plan_id, missing: [session], entries}.

    Sizes in bytes. A session names the parts and the addresses to PUT them to. Raises ApiError and NetworkError.
    """
    return client.request(
        "POST",
        "/content/v1/plans",
        context="planning the upload",
        auth=client.deploy_reader(project_id),
        # The session alone does not say which of its projects is meant.
        body={**({"project_id": project_id} if isinstance(client, CiClient) else {}), "content": list(entries)},
    )


def commit(client: Client, project_id: str, content_plan_id: str) -> None:
    """POST /content/v1/plans/{id}/commit {}: the uploaded objects become usable. Raises ApiError and NetworkError."""
    client.request(
        "POST",
        f"/content/v1/plans/{segment(content_plan_id)}/commit",
        context="finishing the upload",
        auth=client.deploy_reader(project_id),
        body={},
    )


def put(client: Client, url: str, body: bytes | Iterable[bytes], *, length: int, checksum: str) -> httpx.Response:
    """PUT `length` bytes to a presigned address that the API named; the answer is returned whatever its status.

    `checksum` (base64 SHA-256) is a header unless the address already carries it: sent twice, stores refuse the
    upload. No credential goes along. Raises httpx.TransportError, and NetworkError for an address of this machine that is not
    the API's own.
    """
    headers = {"Content-Length": str(length)}
    if not carries_checksum(url):
        headers[CHECKSUM_HEADER] = checksum
    named = redirects.named_by(client.api_base, anywhere=True)
    return client.http.put(url, content=body, headers=headers, extensions=named)


def carries_checksum(url: str) -> bool:
    """Whether an upload address settles the checksum itself, so that none is sent (nor has to be computed)."""
    return CHECKSUM_HEADER in httpx.URL(url).params


def stage_batch(client: Client, project_id: str, body: Iterable[bytes], *, length: int, auth: httpx.Auth | None) -> Any:
    """POST /projects/v1/{id}/content/batches: `<sha256> <size>` and a line feed before the bytes of each object.

    201 {staged: how many}. `length` in bytes is that of `body`, which is sent as it is read. Raises ApiError and
    NetworkError, and what `body` raises.
    """
    return client.request(
        "POST",
        f"/projects/v1/{segment(project_id)}/content/batches",
        context="sending content",
        auth=auth,
        content=body,
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(length)},
    )


def stage(
    client: Client,
    project_id: str,
    pieces: Callable[[], Iterable[bytes]],
    *,
    sha256: str,
    size: int,
    content_type: str | None,
) -> Any:
    """POST /projects/v1/{id}/content {sha256, size, content_type, bytes_base64} -> {staged, sha256, size_bytes}.

    `pieces()` reads the object from its start; the body is written as it is read, so memory does not grow with `size`
    (bytes). Raises ApiError and NetworkError, and what `pieces` raises.
    """
    fields = {"sha256": sha256, "size": size, "content_type": content_type or "application/octet-stream"}
    head = output.dumps(fields, compact=True)[:-1].encode() + b',"bytes_base64":"'
    length = len(head) + 4 * ((size + 2) // 3) + len(b'"}')
    return client.request(
        "POST",
        f"/projects/v1/{segment(project_id)}/content",
        context="staging content",
        auth=client.principal(),
        content=_Base64Body(head, pieces),
        headers={"Content-Type": "application/json", "Content-Length": str(length)},
    )


class _Base64Body:
    """A JSON body whose last value is an object in base64. Iterating again reads the object again."""

    def __init__(self, head: bytes, pieces: Callable[[], Iterable[bytes]]) -> None:
        self._head = head
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        rest = b""
        for piece in self._pieces():
            data = rest + piece
            # Base64 of whole groups of three bytes joins without padding in between.
            whole = len(data) - len(data) % 3
            rest = data[whole:]
            yield base64.b64encode(data[:whole])
        yield base64.b64encode(rest) + b'"}'
