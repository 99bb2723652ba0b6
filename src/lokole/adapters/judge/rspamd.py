"""Rspamd beside us, asked by HTTP (``POST /checkv2`` of its normal worker): SPF, DKIM and DMARC by its symbols, junk by its action.

Everything that Rspamd would drop or refuse is kept apart instead: a filter that errs must not lose a letter.
An action that it learned from its own settings counts as junk too.
"""

from __future__ import annotations

from typing import Any

from lokole.adapters.web_api import WebApi
from lokole.mail.errors import Temporary
from lokole.ports.judge import Advice, Opinion, Posted

#: seconds for one letter; Rspamd itself gives up after eight
DEADLINE_SECONDS = 10.0
_ADVICE = {
    "no action": Advice.TAKE,
    "greylist": Advice.GREYLIST,
    "soft reject": Advice.LATER,
}


class RspamdJudge:
    """One Rspamd at ``url``; ``host_name`` is ours, by which it knows who asks."""

    def __init__(self, url: str, *, host_name: str, deadline: float = DEADLINE_SECONDS) -> None:
        self._api = WebApi("Rspamd", url, {}, deadline=deadline, idle=deadline)
        self._host_name = host_name

    def judge(self, letter: Posted) -> Opinion:
        """As the port says."""
        told = [("From", letter.sender or "<>"), *(("Rcpt", one) for one in letter.recipients)]
        told += [("IP", letter.client), ("Helo", letter.helo), ("MTA-Name", self._host_name)]
        answer = self._api.call(
            "POST",
            "/checkv2",
            content=letter.raw,
            headers=[(name, _one_line(text)) for name, text in told if text],
        )
        if not answer.is_good:
            raise Temporary(
                f"Rspamd answered {answer.status}",
                operator=f"Rspamd answers {answer.status}: does LOKOLE_RSPAMD name its normal worker?",
            )
        return _read(answer.content)

    def check(self) -> str:
        """As ``Checkable`` says."""
        answer = self._api.call("GET", "/ping", wants_json=False)
        if not answer.is_good:
            raise Temporary(f"Rspamd answered {answer.status}")
        return "Rspamd answers"


def _one_line(text: str) -> bytes:
    return "".join(one for one in text if one.isprintable()).encode("utf-8", "replace")


def _read(said: Any) -> Opinion:
    """A reply as its protocol has it; raises Temporary for anything else."""
    if not isinstance(said, dict) or not isinstance(said.get("action"), str):
        raise Temporary("Rspamd answered what is no verdict")
    score, symbols = said.get("score"), said.get("symbols")
    if isinstance(score, bool) or not isinstance(score, int | float) or not isinstance(symbols, dict):
        raise Temporary("Rspamd answered what is no verdict")
    signers = {option.partition(":")[0] for option in _options(symbols, "R_DKIM_ALLOW")}
    signers |= set(_options(symbols, "DMARC_POLICY_ALLOW")[:1])  # the domain, then its policy
    return Opinion(
        "R_SPF_ALLOW" in symbols,
        frozenset(one.strip().lower() for one in signers if one.strip()),
        float(score),
        _ADVICE.get(said["action"], Advice.JUNK),
    )


def _options(symbols: dict[str, Any], name: str) -> list[str]:
    symbol = symbols.get(name)
    found = symbol.get("options") if isinstance(symbol, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
