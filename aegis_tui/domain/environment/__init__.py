"""The environment of a worktree: what the project's commands need besides tracked files (GIT-1, FLOW-7). Pure."""
