import json
import threading
import unittest
from urllib.error import HTTPError
from urllib.request import urlopen

from shop.app import answer, make_server
from shop.store import sample_store


class AppTest(unittest.TestCase):
    def test_the_server_answers_over_http(self) -> None:
        with make_server(sample_store()) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            self.addCleanup(thread.join)
            self.addCleanup(server.shutdown)
            with urlopen(f"http://127.0.0.1:{server.server_port}/products/TEA") as reply:
                self.assertEqual(json.load(reply)["price_cents"], 825)
            with self.assertRaises(HTTPError) as refused:
                urlopen(f"http://127.0.0.1:{server.server_port}/nothing")
            with refused.exception as error:
                self.assertEqual(error.code, 404)
            server.shutdown()

    def test_a_body_that_is_not_json_is_refused(self) -> None:
        self.assertEqual(answer(sample_store(), "POST", "/orders", b"{").status, 400)
        self.assertEqual(answer(sample_store(), "POST", "/orders", b"[]").status, 400)
