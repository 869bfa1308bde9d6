"""Suggested partitions: which files of a repository are best changed together, as exclusive globs (PART-4)."""
