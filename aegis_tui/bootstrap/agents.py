"""Which kinds of agents can be dispatched here."""

from aegis_tui.adapters.agents.installed import installed_kinds as installed_kinds
