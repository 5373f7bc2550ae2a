"""Paying: the challenge of a 402, payments to the gateway, purchases elsewhere, and what may go wrong."""
