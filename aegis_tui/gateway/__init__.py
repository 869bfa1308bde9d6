"""The one local door between agents and model servers (LLM-10): a process of its own per workspace.

It passes bytes through untouched and never waits for the hub: it knows instances by the map file that the hub
writes, and keeps the last one. It never logs a prompt, an answer or a token.
"""
