"""The list of sinks."""

from bot_bottle.audit.sinks import file, otlp, s3, syslog, webhook
from bot_bottle.audit.sinks.model import Secrets, Sink, SinkConfig, SinkKind

SINKS: dict[str, SinkKind] = {
    one.name: one
    for one in (
        file.KIND,
        syslog.KIND,
        otlp.KIND,
        webhook.KIND,
        s3.KIND,
    )
}


def kind_of(config: SinkConfig) -> SinkKind:
    """The kind whose config this is."""
    return next(kind for kind in SINKS.values() if isinstance(config, kind.config))


def open_sink(config: SinkConfig, secrets: Secrets) -> Sink:
    """The open sink. Raises OperatorFault for a secret that is not set or an extra that is missing."""
    return kind_of(config).open(config, secrets)
