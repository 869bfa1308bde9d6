"""Handlers for what the shop sells."""

from __future__ import annotations

from shop.http import Request, Response


def list_products(request: Request) -> Response:
    """Everything the shop sells."""
    products = request.store.products()
    return Response([product.to_json() for product in products])


def get_product(request: Request) -> Response:
    """One product."""
    return Response(request.store.product(request.params["sku"]).to_json())
