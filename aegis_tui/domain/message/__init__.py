"""Messages: what instances tell each other, and what the hub passes on."""
