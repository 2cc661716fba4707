"""Signed notes, checkpoints, verifier keys and proofs: a fault, or one value with one spelling."""

import sys

from bot_bottle.audit import checkpoint, note, proof
from bot_bottle.base.errors import AuditFault

KEY = note.VerifierKey("bot-bottle/host", bytes(range(32)))


def test_one_input(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        assert checkpoint.parse(text).text == text
    except AuditFault:
        pass
    try:
        assert str(note.parse_key(text)) == text.strip()
    except AuditFault:
        pass
    try:
        assert proof.parse(data).text == data
    except AuditFault:
        pass
    try:
        checkpoint.verify(data, KEY)
        raise AssertionError("nobody has the private key")
    except AuditFault:
        pass
    assert b"".join(note.split(data)) in data or data.startswith("— ".encode())


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
