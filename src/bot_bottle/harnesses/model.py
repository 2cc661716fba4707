"""What a harness file may say: pure data, the one source of parsing, `harness show` and the reference.

A harness is the program that nobody trusts (Claude Code, Codex, any command). Its file tells how it is started,
what lies in its HOME, which requests it needs and what stops a repository from running code in it (S10, B37, B66,
B70). Nothing here runs; `fit` turns a harness and a person's choices into the parts of a plan.

Templates. As whole elements of argv: ``{entry} {prompt} {model} {instructions} {credential} {mcp} {argv}``, spliced,
and dropped where empty. Inside text: ``{workspace} {home} {ca} {model} {prompt} {instructions} {now}``,
``{placeholder:NAME}``, ``{placeholder_tail20:NAME}`` and ``{json:WORD}`` (the same as a quoted string for JSON and
TOML). All else in braces stays as it is.
"""

from typing import Literal

import msgspec

from bot_bottle.policy.effective import Match
from bot_bottle.policy.verdict import Timeouts

FORMAT = 1
CA_VARIABLES = (
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CODEX_CA_CERTIFICATE",
)
"""No single variable serves all agents and their tools (facts: agents 3), so by default all are set."""

ErrorShape = Literal["anthropic", "openai", "google"]
Mode = Literal["headless", "interactive"]
Events = Literal["claude", "codex", "pi", "trajectory", "none"]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all parts of a harness file: an unknown key is an error."""


class Command(Part, frozen=True):
    """argv: the template. model, prompt, instructions: what stands at ``{model}`` etc. when there is one.

    An empty argv: the harness has no such mode. Without `instructions` an agent's text goes before the task.
    """

    argv: tuple[str, ...] = ()
    model: tuple[str, ...] = ("{model}",)
    prompt: tuple[str, ...] = ("{prompt}",)
    instructions: tuple[str, ...] = ()


class HomeFile(Part, frozen=True):
    """A file laid into HOME before the start. path: relative to HOME. content: template. modes: where needed."""

    path: str
    content: str
    executable: bool = False
    modes: tuple[Mode, ...] = ("headless", "interactive")


class HarnessRoute(Part, frozen=True):
    """One destination that the harness needs: like `policy.effective.Route`, less what a credential adds.

    error: the shape of a denial body, so that the harness gives up within seconds and shows our sentence; set on
    model hosts only. modes: in which the route is needed. why: one sentence for `harness show`.
    """

    name: str
    host: str
    matches: tuple[Match, ...]
    error: ErrorShape | None = None
    ports: tuple[int, ...] = (443,)
    protocols: tuple[Literal["http1", "websocket"], ...] = ("http1",)
    modes: tuple[Mode, ...] = ("headless", "interactive")
    timeouts: Timeouts = Timeouts()
    why: str = ""


class Injection(Part, frozen=True):
    """On this route (by name) the credential's secret goes here. name: of the header, for scheme ``header``."""

    route: str
    scheme: Literal["bearer", "token", "basic", "header", "query"] = "bearer"
    name: str = ""


class Shape(Part, frozen=True):
    """How a placeholder of this credential looks: prefix, then `length` random letters and digits, then suffix."""

    prefix: str
    length: int = 40
    suffix: str = ""


class Refresh(Part, frozen=True):
    """How the keeper renews a login. Described for a later issue; nothing reads it yet.

    host, path, body: where and how the refresh token is posted. The agent's file never holds a real token: it gets
    placeholders with a far expiry, so that it never refreshes by itself (facts: agents 5).
    """

    host: str
    path: str
    body: Literal["json", "form"] = "json"
    client_id: str = ""
    scope: str = ""


