"""The expose manifest: which tables, views and functions of a project are reachable, and by whom.

Everything is hidden until declared. Policies are real row-level security, grants are real grants. See docs/expose.md.
"""

from run402_cli.core.expose import ddl, rows
from run402_cli.core.expose.applying import apply, current, reapply, undo, validate, validate_alone
from run402_cli.core.expose.model import ExposeReport

DDL = rows.DDL + ddl.DDL

__all__ = ["DDL", "ExposeReport", "apply", "current", "reapply", "undo", "validate", "validate_alone"]
