"""The Python API: `from run402_cli import Run402`. See docs/how-to/python-sdk.md."""

from run402_cli.sdk._run402 import Project, Run402

__all__ = ["Project", "Run402"]
