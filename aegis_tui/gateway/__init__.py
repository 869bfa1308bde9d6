"""The process between agents and model servers."""
