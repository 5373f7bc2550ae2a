"""How `make docs` ends when a file lacks something: one line instead of a traceback."""

from __future__ import annotations


class Missing(SystemExit):
    """Ends the process with one line on stderr: the file to edit, and what it lacks."""
