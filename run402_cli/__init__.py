"""run402: a whole backend from the command line."""

__version__ = "0.1.0"
