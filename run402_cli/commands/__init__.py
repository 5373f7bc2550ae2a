"""One module per command group. A command parses its arguments, calls one service function, emits the result."""
