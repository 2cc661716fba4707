"""The API against its own description: every operation is reached with valid input, and nothing is found (schemathesis).

A real web process on a seeded home. Ids in paths are made for each request, so that a device that was revoked or an ask
that was answered by the request before does not hide what comes after. `streamEvents` is left out by name: it never
ends; tests/unit/web/test_sse.py is about it.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from bot_bottle.supervise.model import Scope
from bot_bottle.web.api import routes as api
from bot_bottle.web.sessions import Sessions
from bot_bottle.web.store import Store
from web_stage import Bottle, Stage, Web, wanted

EXCLUDED = {"streamEvents"}
NAMES = [operation.name for operation in api.operations()]
EXAMPLES = 12


class Living:
    """Ids that exist right now."""

    def __init__(self, stage: Stage, web: Web) -> None:
        self.stage, self.web = stage, web
        self.run = stage.ended("first")
        stage.ended("second", ago=7200)
        self._bottle: Bottle | None = None
        self._numbers = itertools.count()
        self._store = Store(stage.home)
        self._tokens = web.token("admin")
        stage.every_state(self.bottle)

    @property
    def bottle(self) -> Bottle:
        if self._bottle is None or self._bottle.ending:
            self._bottle = self.stage.running(f"b-{len(self.stage.bottles)}")
        return self._bottle

    def device(self) -> str:
        Sessions(self._store).open("phone", "device", "test", self.bottle.lease.held.started)
        return Sessions(self._store).devices(1)[0].id

    def ask(self) -> str:
        """Of a host that no rule names yet, so that a rule may be proposed."""
        return self.stage.ask(self.bottle, what=wanted("api.example.com", f"/{next(self._numbers)}")).id

    def token(self) -> str:
        return str(self.web.api("POST", "/tokens", {"name": "x"}, self._tokens).json()["id"])

    def path(self, name: str) -> str:
        """A value for a name in a path."""
        made: dict[str, Callable[[], str]] = {
            "device": self.device, "token": self.token, "label": lambda: self.bottle.label,
            "bottle": lambda: self.bottle.identity.bottle, "run": lambda: self.run.run,
            "ask": self.ask,
            "grant": lambda: self.stage.grant(self.bottle, Scope.BOTTLE).id, "record": lambda: "1", "number": lambda: "1",
            "host": lambda: "docs.example.org", "other": lambda: self.run.run,
            "notifier": lambda: "desk",
        }  # fmt: skip
        return made[name]()

    def body(self, name: str, path: dict[str, str], given: Any) -> Any:
        """What no schema can say: the digest of an ask that waits, a name that exists."""
        if not isinstance(given, dict):
            return given
        if "ask" in path and "request" in given:
            ask = self.stage.store.ask(path["ask"])
            assert ask is not None
            given = given | {"request": ask.request}
        return given | VALID.get(name, {})


VALID: dict[str, dict[str, Any]] = {
    "answerAsk": {"scope": "once", "seconds": 0, "shown": "", "reason": "seen", "break_glass": False, "late": False},
    "learn": {"seconds": 60},
    "subscribePush": {
        "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/abc",
        "p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
        "auth": "tBHItJI5svbpez7KI4CCXg",
    },
}  # fmt: skip
"""Fields of a valid body that must name something real."""
BY_COOKIE = {"subscribePush"}
"""Operations that only a signed-in browser can use."""


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    from bot_bottle.web.messages import Listen

    with Stage(tmp_path_factory.mktemp("api")) as stage:
        web = stage.web(listen=(Listen(),), public="https://bottle.example.org", proxies=("192.0.2.1",)).sign_in()
        yield Living(stage, web)


@pytest.fixture(scope="module")
def description(living: Living) -> Any:
    found = living.web.get("/api/v1/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    return found


def test_the_description_names_every_operation_and_the_one_left_out(description: Any) -> None:
    described = {op["operationId"] for path in description["paths"].values() for op in path.values()}
    assert described == {*NAMES, *EXCLUDED}
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_is_what_its_description_says(living: Living, description: Any, name: str) -> None:
    operation = next(op.ok() for op in schemathesis.openapi.from_dict(description).get_all_operations() if op.ok().definition.raw["operationId"] == name)  # fmt: skip
    found = Counter[int]()
    session = requests.Session()
    if name in BY_COOKIE:
        session.headers.update({"cookie": living.web.cookie, "origin": living.web.url, "sec-fetch-site": "same-origin", "x-bot-bottle-csrf": living.web.csrf})  # fmt: skip
    else:
        session.headers["authorization"] = f"Bearer {living.web.token()}"
    base = f"{living.web.url}/api/v1"

    def ask(case: Any, valid: bool) -> None:
        if valid:
            case.path_parameters = {key: living.path(key) for key in case.path_parameters or {}}
            case.body = living.body(name, case.path_parameters, case.body)
        reply = case.call(base_url=base, session=session)
        found[reply.status_code] += 1
        case.validate_response(reply, excluded_checks=excluded(valid))

    run = settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run(given(case=operation.as_strategy(GenerationMode.POSITIVE))(lambda case: ask(case, True)))()
    assert any(200 <= status < 300 for status in found), f"{name} was never reached: {dict(found)}"
    if operation.definition.raw["parameters"] or "requestBody" in operation.definition.raw:
        run(given(case=operation.as_strategy(GenerationMode.NEGATIVE))(lambda case: ask(case, False)))()
    session.close()


def excluded(valid: bool) -> list[Any]:
    """`ignored_auth` asks again without credentials; its answer is the same for all: see the attack tests. Of what our
    own ids made of a generated case, schemathesis no longer knows whether it is valid."""
    from schemathesis.specs.openapi import checks

    left_out: list[Any] = [checks.ignored_auth]
    return [*left_out, checks.positive_data_acceptance] if valid else left_out


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_bytes_that_are_no_json_are_a_problem_and_not_a_fault(living: Living, body: bytes) -> None:
    token = {"authorization": f"Bearer {living._tokens}", "content-type": "application/json"}
    reply = living.web.raw("POST", "/api/v1/tokens", token, body)
    assert reply.status in (400, 422) and json.loads(reply.body)["slug"].startswith("web.")
