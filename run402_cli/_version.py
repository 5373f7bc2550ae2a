"""The version of this program, where every module may read it; the package hands it on as `run402_cli.__version__`."""

__version__ = "0.1.0"
