"""What may come back to any word said to a keeper, over either link."""

from bot_bottle.egress.messages import Frame


class Done(Frame, tag="done"):
    """It is done."""


class Refused(Frame, tag="refused"):
    """Nothing was started. kind: class name in base.errors; the launcher raises it again."""

    kind: str
    slug: str
    what: str
    hint: str = ""
