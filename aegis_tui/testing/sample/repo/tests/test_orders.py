import json
import unittest
from typing import Any

from shop.app import answer
from shop.http import Response
from shop.store import Store, sample_store


def order(store: Store, **body: Any) -> Response:
    return answer(store, "POST", "/orders", json.dumps(body).encode())


class OrdersTest(unittest.TestCase):
    def setUp(self) -> None:
        self.store = sample_store()

    def test_an_order_is_kept_and_leaves_the_shelf(self) -> None:
        placed = order(self.store, customer="ada", lines=[{"sku": "TEA", "quantity": 3}])
        self.assertEqual(placed.status, 201)
        self.assertEqual(placed.body["total_cents"], 2475)
        self.assertEqual(self.store.product("TEA").stock, 37)
        self.assertEqual(answer(self.store, "GET", "/orders").body, [placed.body])

    def test_more_than_the_stock_is_refused(self) -> None:
        refused = order(self.store, customer="ada", lines=[{"sku": "POT", "quantity": 5}])
        self.assertEqual(refused.status, 409)
        self.assertEqual(self.store.orders(), [])

    def test_an_order_without_lines_or_customer_is_refused(self) -> None:
        self.assertEqual(order(self.store, customer="ada", lines=[]).status, 400)
        self.assertEqual(order(self.store, lines=[{"sku": "TEA"}]).status, 400)

    def test_a_quantity_must_be_a_whole_number_over_0(self) -> None:
        for quantity in (0, -1, "two", 1.5):
            with self.subTest(quantity=quantity):
                lines = [{"sku": "TEA", "quantity": quantity}]
                self.assertEqual(order(self.store, customer="ada", lines=lines).status, 400)
