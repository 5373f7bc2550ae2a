"""Portable archives of projects: exported here, imported as new projects. See docs/archives.md."""
