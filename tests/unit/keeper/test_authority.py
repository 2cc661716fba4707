"""The bottle's CA: what it certifies, for whom, how fast, and what it refuses."""

import datetime
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.keeper.authority import Authority, alternative_names

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)


def shake(authority: Authority, leaf: str, name: str, tmp_path: object) -> None:
    """A real TLS handshake in memory: the client trusts the CA only and checks the name."""
    chain = f"{tmp_path}/chain.pem"
    with open(chain, "w") as file:
        file.write(leaf + authority.leaf_key)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=authority.pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server.load_cert_chain(chain)
    a, b, c, d = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    left, right = client.wrap_bio(a, b, server_hostname=name), server.wrap_bio(c, d, server_side=True)
    for _ in range(6):
        for side in (left, right):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            c.write(b.read())
            a.write(d.read())
    assert left.version() == "TLSv1.3"


@pytest.mark.parametrize(
    "host", ["api.example.com", "127.0.0.1", "::1", "xn--bcher-kva.example", "localhost", "_x.example.com"]
)
def test_a_client_that_trusts_the_ca_accepts_the_leaf(host: str, tmp_path: object) -> None:
    authority = Authority("x", datetime.datetime.now(datetime.UTC))
    leaf = authority.mint(host, 0)
    assert leaf
    shake(authority, leaf, host, tmp_path)


def test_the_leaf_is_for_that_name_only(tmp_path: object) -> None:
    authority = Authority("x", datetime.datetime.now(datetime.UTC))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(authority, authority.mint("a.example.com", 0), "b.example.com", tmp_path)


def test_a_leaf_can_sign_nothing_and_the_ca_no_other_ca() -> None:
    authority = Authority("x", NOW)
    leaf = x509.load_pem_x509_certificate(authority.mint("a.example.com", 0).encode())
    root = x509.load_pem_x509_certificate(authority.pem.encode())
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_two_bottles_share_no_key_and_leaves_share_one() -> None:
    one, two = Authority("x", NOW), Authority("x", NOW)
    assert one.pem != two.pem
    assert one.leaf_key != two.leaf_key
    keys = {
        x509.load_pem_x509_certificate(one.mint(host, 0).encode())
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for host in ("a.example.com", "b.example.com")
    }
    assert len(keys) == 1


def test_d18_hosts_are_bounded_in_number_and_rate() -> None:
    authority = Authority("x", NOW, limit=10, burst=4)
    minted = [bool(authority.mint(f"h{n}.example.com", 0.1 * n / 100)) for n in range(6)]
    assert minted == [True] * 4 + [False] * 2
    assert authority.mint("h0.example.com", 0.1), "a known host costs nothing"
    assert sum(bool(authority.mint(f"later{n}.example.com", 10.0 + n)) for n in range(20)) == 6


@given(st.text(max_size=80))
def test_no_text_becomes_a_wildcard_or_raises(text: str) -> None:
    names = alternative_names(text)
    if names is not None:
        assert "*" not in text
        assert "\0" not in text
        assert "\n" not in text


def test_a_host_seen_for_the_first_time_costs_less_than_five_milliseconds() -> None:
    authority = Authority("x", NOW)
    began = time.process_time()
    for n in range(100):
        assert authority.mint(f"h{n}.example.com", float(n))
    assert (time.process_time() - began) / 100 < 0.005
