"""What a page or an API client may have started: the one type of it, from the form to the starter (D17).

The starter decodes it again, so a web process that was taken over can say no more than a person at the page:
headless, no terminal, and changes that are kept or thrown away. Nothing in here can ask for them to be applied.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bot_bottle.base.ids import LABEL

Label = Annotated[str, Meta(pattern="^" + LABEL.pattern.replace("\\Z", "$"))]
Text = Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class StartWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """agent: an agent or a harness, or ``command`` with argv. It runs headless and detached. workspace: absolute
    path, "" for none. at_end: what happens to its changes."""

    agent: Name
    bottles: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    workspace: Annotated[str, Meta(max_length=4096, pattern=r"^(/[^\x00]*)?$")] = ""
    argv: Annotated[tuple[Text, ...], Meta(max_length=256)] = ()
    prompt: Annotated[str, Meta(max_length=100_000, pattern=r"^[^\x00]*$")] = ""
    model: Annotated[str, Meta(max_length=200, pattern=r"^[ -~]*$")] = ""
    wall_clock: Annotated[int, Meta(ge=0, le=30 * 86400)] = 0
    label: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$")] = ""
    at_end: Literal["keep", "discard"] = "keep"
