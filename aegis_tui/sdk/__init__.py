"""The client of the hub, for adapters, agents and outside programs: see `client.EnsembleClient`."""
