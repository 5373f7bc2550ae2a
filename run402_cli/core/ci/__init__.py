"""CI without secrets: bindings that a wallet signed, GitHub's OIDC tokens, and the sessions they are exchanged for.

See docs/ci.md, "The local gateway".
"""
