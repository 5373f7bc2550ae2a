"""SQL with the service key: what is refused, how values look as JSON, what the schema holds."""
