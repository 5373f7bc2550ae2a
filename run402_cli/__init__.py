"""run402: a whole backend from the command line, and from Python: `from run402_cli import Run402`.

Importing this package imports nothing else: the names below are looked up when they are first used, since the command
line imports the package too and has a few milliseconds to answer in.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from run402_cli._version import __version__
    from run402_cli.errors import (
        ApiError,
        CommandError,
        DeployError,
        NetworkError,
        PaymentError,
        Run402Error,
        ValidationError,
    )
    from run402_cli.sdk import Project, Run402

__all__ = [
    "ApiError",
    "CommandError",
    "DeployError",
    "NetworkError",
    "PaymentError",
    "Project",
    "Run402",
    "Run402Error",
    "ValidationError",
    "__version__",
]

if not TYPE_CHECKING:  # a type checker must see a misspelt name as one

    def __getattr__(name: str) -> object:
        """The public names, imported on first use."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        homes = {"Run402": "run402_cli.sdk", "Project": "run402_cli.sdk", "__version__": "run402_cli._version"}
        value: object = getattr(importlib.import_module(homes.get(name, "run402_cli.errors")), name)
        globals()[name] = value
        return value
