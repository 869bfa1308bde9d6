import unittest

from shop import routes
from shop.errors import NotFound


class RoutesTest(unittest.TestCase):
    def test_a_segment_in_braces_is_handed_over(self) -> None:
        handler, params = routes.find("GET", "/products/TEA")
        self.assertEqual(handler.__name__, "get_product")
        self.assertEqual(params, {"sku": "TEA"})

    def test_the_method_counts(self) -> None:
        with self.assertRaises(NotFound):
            routes.find("POST", "/products")

    def test_no_two_routes_answer_the_same_request(self) -> None:
        keys = [(route.method, route.path) for route in routes.ROUTES]
        self.assertEqual(len(keys), len(set(keys)))
