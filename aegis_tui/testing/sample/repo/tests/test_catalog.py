import unittest

from shop.app import answer
from shop.store import sample_store


class CatalogTest(unittest.TestCase):
    def test_products_are_listed_by_sku(self) -> None:
        response = answer(sample_store(), "GET", "/products")
        self.assertEqual([product["sku"] for product in response.body], ["CUP", "POT", "TEA"])

    def test_an_unknown_product_is_not_found(self) -> None:
        response = answer(sample_store(), "GET", "/products/HAT")
        self.assertEqual((response.status, response.body), (404, {"error": "no product HAT"}))
