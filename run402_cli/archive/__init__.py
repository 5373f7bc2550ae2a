"""Portable project archives (run402-project-archive.v1): read, verify, unpack, write.

Pure and offline. Every archive is taken for hostile: nothing is read or written outside it, memory does not grow with
it, and whatever is wrong ends in a diagnostic with a code. See docs/archives.md and docs/protocol/archive-format.md.
"""