class Login(Part, frozen=True):
    """A login that lives in a file of the host's HOME. Described for a later issue; nothing reads it yet.

    file: relative to the host's HOME. access, refresh_token, expiry: JSON pointers (RFC 6901) into it.
    expiry_kind: how the expiry is written. refresh: how it is renewed.
    """

    file: str
    access: str
    refresh_token: str = ""
    expiry: str = ""
    expiry_kind: Literal["milliseconds", "seconds", "iso", "none"] = "none"
    refresh: Refresh | None = None


class Credential(Part, frozen=True):
    """One way to authenticate. The first in the file whose secret exists is used; else the first.

    secret: name in custody. env, files, argv: what the harness gets in its place (templates with the placeholder).
    inject: where the real value goes. modes: in which it works. host_env: the variable that people have it in.
    """

    secret: str
    title: str
    placeholder: Shape
    inject: tuple[Injection, ...]
    env: dict[str, str] = {}
    files: tuple[HomeFile, ...] = ()
    argv: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = ("headless", "interactive")
    host_env: str = ""
    login: Login | None = None


class SafeToDeny(Part, frozen=True):
    """A host that the harness also calls and works without. why: what it is for."""

    host: str
    why: str


class Guard(Part, frozen=True):
    """What stops one kind of repository-controlled code. trap: the file. by: the flag, variable or mask.

    promised: the e2e test plants the trap and proves that nothing runs; false is honest about what still works.
    """

    trap: str
    by: str
    promised: bool = True


class Success(Part, frozen=True):
    """How the outcome is read. events: which parser of `success`. file: relative to HOME, where not on stdout.

    exit_code: whether a zero exit status counts as success when the stream says nothing.
    """

    events: Events = "none"
    file: str = ""
    exit_code: bool = True


class Mcp(Part, frozen=True):
    """How the bottle's own MCP server is registered. argv: stands at ``{mcp}`` in a command. file: a seed in HOME.

    Templates of both: ``{mcp_name}`` and ``{mcp_url}``. Empty for a harness without MCP: its agent reads in each
    denial how to ask, and has the command `bottle-ask`.
    """

    argv: tuple[str, ...] = ()
    file: HomeFile | None = None
    note: str = ""


class Install(Part, frozen=True):
    """Where the program comes from. lock: name of the committed, hash-locked list in data/locks/.

    kind: npm | pypi | none (nothing to install). entry: platform (``linux-x64``, ``linux-arm64`` or ``any``) ->
    path inside the installation. runtime: what runs the entry. node: lowest Node.js that runs it. command: its
    name on the host's PATH, for ``--host``. path: directories of the installation that belong on PATH.
    """

    kind: Literal["npm", "pypi", "none"] = "none"
    package: str = ""
    version: str = ""
    lock: str = ""
    entry: dict[str, str] = {}
    runtime: Literal["native", "node", "python"] = "native"
    node: str = ""
    command: str = ""
    path: dict[str, tuple[str, ...]] = {}
    size_mb: int = 0


class Harness(Part, frozen=True):
    """One harness file. replaces_shipped: a person's file that takes the name of a shipped one must say so.

    default_model: given at ``{model}`` when the person names none; empty leaves it to the harness. mask: paths of
    the workspace that an empty mount hides. skills: directory in HOME where the harness looks for skills, or empty.
    """

    format: int
    name: str
    title: str
    headless: Command
    interactive: Command
    description: str = ""
    replaces_shipped: bool = False
    default_model: str = ""
    env: dict[str, str] = {}
    headless_env: dict[str, str] = {}
    interactive_env: dict[str, str] = {}
    files: tuple[HomeFile, ...] = ()
    ca: tuple[str, ...] = CA_VARIABLES
    routes: tuple[HarnessRoute, ...] = ()
    credentials: tuple[Credential, ...] = ()
    safe_to_deny: tuple[SafeToDeny, ...] = ()
    guards: tuple[Guard, ...] = ()
    mask: tuple[str, ...] = ()
    success: Success = Success()
    mcp: Mcp = Mcp()
    install: Install = Install()
    skills: str = ""
