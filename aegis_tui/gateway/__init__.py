"""The only local way from agents to model servers: one separate process per workspace.

It passes bytes on unchanged and never waits for the hub: it reads the callers from the map file that the hub writes,
and keeps the last valid one. It never logs a prompt, an answer or a token. Source: LLM-10.
"""
