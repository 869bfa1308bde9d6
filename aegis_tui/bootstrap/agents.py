"""Gives access to the agent kinds that can be dispatched here."""

from aegis_tui.adapters.agents.installed import check_kind as check_kind
from aegis_tui.adapters.agents.installed import installed_kinds as installed_kinds
