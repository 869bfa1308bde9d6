"""`python -m aegis_tui.agent.hosted`: the wrapper around another vendor's program, in a pane, in its worktree."""

from aegis_tui.agent.hosted.entry import main

if __name__ == "__main__":
    raise SystemExit(main())
