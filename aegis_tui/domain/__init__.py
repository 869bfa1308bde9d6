"""The pure core: state, commands, rules and events. It has no IO, no clock, no randomness and no asyncio."""
