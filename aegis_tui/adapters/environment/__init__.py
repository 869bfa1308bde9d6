"""The environment of a project (virtual environment, `node_modules`), made available in a worktree."""
