"""Runs: one goal on its way through its stages to one commit."""
