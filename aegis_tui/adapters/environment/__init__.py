"""The environment of a project: its virtual environment and `node_modules`, led to a worktree."""
