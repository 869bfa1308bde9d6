"""The wrapper around another vendor's agent program: it is the instance, and the program works for it (AGENT-1)."""
