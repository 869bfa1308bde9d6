"""The route table: which handler answers which request.

A feature keeps its handlers in its own module and adds its lines here.
"""

from __future__ import annotations

from dataclasses import dataclass

from shop import catalog, orders
from shop.errors import NotFound
from shop.http import Handler


@dataclass(frozen=True)
class Route:
    """One line of the table; a `{name}` in the path matches one segment."""

    method: str
    path: str
    handler: Handler


ROUTES = (
    Route("GET", "/products", catalog.list_products),
    Route("GET", "/products/{sku}", catalog.get_product),
    Route("GET", "/orders", orders.list_orders),
    Route("POST", "/orders", orders.place_order),
)


def find(method: str, path: str) -> tuple[Handler, dict[str, str]]:
    """The handler for a request and the values of its path; raises NotFound."""
    for route in ROUTES:
        params = _match(route.path, path)
        if route.method == method and params is not None:
            return route.handler, params
    raise NotFound(f"no route {method} {path}")


def _match(pattern: str, path: str) -> dict[str, str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    params = {}
    for want, have in zip(wanted, given):
        if want.startswith("{"):
            params[want.strip("{}")] = have
        elif want != have:
            return None
    return params
