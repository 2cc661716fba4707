"""Fixtures around tests/gateway_stand.py: real gateway, real upstream. A conftest imports them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway_stand import Authority, Setup, Stand, Upstream, route

Start = Callable[..., Stand]


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Signs the upstreams' certificates; the gateway trusts it."""
    return Authority("upstream")


@pytest.fixture
def upstream(authority: Authority) -> Iterator[Upstream]:
    """A TLS server for api.test."""
    server = Upstream(authority.server_context("api.test"))
    yield server
    server.close()


@pytest.fixture
def plain_upstream() -> Iterator[Upstream]:
    """A server without TLS."""
    server = Upstream(None)
    yield server
    server.close()


@pytest.fixture
def start(tmp_path: Path, authority: Authority) -> Iterator[Start]:
    """Starts gateways; each is ended with the test."""
    stands: list[Stand] = []

    def make(**changes: object) -> Stand:
        directory = tmp_path / str(len(stands))
        directory.mkdir()
        stand = Stand(directory, Setup(**changes), authority)
        stands.append(stand)
        return stand

    yield make
    for stand in stands:
        stand.close()


@pytest.fixture
def stand(start: Start, upstream: Upstream) -> Stand:
    """A gateway with one route, to api.test, with the example secret."""
    return start(routes=(route(upstream),))
