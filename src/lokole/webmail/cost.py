"""What bytes cost on the way, in the money of the place: said only where the administrator has set a price.

The price is the option ``cost_per_mb`` of the tenant, a number; ``currency`` is the option of that name, FC without one.
"""

from __future__ import annotations

from dataclasses import dataclass

from lokole.mailbox.database import Connection
from lokole.mailbox.options import forget_option, get_option, set_option
from lokole.webmail.language import decimal
from lokole.webmail.words import gettext

COST_OPTION, CURRENCY_OPTION = "cost_per_mb", "currency"
DEFAULT_CURRENCY = "FC"
MAX_CURRENCY = 10
_MB = 1_000_000
#: letters travel compressed and in one package: what a short one adds, counted generously
LETTER_BYTES = 600


@dataclass(frozen=True, slots=True)
class Price:
    """``per_mb`` is None where no price is set; then nothing is said."""

    per_mb: float | None = None
    currency: str = DEFAULT_CURRENCY

    def said(self, count: int) -> str:
        """Such as "330 FC" for bytes that have gone; empty without a price."""
        amount = self._amount(count)
        if amount is None:
            return ""
        return f"{amount} {self.currency}" if amount else self._little()

    def about(self, count: int) -> str:
        """Such as "about 9 FC"; empty without a price."""
        amount = self._amount(count)
        if amount is None:
            return ""
        return gettext("about %(cost)s %(currency)s", cost=amount, currency=self.currency) if amount else self._little()

    @property
    def least(self) -> float:
        """What there is money for: 1, or a tenth where a megabyte costs less than 1. Nothing is said more exactly."""
        return 1 if self.per_mb is None or self.per_mb >= 1 else 0.1

    def less_than(self, least: str) -> str:
        """For what costs something, and less than ``least``, which is :attr:`least` as it is written."""
        return gettext("less than %(cost)s %(currency)s", cost=least, currency=self.currency)

    def _amount(self, count: int) -> str | None:
        """What ``count`` bytes cost; empty for less than :attr:`least`, "0" for nothing at all, None without a price."""
        if self.per_mb is None:
            return None
        value = count * self.per_mb / _MB
        if 0 < value < self.least:
            return ""
        return decimal(round(value) if self.least == 1 else value)

    def _little(self) -> str:
        return self.less_than(decimal(self.least))


def price(tx: Connection, tenant_no: int) -> Price:
    """The price at this box."""
    currency = str(get_option(tx, tenant_no, CURRENCY_OPTION, DEFAULT_CURRENCY))[:MAX_CURRENCY]
    value = get_option(tx, tenant_no, COST_OPTION)
    is_price = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
    return Price(float(value) if is_price else None, currency)


def set_price(tx: Connection, tenant_no: int, wanted: Price) -> None:
    """Keep it; without a price nothing is said of money."""
    set_option(tx, tenant_no, CURRENCY_OPTION, wanted.currency[:MAX_CURRENCY] or DEFAULT_CURRENCY)
    if wanted.per_mb is None:
        forget_option(tx, tenant_no, COST_OPTION)
    else:
        set_option(tx, tenant_no, COST_OPTION, wanted.per_mb)
