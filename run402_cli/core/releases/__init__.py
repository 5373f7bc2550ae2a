"""Releases: planned from a spec, committed in steps, promoted, compared. See docs/local-gateway.md."""
