"""A real S3 server: object lock read back, a repeat writes nothing new, every record under kill -9 of both sides."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_bottle.audit.checkpoint import Checkpoint, sign
from bot_bottle.audit.encode import encode
from bot_bottle.audit.entries import entry, mirrored
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.mirrored import notes_in
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.audit.sinks.registry import open_sink
from bot_bottle.audit.sinks.s3 import S3Config, problems
from bot_bottle.audit.verify import verify
from forward_world import Growing, arrived, forwarder, rage
from seaweed import ACCESS, KEY, Seaweed

SECRETS = {"access": ACCESS.encode() + b"\n", "key": KEY.encode()}
RUN = "20261125t023842-9f3a00112233"


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    server = Seaweed(tmp_path_factory.mktemp("weed"))
    yield server
    server.process.kill()


def config(server: Seaweed, bucket: str, **more: object) -> S3Config:
    return S3Config(bucket=bucket, endpoint=server.url, access_secret="access", key_secret="key", **more)  # type: ignore[arg-type]


def batch(start: int, count: int):
    made = [
        Record(VERSION, "denied", RUN, 1_700_000_000_000_000_000, n, "b", "a", "h", "l", "p")
        for n in range(start, start + count)
    ]
    return [entry(RUN, number, encode(record)) for number, record in enumerate(made, start)]


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_objects_are_locked_and_cannot_be_deleted(weed: Seaweed, mode: str) -> None:
    bucket = f"locked-{mode}"
    weed.bucket(bucket)
    sink = open_sink(config(weed, bucket, lock=mode, days=30), SECRETS)
    note = sign(Checkpoint("bot-bottle/host", 9, b"r" * 32), LogKey.generate())
    sink.send([*batch(0, 5), mirrored("host", note, 1)])
    sink.close()
    keys = weed.keys(bucket)
    assert len(keys) == 2
    assert any(key.startswith(f"bot-bottle/records/{RUN}/0000000000000000-0000000000000004-") for key in keys)
    for key in keys:
        status, headers, _ = weed.ask("HEAD", f"/{bucket}/{key}")
        assert status == 200
        assert headers["x-amz-object-lock-mode"] == mode.upper()
        until = datetime.datetime.fromisoformat(headers["x-amz-object-lock-retain-until-date"])
        assert 29.9 < (until - datetime.datetime.now(datetime.UTC)).total_seconds() / 86400 < 30.2
        version = headers["x-amz-version-id"]
        refused, _, body = weed.ask("DELETE", f"/{bucket}/{key}", query={"versionId": version})
        assert refused == 403, body
        assert weed.ask("HEAD", f"/{bucket}/{key}", query={"versionId": version})[0] == 200


def test_without_a_lock_a_version_can_be_deleted(weed: Seaweed) -> None:
    """Positive control of the lock."""
    weed.bucket("open-bucket")
    sink = open_sink(config(weed, "open-bucket"), SECRETS)
    sink.send(batch(0, 1))
    (key,) = weed.keys("open-bucket")
    version = weed.ask("HEAD", f"/open-bucket/{key}")[1]["x-amz-version-id"]
    assert weed.ask("DELETE", f"/open-bucket/{key}", query={"versionId": version})[0] == 204


def test_a_repeat_is_the_same_object(weed: Seaweed) -> None:
    weed.bucket("repeats", lock=False)
    sink = open_sink(config(weed, "repeats", format="ocsf"), SECRETS)
    for _ in range(3):
        sink.send(batch(0, 5))
    sink.send(batch(0, 6))
    assert len(weed.keys("repeats")) == 2


def test_faults_hold_no_secret(weed: Seaweed) -> None:
    wrong = SECRETS | {"key": b"wrong-key-value"}
    gone = S3Config(bucket="faulty", endpoint="http://127.0.0.1:9", access_secret="access", key_secret="key")
    for where, secrets in ((config(weed, "faulty"), wrong), (gone, SECRETS)):
        with pytest.raises(SinkFault, match="faulty") as caught:
            open_sink(where, secrets).send(batch(7, 2))
        for value in (*secrets.values(), KEY.encode()):
            assert value.decode().strip() not in str(caught.value)


def test_settings_that_do_not_fit(weed: Seaweed) -> None:
    assert problems(config(weed, "good-bucket")) == []
    bad = S3Config(
        bucket="x y",
        endpoint="http://s3.example/",
        access_secret="a",
        key_secret="b",
        lock="compliance",
        prefix="a b",
    )
    assert [name for name, _ in problems(bad)] == ["endpoint", "bucket", "prefix", "days"]


@pytest.mark.slow
def test_a_real_s3_server_gets_every_record_under_kill_9(tmp_path: Path, weed: Seaweed) -> None:
    weed.bucket("raged")
    growing = Growing(tmp_path / "home")
    Path(growing.home.settings).write_text(
        f'[sink.vault]\nkind = "s3"\nbucket = "raged"\nendpoint = "{weed.url}"\naccess_secret = "access"\n'
        'key_secret = "key"\nlock = "compliance"\ndays = 1\n'
    )
    sender = forwarder(growing.home, "vault", access=ACCESS, key=KEY)
    read: dict[str, bytes] = {}

    def uids() -> set[str]:
        for key in weed.keys("raged"):
            if key not in read:
                status, headers, body = weed.ask("GET", f"/raged/{key}")
                if status == 200:
                    assert headers["x-amz-object-lock-mode"] == "COMPLIANCE"
                    read[key] = body
        lines = [json.loads(line) for body in read.values() for line in body.splitlines()]
        return {f"{line['log']}/{line['number']}" for line in lines if "number" in line}

    try:
        rage(6, weed.process, sender, seed=47)
        wanted = growing.finish()
        assert arrived(uids, wanted, 90) == set()
        assert weed.process.kills + sender.kills >= 6
    finally:
        sender.kill()
    notes = notes_in(b"".join(body for key, body in read.items() if "/checkpoints/" in key))
    assert verify(growing.home.host_log, growing.fingerprint, b"".join(notes)).ok
