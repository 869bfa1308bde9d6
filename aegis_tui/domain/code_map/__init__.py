"""The code map: what each file of the repository defines, imports and calls (MAP-1 to MAP-5)."""
