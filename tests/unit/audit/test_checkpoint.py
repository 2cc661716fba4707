"""Signed notes and checkpoints: one spelling, the pinned key, nothing else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit import checkpoint, note
from bot_bottle.audit.checkpoint import Checkpoint
from bot_bottle.audit.keys import LogKey
from bot_bottle.base.errors import AuditFault

HEAD = Checkpoint("bot-bottle/run/r", 12, bytes(range(32)))


def test_round_trip(key: LogKey) -> None:
    data = checkpoint.sign(HEAD, key)
    assert checkpoint.verify(data, key.verifier(HEAD.origin)) == HEAD
    assert data.decode().split("\n")[:3] == ["bot-bottle/run/r", "12", base64.b64encode(HEAD.root).decode()]


def test_a_published_note_verifies() -> None:
    """The example of golang.org/x/mod/sumdb/note."""
    key = note.parse_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    signed = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert note.verify(signed.encode(), key).startswith("If you think")


def test_another_key_another_origin_another_text(key: LogKey) -> None:
    data = checkpoint.sign(HEAD, key)
    for wrong in (LogKey.generate().verifier(HEAD.origin), key.verifier("bot-bottle/run/other")):
        with pytest.raises(AuditFault):
            checkpoint.verify(data, wrong)
    with pytest.raises(AuditFault):
        checkpoint.verify(data.replace(b"\n12\n", b"\n13\n"), key.verifier(HEAD.origin))


def test_foreign_signatures_are_passed_over_and_ours_counts_once(key: LogKey) -> None:
    data = checkpoint.sign(HEAD, key)
    foreign = note.sign(HEAD.text, "witness.example", LogKey.generate()).decode().split("\n\n")[1]
    assert checkpoint.verify(data + foreign.encode(), key.verifier(HEAD.origin)) == HEAD
    own = data.decode().split("\n\n")[1]
    with pytest.raises(AuditFault):
        checkpoint.verify(data + own.encode(), key.verifier(HEAD.origin))


@pytest.mark.parametrize(
    "text",
    ["", "a\n1\n", "a\n01\nROOT\n", "a\n-1\nROOT\n", "a\n1\nROOT", "a\n1\nROOT\nextension\n", "\n1\nROOT\n", "a\n\nROOT\n",
     "a\n1\nAAAA\n", "a\n1\nROOT=\n", "a\n٣\nROOT\n", "a\n99999999999999999999\nROOT\n", "a\n1\n ROOT\n"],
)  # fmt: skip
def test_other_spellings_are_refused(text: str) -> None:
    root = base64.b64encode(bytes(32)).decode()
    checkpoint.parse(f"a\n1\n{root}\n")
    with pytest.raises(AuditFault):
        checkpoint.parse(text.replace("ROOT", root))


@pytest.mark.parametrize("change", [lambda n: n[:-1], lambda n: n + b"\n", lambda n: n.replace("—".encode(), b"-"),
    lambda n: n.replace(b"\n12", b"\r\n12"), lambda n: n.replace(b"run/r ", b"run/r  "), lambda n: n + b"x" * 70000,
    lambda n: n[:-3] + b"!=\n", lambda n: b"\xff" + n, lambda n: n.replace(b"\n\n", b"\n")])  # fmt: skip
def test_malformed_notes_are_refused(key: LogKey, change) -> None:
    with pytest.raises(AuditFault):
        checkpoint.verify(change(checkpoint.sign(HEAD, key)), key.verifier(HEAD.origin))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_fault_or_a_note(data: bytes) -> None:
    with pytest.raises(AuditFault):
        note.verify(data, note.VerifierKey("x", bytes(32)))


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_parse_inverts_text(size: int, root: bytes) -> None:
    head = Checkpoint("bot-bottle/host", size, root)
    assert checkpoint.parse(head.text) == head


def test_verifier_key_text_is_strict(key: LogKey) -> None:
    text = str(key.verifier("bot-bottle/host"))
    assert note.parse_key(text) == key.verifier("bot-bottle/host")
    for wrong in ("", text[:-4], text.replace("host", "hose"), "a+b+c", "a b" + text):
        with pytest.raises(AuditFault):
            note.parse_key(wrong)
