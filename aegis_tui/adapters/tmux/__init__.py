"""The implementation of the port `Terminal` with a private tmux server (PANE-1 to PANE-4, PANE-8)."""
