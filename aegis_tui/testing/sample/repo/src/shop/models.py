"""What the shop sells and what customers order. Amounts are whole cents."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Product:
    """One thing the shop sells."""

    sku: str
    name: str
    price_cents: int
    stock: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it is shown to customers."""
        return asdict(self)


@dataclass(frozen=True)
class OrderLine:
    """So many of one product, at the price of the day."""

    sku: str
    quantity: int
    unit_price_cents: int

    @property
    def total_cents(self) -> int:
        """What this line costs."""
        return self.quantity * self.unit_price_cents


@dataclass(frozen=True)
class Order:
    """What one customer ordered."""

    number: int
    customer: str
    lines: tuple[OrderLine, ...]

    @property
    def subtotal_cents(self) -> int:
        """The sum of the lines."""
        return sum(line.total_cents for line in self.lines)

    @property
    def total_cents(self) -> int:
        """What the customer pays."""
        return self.subtotal_cents

    def to_json(self) -> dict[str, Any]:
        """As it is shown to customers."""
        return {
            "number": self.number,
            "customer": self.customer,
            "lines": [asdict(line) for line in self.lines],
            "subtotal_cents": self.subtotal_cents,
            "total_cents": self.total_cents,
        }
