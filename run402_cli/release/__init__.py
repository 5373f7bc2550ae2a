"""Releases as documents: manifests, ReleaseSpecs, wire forms, digests, states and diffs.

Pure: no HTTP and no printing. Disk is read only where a manifest names a file. See docs/protocol/releases.md.
"""
