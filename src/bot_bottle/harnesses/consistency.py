"""Checks that types cannot express: references between the parts of one harness file. Pure."""

import re
from collections.abc import Iterator

from bot_bottle.base.errors import Problem
from bot_bottle.base.ids import is_name
from bot_bottle.harnesses import schema
from bot_bottle.harnesses.model import Command, Harness
from bot_bottle.policy.hosts import is_inside

_PLACE = re.compile(r"\{([a-z0-9_]+)(?::([^{}]*))?\}")
SPLICED = ("entry", "prompt", "model", "instructions", "argv", "credential", "mcp")
INLINE = ("workspace", "home", "ca", "model", "prompt", "instructions", "now", "mcp_name", "mcp_url")
NAMED = ("placeholder", "placeholder_tail20")


def problems(harness: Harness, file: str, text: str) -> list[Problem]:
    """Every reference that leads nowhere and every template word that does not exist."""
    found = [*_references(harness), *_templates(harness), *_commands(harness)]
    return [Problem(slug, what, file, schema.line_of(text, key), hint) for slug, what, key, hint in found]


Found = tuple[str, str, str, str]


def _references(harness: Harness) -> Iterator[Found]:
    routes = [route.name for route in harness.routes]
    for name in sorted({name for name in routes if routes.count(name) > 1}):
        yield "route-twice", f"two routes are named {name!r}", "routes", ""
    for host in (route.host for route in harness.routes if is_inside(route.host)):
        yield (
            "reserved-host",
            f"routes: {host} is the bottle's own name, which the gateway answers itself",
            "host",
            "",
        )
    for credential in harness.credentials:
        if not is_name(credential.secret):
            yield "bad-name", f"credentials: {credential.secret!r} is not a name of a secret", "credentials", ""
        for injection in credential.inject:
            if injection.route not in routes:
                what = f"credentials.inject names the route {injection.route!r}, which does not exist"
                yield "unknown-route", what, "inject", schema.nearest(injection.route, routes)
            if injection.scheme in ("header", "query") and not injection.name:
                yield "missing-key", f"inject with scheme {injection.scheme} needs a name", "inject", ""
    if harness.install.kind != "none" and not (harness.install.package and harness.install.version):
        yield "missing-key", "install needs a package and a version", "install", ""


def _templates(harness: Harness) -> Iterator[Found]:
    secrets = [credential.secret for credential in harness.credentials]
    for key, value in _texts(harness):
        for word, name in _PLACE.findall(value):
            if word in NAMED and name not in secrets:
                yield (
                    "unknown-secret",
                    f"{key}: {{{word}:{name}}} names no credential",
                    key,
                    schema.nearest(name, secrets),
                )
            elif name and word != "json" and word not in NAMED:
                yield "unknown-template", f"{key}: {{{word}:{name}}} is not known", key, ""


def _commands(harness: Harness) -> Iterator[Found]:
    for mode, command in (("headless", harness.headless), ("interactive", harness.interactive)):
        for word in _whole_words(command):
            if word not in (*SPLICED, *INLINE):
                yield (
                    "unknown-template",
                    f"{mode}.argv: {{{word}}} is not known",
                    mode,
                    schema.nearest(word, list(SPLICED)),
                )


def _whole_words(command: Command) -> Iterator[str]:
    for element in command.argv:
        match = re.fullmatch(r"\{([a-z_]+)\}", element)
        if match:
            yield match[1]


def _texts(harness: Harness) -> Iterator[tuple[str, str]]:
    for table in (harness.env, harness.headless_env, harness.interactive_env):
        yield from table.items()
    for home_file in harness.files:
        yield "content", home_file.content
    for argument in harness.mcp.argv:
        yield "argv", argument
    if harness.mcp.file is not None:
        yield "content", harness.mcp.file.content
    for credential in harness.credentials:
        yield from credential.env.items()
        for home_file in credential.files:
            yield "content", home_file.content
        for argument in credential.argv:
            yield "argv", argument
