"""The console: pages at /_run402/ on which a person sees the projects of this gateway. See docs/local-gateway.md."""
