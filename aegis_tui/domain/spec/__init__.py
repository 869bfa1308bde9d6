"""Specs: descriptions of work, which may depend on others and which one instance claims."""
