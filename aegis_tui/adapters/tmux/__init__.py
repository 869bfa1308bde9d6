"""The terminal port over a private tmux server (PANE-1 to PANE-4, PANE-8)."""
