"""How the command-line program of another vendor is run as an instance, described as data (AGENT-1 to AGENT-4)."""
