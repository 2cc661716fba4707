"""What came of a run: plain data for the summary, the result file and the API."""

import msgspec

from bot_bottle.egress.messages import Counters


class Outcome(msgspec.Struct):
    """status: ok | failed | timeout | stopped | broken. exit_code: what `bot-bottle` ends with.

    reason: one sentence where it is not ok. agent_status: the agent's own exit status, -1 where there was none.
    log: directory of the record; checkpoint: its newest signed head (what `log verify --against` takes).
    changes: diffstat lines; patch: file with the patch; branch: name offered for it; done: nothing |
    applied | kept | discarded | waiting; kept: the changes still wait under the label.
    findings: sentences about secrets in the workspace and what was not looked into.
    success (succeeded | failed | unknown), model, tokens, text: what a headless harness says of itself.
    """

    status: str
    exit_code: int
    label: str
    run: str
    bottle: str
    agent: str
    harness: str
    reason: str = ""
    agent_status: int = -1
    log: str = ""
    checkpoint: str = ""
    records: int = 0
    sealed: bool = False
    counters: Counters = msgspec.field(default_factory=Counters)
    seconds: float = 0
    changes: tuple[str, ...] = ()
    patch: str = ""
    branch: str = ""
    kept: bool = False
    done: str = ""
    success: str = ""
    model: str = ""
    tokens: dict[str, int] = {}
    text: str = ""
    findings: tuple[str, ...] = ()
