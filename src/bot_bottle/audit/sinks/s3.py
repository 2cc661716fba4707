"""S3, with object lock: what lies there cannot be changed or deleted before its time, not even by us (extra `s3`).

A batch is one object per log, named by its numbers and its content, so that a repeat writes the same object: that it
exists already means that it has arrived.
"""

import datetime
import hashlib
import importlib
import re
from collections.abc import Sequence
from typing import Any, Literal

from bot_bottle.audit.entries import MIRRORED, Entry
from bot_bottle.audit.formats.registry import format_of
from bot_bottle.audit.sinks.model import Secrets, SinkConfig, SinkFault, SinkKind, value_of
from bot_bottle.audit.sinks.post import url_problem
from bot_bottle.base.errors import OperatorFault

_RENEWED = 3600
_STATUS = re.compile(r"status(?: code)?:? (?:client error |server error )?\(?(\d{3})\b", re.IGNORECASE)


class S3Config(SinkConfig, kw_only=True, frozen=True, tag="s3", tag_field="kind"):
    """endpoint: "" for AWS. lock: retention mode, or none. days: how long an object is locked. access_secret,
    key_secret: names of the access key id and of the secret key."""

    bucket: str
    access_secret: str
    key_secret: str
    region: str = "us-east-1"
    endpoint: str = ""
    prefix: str = "bot-bottle"
    lock: Literal["none", "governance", "compliance"] = "none"
    days: int = 0
    plain: bool = False


class S3Sink:
    """A store per hour, because the time until which objects are locked stands in its headers."""

    settle = 0.0

    def __init__(self, config: S3Config, secrets: Secrets) -> None:
        form = format_of(config.format)
        assert form.line is not None
        self._line, self._suffix = form.line, form.suffix
        self._config = config
        self._obstore = _obstore()
        self._access = value_of(secrets, config.access_secret).decode("latin-1").strip()
        self._key = value_of(secrets, config.key_secret).decode("latin-1").strip()
        self._store: Any = None
        self._made = datetime.datetime.fromtimestamp(0, datetime.UTC)

    def send(self, batch: Sequence[Entry]) -> None:
        """One object for each log in the batch."""
        groups: dict[tuple[str, bool], list[Entry]] = {}
        for entry in batch:
            groups.setdefault((entry.log, entry.record.kind == MIRRORED), []).append(entry)
        for (log, note), entries in groups.items():
            body = b"".join(self._line(entry) for entry in entries)
            self._put(self._name(log, note, entries, body), body)

    def _name(self, log: str, note: bool, entries: Sequence[Entry], body: bytes) -> str:
        first, last = entries[0].number, entries[-1].number
        kind = "checkpoints" if note else "records"
        digest = hashlib.sha256(body).hexdigest()[:16]
        return f"{self._config.prefix}/{kind}/{log}/{first:016d}-{last:016d}-{digest}{self._suffix}".lstrip("/")

    def _put(self, name: str, body: bytes) -> None:
        errors = self._obstore.exceptions
        try:
            self._obstore.put(self._opened(), name, body, mode="create", use_multipart=False)
        except errors.AlreadyExistsError:
            return
        except errors.BaseError as error:
            self.close()
            status = _STATUS.search(str(error))
            why = f"status {status[1]}" if status else type(error).__name__
            raise SinkFault(f"The bucket {self._config.bucket} does not take it: {why}.") from None

    def _opened(self) -> Any:
        now = datetime.datetime.now(datetime.UTC)
        if self._store is None or abs((now - self._made).total_seconds()) > _RENEWED:
            self._made = now
            self._store = self._new(now)
        return self._store

    def _new(self, now: datetime.datetime) -> Any:
        config = self._config
        headers: dict[str, str] = {}
        if config.lock != "none":
            until = now + datetime.timedelta(days=config.days, seconds=_RENEWED)
            headers = {
                "x-amz-object-lock-mode": config.lock.upper(),
                "x-amz-object-lock-retain-until-date": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            }
        options: dict[str, Any] = {"timeout": "30s", "connect_timeout": "10s"}
        options |= {"default_headers": headers} if headers else {}
        options |= {"allow_http": True} if config.endpoint.startswith("http://") else {}
        place: dict[str, Any] = {"endpoint": config.endpoint} if config.endpoint else {}
        return self._obstore.store.S3Store(
            config.bucket, region=config.region, access_key_id=self._access, secret_access_key=self._key,
            client_options=options, retry_config={"max_retries": 0}, **place,
        )  # fmt: skip

    def check(self) -> None:
        """Nothing can be lost after `send`."""

    def close(self) -> None:
        """Idempotent."""
        self._store = None


def _obstore() -> Any:
    try:
        for name in ("exceptions", "store"):
            importlib.import_module(f"obstore.{name}")
        return importlib.import_module("obstore")
    except ImportError:
        what = "The S3 sink needs obstore, which is not installed."
        raise OperatorFault("sink.no-obstore", what, "Run: pip install 'bot-bottle[s3]'") from None


def open_s3(config: S3Config, secrets: Secrets) -> S3Sink:
    """The sink of a config that has no problems."""
    return S3Sink(config, secrets)


def problems(config: S3Config) -> list[tuple[str, str]]:
    """The endpoint, names that are no names, a lock without a time."""
    why = url_problem(config.endpoint, config.plain) if config.endpoint else ""
    found = [("endpoint", why)] if why else []
    if not 3 <= len(config.bucket) <= 63 or not config.bucket.replace("-", "").replace(".", "").isalnum():
        found.append(("bucket", "is no bucket name"))
    if (
        config.prefix
        and not config.prefix.replace("-", "").replace("/", "").replace("_", "").replace(".", "").isalnum()
    ):
        found.append(("prefix", "has other characters than letters, digits and -_./"))
    if config.lock != "none" and config.days < 1:
        found.append(("days", "is needed with lock"))
    return found


KIND = SinkKind("s3", "Objects in a bucket, locked if wanted (extra: s3).", S3Config, open_s3, problems)
