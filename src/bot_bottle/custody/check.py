"""Whether a value can be a secret: long enough to be scrubbed, and what else a person should know about it."""

from bot_bottle.base.errors import UsageFault
from bot_bottle.base.secret import Secret
from bot_bottle.inspect.needles import MINIMUM

SHORT = 16


def acceptable(name: str, value: bytes) -> Secret:
    """The secret without the last line end that `echo` adds. Raises UsageFault where it cannot be kept safe."""
    value = value.rstrip(b"\r\n")
    if not value:
        raise UsageFault(
            "custody.value", "The value is empty.", "Pipe it in: printf %s VALUE | bot-bottle secret set NAME"
        )
    if len(value) < MINIMUM:
        raise UsageFault(
            "custody.short",
            f"The value has fewer than {MINIMUM} characters: replies could not be scrubbed of it.",
            "Use a longer credential.",
        )
    if b"\0" in value:
        raise UsageFault("custody.value", "The value holds a NUL byte.", "Encode it as text first.")
    return Secret(name, value)


def is_scrubbable(secret: Secret) -> bool:
    """Whether replies can be scrubbed of it at all; what a store of others gives is not checked before."""
    return len(secret.reveal()) >= MINIMUM


def weakness(secret: Secret) -> str:
    """One sentence about a value that works but is weak, or ""."""
    value = secret.reveal()
    if len(value) < SHORT:
        return f"{secret.name} has fewer than {SHORT} characters, so it may match ordinary text in replies."
    if len(set(value)) < 6:
        return f"{secret.name} has few different characters: it looks like a placeholder."
    if value != value.strip():
        return f"{secret.name} begins or ends with white space."
    if b"\n" in value:
        return f"{secret.name} has several lines: it cannot be injected into a header."
    return ""
