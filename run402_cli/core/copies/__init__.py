"""Copies of a project's schema: snapshots, branches, restores."""
