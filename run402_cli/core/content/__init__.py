"""Bytes on their way in, and where they stay: addressed by their SHA-256."""
