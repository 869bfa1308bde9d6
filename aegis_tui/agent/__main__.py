"""`python -m aegis_tui.agent`: the built-in agent, in a pane, in its worktree (AGENT-1)."""

from aegis_tui.bootstrap.agent import main

if __name__ == "__main__":
    raise SystemExit(main())
