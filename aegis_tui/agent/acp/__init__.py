"""The Agent Client Protocol, version 1 (https://agentclientprotocol.com): its messages over two streams (AGENT-3)."""
