"""File changes in the repository and its worktrees, by watchdog."""
