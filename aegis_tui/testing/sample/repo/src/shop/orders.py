"""Handlers for orders."""

from __future__ import annotations

from typing import Any

from shop.errors import ShopError
from shop.http import Request, Response
from shop.models import OrderLine
from shop.store import Store


def list_orders(request: Request) -> Response:
    """Every order, oldest first."""
    return Response([order.to_json() for order in request.store.orders()])


def place_order(request: Request) -> Response:
    """Take the goods out of stock and keep the order."""
    customer = request.text("customer")
    lines = [_line(request.store, line) for line in request.body.get("lines", [])]
    if not lines:
        raise ShopError("an order needs at least one line")
    for line in lines:
        request.store.take(line.sku, line.quantity)
    order = request.store.add_order(customer, lines)
    return Response(order.to_json(), status=201)


def _line(store: Store, data: dict[str, Any]) -> OrderLine:
    quantity = data.get("quantity", 1)
    if not isinstance(quantity, int) or quantity < 1:
        raise ShopError("quantity must be a whole number over 0")
    product = store.product(str(data.get("sku")))
    return OrderLine(product.sku, quantity, product.price_cents)
