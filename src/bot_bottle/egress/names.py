"""Synthetic addresses: one per name that policy could allow, so that a name comes back as an address (D09). Pure.

198.18.0.0/15 (RFC 2544, never routed) and a unique local prefix of ours; both classes are refused at the dial, so an
address of here can never be reached by mistake.
"""

import ipaddress

_V4 = int(ipaddress.IPv4Address("198.18.0.0"))
_V6 = int(ipaddress.IPv6Address("fd62:6f74:626f:7474::"))
_FIRST = 256
_MAX = 100_000


class SyntheticNames:
    """name <-> number; an address is the number in either prefix."""

    def __init__(self, limit: int = _MAX) -> None:
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._limit = min(limit, _MAX)

    def addresses(self, name: str, most: int = _MAX) -> tuple[str, str] | None:
        """(IPv4, IPv6) of a canonical name, the same for the bottle's life; None when the budget is spent. most: a
        smaller budget, for names that nobody wrote into a route."""
        number = self._numbers.get(name)
        if number is None:
            if len(self._numbers) >= min(self._limit, most):
                return None
            number = _FIRST + len(self._numbers)
            self._numbers[name] = number
            self._names[number] = name
        return str(ipaddress.IPv4Address(_V4 + number)), str(ipaddress.IPv6Address(_V6 + number))

    def name_of(self, address: str) -> str | None:
        """The name that an address was given out for."""
        number = int(ipaddress.ip_address(address))
        base = _V4 if ":" not in address else _V6
        return self._names.get(number - base)
