"""Detects file changes in the repository and its worktrees, with watchdog."""
