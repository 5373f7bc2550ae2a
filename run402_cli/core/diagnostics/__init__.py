"""What happened: the event feed, and errors of functions in groups. See docs/diagnostics.md."""
