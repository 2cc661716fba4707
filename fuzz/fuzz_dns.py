"""DNS questions: any bytes are a query or Malformed, and every answer repeats the question."""

import sys

from bot_bottle.egress.wire import dns


def test_one_input(data: bytes) -> None:
    buffer = bytearray(data)
    try:
        while dns.unframed(buffer) is not None:
            pass
    except dns.Malformed:
        pass
    try:
        query = dns.parse_query(data)
    except dns.Malformed as fault:
        assert len(fault.reply) in (0, 12)
        return
    for reply in (dns.refused(query), dns.nxdomain(query), dns.empty(query), dns.address_answer(query, "198.18.0.1")):
        assert reply[12:].startswith(query.question)
        assert len(query.name) <= 253


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
