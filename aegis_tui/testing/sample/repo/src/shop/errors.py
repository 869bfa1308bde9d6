"""Errors that a customer is told about."""

from __future__ import annotations


class ShopError(Exception):
    """A request that cannot be served; `status` is the HTTP status that says so."""

    status = 400


class NotFound(ShopError):
    """What was asked for does not exist."""

    status = 404


class OutOfStock(ShopError):
    """There is less in stock than was ordered."""

    status = 409
