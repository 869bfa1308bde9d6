"""What the shop knows, in memory. The only place that changes stock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from shop.errors import NotFound, OutOfStock
from shop.models import Order, OrderLine, Product


class Store:
    """Products, orders, and a named collection for each feature that needs one."""

    def __init__(self, products: Iterable[Product] = ()) -> None:
        self._products = {product.sku: product for product in products}
        self._orders: list[Order] = []
        self._collections: dict[str, dict[str, Any]] = {}

    def products(self) -> list[Product]:
        """Every product, by sku."""
        return [self._products[sku] for sku in sorted(self._products)]

    def product(self, sku: str) -> Product:
        """One product; raises NotFound."""
        if sku not in self._products:
            raise NotFound(f"no product {sku}")
        return self._products[sku]

    def take(self, sku: str, quantity: int) -> None:
        """Take so many out of stock; raises OutOfStock and then takes none."""
        product = self.product(sku)
        if product.stock < quantity:
            raise OutOfStock(f"{product.stock} of {sku} left, {quantity} ordered")
        self._products[sku] = replace(product, stock=product.stock - quantity)

    def orders(self) -> list[Order]:
        """Every order, oldest first."""
        return list(self._orders)

    def add_order(self, customer: str, lines: Sequence[OrderLine]) -> Order:
        """Keep a new order under the next number."""
        order = Order(len(self._orders) + 1, customer, tuple(lines))
        self._orders.append(order)
        return order

    def collection(self, name: str) -> dict[str, Any]:
        """The named collection, empty when it is new. Changes to it are kept."""
        return self._collections.setdefault(name, {})


def sample_store() -> Store:
    """A store with something on its shelves, for a first look and for tests."""
    return Store(
        [
            Product("CUP", "Stoneware cup", 1450, stock=12),
            Product("POT", "Tea pot", 6000, stock=4),
            Product("TEA", "Green tea, 100 g", 825, stock=40),
        ]
    )
