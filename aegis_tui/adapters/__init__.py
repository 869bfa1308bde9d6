"""What the ports are made of: git, tmux, the store, the sandbox, model servers."""
