"""What a person asks for: the arguments of `start` and `run` as one typed value."""

from typing import Literal

import msgspec


class Request(msgspec.Struct, frozen=True):
    """agent: an agent, a harness, or "command" with argv. bottles: names, in order. workspace: directory; "" = none.

    mode: headless | interactive. terminal: the agent gets a pty. prompt: the task (headless). model: over the
    agent's. wall_clock: seconds, 0 = as the bottle says. label: "" = a free one, from `base` or the agent's name.
    at_end: what happens to the changes: ask | apply | keep | discard.
    """

    agent: str = "command"
    bottles: tuple[str, ...] = ()
    workspace: str = ""
    argv: tuple[str, ...] = ()
    mode: Literal["headless", "interactive"] = "headless"
    terminal: bool = False
    prompt: str = ""
    model: str = ""
    wall_clock: float = 0
    label: str = ""
    base: str = ""
    at_end: Literal["ask", "apply", "keep", "discard"] = "discard"
