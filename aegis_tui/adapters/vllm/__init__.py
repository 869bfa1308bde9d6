"""A vLLM server that this program starts, finds again and stops (LLM-1)."""
