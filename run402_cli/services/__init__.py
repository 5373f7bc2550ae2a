"""One module per API area: plain functions `f(client, ...)`. All HTTP paths live here; nothing prints."""
