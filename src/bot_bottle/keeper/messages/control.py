"""What is said at the control socket of a bottle that runs (0600, same uid): one question, one answer."""

from bot_bottle.egress.messages import Counters, Frame, Identity
from bot_bottle.keeper.messages.approvals import (
    AnswerAsk,
    Answered,
    AskShown,
    LeafProposed,
    ProposeLeaf,
    RefreshGrants,
    RevokeGrant,
    ShowAsk,
)
from bot_bottle.keeper.messages.replies import Done, Refused
from bot_bottle.policy.effective import Policy
from bot_bottle.supervise.model import Approver


class FactsQuery(Frame, tag="factsquery"):
    """Answered by Facts."""


class Facts(Frame, tag="facts"):
    """What the keeper knows of its bottle. project, leaf: as in Open. waiting: asks. learn_until: wall ns, 0 while no
    learn mode runs."""

    identity: Identity
    counters: Counters
    policy: str
    revision: int
    frozen: str
    confinement: str
    log: str
    records: int
    checkpoint: str
    started: int
    project: str = ""
    leaf: str = ""
    waiting: int = 0
    learn_until: int = 0


class OfWeb(Frame, tag="ofweb"):
    """From now on the dashboard's web process speaks at this connection (keeper.vouching). Not answered."""


class Stop(Frame, tag="stop"):
    """End the bottle; answered by Done as soon as the launcher was told."""

    reason: str = "asked"


class FreezeBottle(Frame, tag="freezebottle"):
    """Answered by Done once no byte moves any more (within one second); to the launcher only with Hold."""

    reason: str = "asked"


class ThawBottle(Frame, tag="thawbottle"):
    """Answered by Done."""


class ReloadPolicy(Frame, tag="reloadpolicy"):
    """The new policy, merged by the command line. Live flows that it no longer allows end. Answered by Done."""

    policy: Policy


class RenewSecret(Frame, tag="renewsecret"):
    """Read this secret again from its store and hand it to the gateway. Answered by Renewed."""

    name: str


class Renewed(Frame, tag="renewed"):
    """used: whether this bottle uses the secret; else nothing was read."""

    used: bool


class LearnPolicy(Frame, tag="learnpolicy"):
    """From now on what no route names is allowed, without a secret, and recorded; after so many seconds the policy is
    as before, whoever forgot it. seconds 0 ends it now. Answered by Done or Refused (``egress.learn: forbid``)."""

    seconds: int
    approver: Approver


ControlToKeeper = (
    FactsQuery | Stop | FreezeBottle | ThawBottle | ReloadPolicy | RenewSecret | LearnPolicy
    | AnswerAsk | ShowAsk | ProposeLeaf | RevokeGrant | RefreshGrants | OfWeb
)  # fmt: skip
KeeperToControl = Done | Renewed | Facts | Refused | Answered | AskShown | LeafProposed
