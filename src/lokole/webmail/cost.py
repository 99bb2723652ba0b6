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
        if self.per_mb is None:
            return ""
        value = count * self.per_mb / _MB
        return f"{round(value) if value >= 10 else decimal(value)} {self.currency}"

    def about(self, count: int) -> str:
        """Such as "about 9 FC"; empty without a price. Never less than what there is money for."""
        if self.per_mb is None:
            return ""
        value = count * self.per_mb / _MB
        shown = str(max(1, round(value))) if self.per_mb >= 1 else decimal(max(0.1, value))
        return gettext("about %(cost)s %(currency)s", cost=shown, currency=self.currency)


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
