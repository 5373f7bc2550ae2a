"""AI image generation, paid per call.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import image as _image

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class Image(Namespace[None]):
    """AI image generation, paid per call."""

    def generate(self, prompt: str, *, aspect: str = "square") -> dict[str, Any]:
        """Generate one PNG from a prompt.

        POST /generate-image/v1 {prompt, aspect} -> {aspect, content_type, image (base64)}; a 402 is paid by the wallet.
        """
        return self._call(_image.generate, prompt, aspect=aspect)

    def save(self, image: dict[str, Any], path: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """Write the image: {file, size (bytes), aspect, replaced}.

        CommandError FILE_EXISTS unless `overwrite`, ValidationError when the answer holds no image.
        """
        return self._call_plain(_image.save, image, path, overwrite=overwrite)
