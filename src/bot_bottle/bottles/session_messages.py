"""What a detached session and those who attach to it say to each other; and how a session is begun."""

from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.plan import Plan
from bot_bottle.egress.messages import Frame


class Begin(Frame, tag="begin"):
    """First message on fd 3 of a session process: everything that the command line has decided.

    at_end: keep | apply | discard. base: as in run.Wishes.
    """

    plan: Plan
    home: str
    runtime: str
    run: str
    at_end: str
    result: str = ""
    base: str = ""


class Begun(Frame, tag="begun"):
    """The agent runs; the command line may go."""

    label: str


class NotBegun(Frame, tag="notbegun"):
    """As keeper.messages.replies.Refused: the error that stopped the start."""

    kind: str
    slug: str
    what: str
    hint: str = ""


class Attach(Frame, tag="attach"):
    """First message at the session socket; the last part of the output follows, then everything new."""

    rows: int
    columns: int


class Input(Frame, tag="input"):
    """Keys."""

    data: bytes


class Resize(Frame, tag="resize"):
    rows: int
    columns: int


class Output(Frame, tag="output"):
    """What the agent wrote, unfiltered: the terminal's side filters."""

    data: bytes


class Ended(Frame, tag="ended"):
    """The bottle has ended."""

    outcome: Outcome


ToSession = Attach | Input | Resize
FromSession = Output | Ended
