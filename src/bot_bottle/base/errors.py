"""Errors say whose fault it is, what happened and what to do next; they never carry a secret.

A denial is not an error: it is a `policy.verdict.Verdict`. Each class maps to one documented exit code,
and `cli.main` is the only place that turns one into text for a person.
"""

from dataclasses import dataclass


class BottleError(Exception):
    """Base of all errors that a person may see.

    slug: stable dotted name, e.g. ``manifest.unknown-key``; listed in docs/reference/errors.md.
    what: one sentence, what happened. hint: one sentence, what to do next.
    """

    exit_code = 70

    def __init__(self, slug: str, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.slug = slug
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} {self.hint}".strip()


class UsageFault(BottleError):
    """The command line asks for something that does not exist or does not fit (exit 2)."""

    exit_code = 2


class OperatorFault(BottleError):
    """A file, a secret or a setting of the person is wrong or missing (exit 3)."""

    exit_code = 3


class HostFault(BottleError):
    """This machine cannot do it: no user namespaces, full disk, missing program (exit 4)."""

    exit_code = 4


class SealFault(BottleError):
    """The seal is not proved, so nothing was started (exit 5)."""

    exit_code = 5


class BusyFault(BottleError):
    """The label, port or file is in use by another bottle (exit 6)."""

    exit_code = 6


class AuditFault(BottleError):
    """The log does not verify, or cannot be written (exit 7)."""

    exit_code = 7


class AgentFault(BottleError):
    """Malformed or hostile bytes from a bottle: answered with 400, never shown as a crash (exit 1)."""

    exit_code = 1


class UpstreamFault(BottleError):
    """The other side failed: unreachable, bad certificate, broken reply; answered with 502 or 504."""

    exit_code = 1


class OurFault(BottleError):
    """A bug of ours; the flow fails closed (exit 70)."""

    exit_code = 70


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a person's file: where it is, what is wrong, what was probably meant."""

    slug: str
    what: str
    file: str = ""
    line: int = 0
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.what}" + (f" ({self.hint})" if self.hint else "")


class ManifestFault(OperatorFault):
    """All problems of the files that were needed, together (exit 3)."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("manifest.invalid", "\n".join(str(p) for p in problems))
        self.problems = problems
