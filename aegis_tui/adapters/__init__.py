"""The implementations of the ports: git, tmux, the store, the sandbox, model servers."""
