"""Merge rules: what no piece may contain, whoever wrote and reviewed it (FLOW-9)."""
