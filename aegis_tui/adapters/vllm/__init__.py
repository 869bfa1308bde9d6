"""A vLLM server that this program starts, finds again and ends (LLM-1)."""
