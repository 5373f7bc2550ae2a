"""Projects: one PostgreSQL schema each, with their keys."""
