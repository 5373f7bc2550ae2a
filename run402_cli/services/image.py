"""Image generation, paid per call. See docs/ai.md, "Images"."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from run402_cli.client import Client
from run402_cli.errors import CommandError, ValidationError
from run402_cli.services import prices
from run402_cli.services.output_file import require_free, written

ASPECTS = ("square", "landscape", "portrait")


def generate(client: Client, prompt: str, *, aspect: str = "square") -> dict[str, Any]:
    """POST /generate-image/v1 {prompt, aspect} -> {aspect, content_type, image (base64)}; a 402 is paid by the wallet."""
    answer = client.request(
        "POST",
        "/generate-image/v1",
        context="generating the image",
        auth=client.principal(),
        body={"prompt": prompt, "aspect": aspect},
        priced=prices.IMAGE,
    )
    fields = answer if isinstance(answer, dict) else {}
    return {key: fields.get(key) for key in ("aspect", "content_type", "image")}


def check_output(path: Path, *, overwrite: bool = False) -> None:
    """CommandError before anything is paid, when the image could not be written to `path` afterwards."""
    if path.is_dir():
        raise CommandError(f"--output: {path} is a directory.", code="NOT_A_FILE", field="--output")
    if not path.parent.is_dir():
        raise CommandError(
            f"--output: there is no directory {path.parent}.",
            code="FILE_NOT_FOUND",
            hint="Create it first; nothing was paid.",
            field="--output",
        )
    require_free(path, overwrite=overwrite)


def save(image: dict[str, Any], path: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write the image: {file, size (bytes), aspect, replaced}.

    CommandError FILE_EXISTS unless `overwrite`, ValidationError when the answer holds no image.
    """
    require_free(path, overwrite=overwrite)
    try:
        data = base64.b64decode(str(image["image"] or ""), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise ValidationError(
            "The gateway's answer holds no image. See the payment: run402 allowance ledger", reason="NO_IMAGE"
        )
    with written(path, overwrite=overwrite) as output:
        output.write(data)
    return {"file": str(path), "size": len(data), "aspect": image["aspect"], "replaced": output.replaced}
