"""Serve the shop: python3 -m shop --port 8080."""

from __future__ import annotations

import argparse

from shop.app import make_server
from shop.store import Store, sample_store


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="shop", description="A small shop behind HTTP.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--empty", action="store_true", help="start without sample products")
    options = parser.parse_args()
    store = Store() if options.empty else sample_store()
    with make_server(store, port=options.port) as server:
        print(f"shop listens on http://127.0.0.1:{server.server_port}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("bye")


if __name__ == "__main__":
    main()
