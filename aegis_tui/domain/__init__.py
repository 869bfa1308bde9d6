"""The pure core: nouns, rules, decide and evolve. No IO, clock, randomness or asyncio."""
