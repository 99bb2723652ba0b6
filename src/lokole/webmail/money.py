"""What bytes cost in the money of the place: the options ``cost_per_mb`` (a number) and ``currency``."""

from __future__ import annotations

from dataclasses import dataclass

from lokole.mailbox.database import Connection
from lokole.mailbox.options import forget_option, get_option, set_option
from lokole.webmail.language import decimal

COST_OPTION, CURRENCY_OPTION = "cost_per_mb", "currency"
DEFAULT_CURRENCY = "FC"
MAX_CURRENCY = 10
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """``per_mb`` is None where no price is set."""

    per_mb: float | None = None
    currency: str = DEFAULT_CURRENCY


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


def said(at: Price, count: int) -> str:
    """``330 FC`` for ``count`` bytes; empty without a price."""
    if at.per_mb is None:
        return ""
    value = count * at.per_mb / _MB
    return f"{round(value) if value >= 10 else decimal(value)} {at.currency}"
