"""Connects the built-in agent to its model client and its symbol reader."""

from __future__ import annotations

from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.agent.program import run_agent


def main() -> int:
    """Run the built-in agent in this process, as its environment says, and return its exit code (contract 3)."""
    return run_agent(lambda url, token: OpenAIChat(url, api_key=token), FileSymbols())
