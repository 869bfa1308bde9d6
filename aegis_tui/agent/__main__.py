"""`python -m aegis_tui.agent`: the built-in agent, in a pane, in its worktree (AGENT-1)."""

import gc

gc.disable()  # what is imported is no garbage; looking for some would take a tenth of the start

from aegis_tui.bootstrap.agent import main  # noqa: E402  # only after the line above

if __name__ == "__main__":
    raise SystemExit(main())
