"""Client for model servers with an OpenAI-compatible API."""
