"""Host names and authorities: refused, or one canonical spelling that is its own."""

import ipaddress
import sys

from bot_bottle.policy.addresses import classify
from bot_bottle.policy.hosts import canonical_host, canonical_pattern, is_address, split_authority


def test_one_input(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for read in (canonical_host, canonical_pattern, lambda one: split_authority(one, 443)[0]):
        try:
            host = read(text)
        except ValueError:
            continue
        assert read(host if ":" not in host else f"[{host}]") == host
        assert host.isascii() and host.isprintable() and " " not in host
        if is_address(host):
            assert ipaddress.ip_address(host).compressed == host
    classify(text)


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
