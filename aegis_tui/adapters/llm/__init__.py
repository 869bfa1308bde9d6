"""Model servers behind the OpenAI-compatible API."""
