"""The JSON that hub, clients, command line and dashboard exchange, as types (contracts 3 to 7).

Values of these types are plain JSON: nothing is converted or validated when one is written or read. The hub's documents
are made from them (`aegis_tui/hub/schema_dicts.py`). What a run came to is in `aegis_tui/domain/run/report_model.py`.
These modules import only the standard library, because every command line run may wait for them.
"""
