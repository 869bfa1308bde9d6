"""The typed client of the hub."""
