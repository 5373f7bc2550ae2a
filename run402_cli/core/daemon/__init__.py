"""The gateway as a process of this machine: its data directory, its lock, its PostgreSQL, start and stop."""
