"""What bytes cost on the way, in the money of the place: said only where the administrator has set a price.

The price is the option ``cost_per_mb`` of the tenant, a number; ``currency`` is the option of that name, FC without one.
"""

from __future__ import annotations

from dataclasses import dataclass

from lokole.mailbox.database import Connection
from lokole.mailbox.options import get_option
from lokole.webmail.language import decimal
from lokole.webmail.words import gettext

_MB = 1_000_000
#: letters travel compressed and in one package: what a short one adds, counted generously
LETTER_BYTES = 600


@dataclass(frozen=True, slots=True)
class Price:
    """``per_mb`` is None where no price is set; then nothing is said."""

    per_mb: float | None = None
    currency: str = "FC"

    def about(self, count: int) -> str:
        """Such as "about 9 FC"; empty without a price. Never less than what there is money for."""
        if self.per_mb is None:
            return ""
        value = count * self.per_mb / _MB
        shown = str(max(1, round(value))) if self.per_mb >= 1 else decimal(max(0.1, value))
        return gettext("about %(cost)s %(currency)s", cost=shown, currency=self.currency)


def price(tx: Connection, tenant_no: int) -> Price:
    """The price at this box."""
    value = get_option(tx, tenant_no, "cost_per_mb")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        return Price()
    return Price(float(value), str(get_option(tx, tenant_no, "currency", "FC"))[:10])
