"""The built-in agent, run inside a pane."""
