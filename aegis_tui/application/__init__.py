"""Use cases that the command line and the dashboard share. They use ports only, no adapters."""
