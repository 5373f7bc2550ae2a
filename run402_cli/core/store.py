"""Content-addressed files below the data directory. Owned by the apply and storage routes."""

from __future__ import annotations

from pathlib import Path


class ContentStore:
    """`cas/<2 hex>/<sha256>` holds bytes once; `refs/<project>/<2 hex>/<sha256>` says which project staged them."""

    def __init__(self, root: Path) -> None:
        self.root = root
