"""What the hub does for a run outside its own state: worktrees, panes, merges, QA. Uses ports only, no adapters."""
