"""The config directory: wallets, key cache, active project, target, sessions. See docs/protocol/local-state.md."""
