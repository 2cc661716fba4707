"""The two manifests as types: the one source of parsing, JSON Schema, reference text and completion.

Every field has a description; `syntax` in the extra metadata names a check of policy.syntax. A field that is not
written is UNSET, so that merging can tell "not said" from any value.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

PATTERNS = {
    "address": r"^(\[[0-9a-f:]+\]|[0-9.]+):[0-9]{1,5}$",
    "auth-scheme": r"^(bearer|token|basic|header:.+|query:.+)$",
    "duration": r"^[0-9]{1,9}(ms|s|m|h|d)$",
    "glob": r"^[^/~]",
    "header": r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    "host": r"^(\*\.)?[^*/@ ]+$",
    "line": r"^[^<>]{1,256}$",
    "method": r"^[A-Z][A-Z-]*$",
    "model": r"^[A-Za-z0-9]",
    "mount-path": r"^(/|~/)",
    "name": r"^[a-z][a-z0-9-]{0,63}$",
    "size": r"^[0-9]{1,15}(B|KB|MB|GB|TB)?$",
    "variable": r"^[A-Za-z_][A-Za-z0-9_]*$",
}
"""For JSON Schema: never stricter than the check of the same name in policy.syntax, so that editors do not nag."""


def _text(description: str, syntax: str = "", **limits: Any) -> Meta:
    if not syntax:
        return Meta(description=description, **limits)
    return Meta(
        description=description, extra={"syntax": syntax}, extra_json_schema={"pattern": PATTERNS[syntax]}, **limits
    )


SecretName = Annotated[str, _text("Name of a secret in custody.", "name")]
MatchType = Literal["exact", "prefix", "regex"]
Method = Annotated[str, _text("HTTP method in capital letters.", "method")]
Size = Annotated[str, _text("Bytes, like 512MB or 4GB.", "size")]
Duration = Annotated[str, _text("Like 30s, 5m or 2h.", "duration")]


BottleName = Annotated[str, _text("Name of a bottle.", "name")]


class EnvSource(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Where the value of a variable comes from: exactly one of from_host and secret."""

    from_host: Annotated[str, _text("Copy this variable of the host.", "variable")] | UnsetType = UNSET
    secret: SecretName | UnsetType = UNSET
    visible: Annotated[bool, _text("The agent sees the real secret instead of a placeholder.")] = False


class Mount(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A host file or directory shown in the bottle."""

    source: Annotated[str, _text("Absolute host path, or one that starts with ~/.", "mount-path")]
    target: Annotated[str, _text("Path inside; the same as source when absent.", "mount-path")] | UnsetType = UNSET
    mode: Annotated[Literal["ro", "rw"], _text("ro: read-only. rw: the agent may change the host's files.")] = "ro"


class Workspace(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """How the current directory is given to the agent."""

    mode: (
        Annotated[Literal["copy", "bind"], _text("copy: changes are applied at the end. bind: written at once.")]
        | UnsetType
    ) = UNSET
    keep: Annotated[
        list[Annotated[str, _text("Glob, relative to the workspace.", "glob")]],
        _text("Files that stay visible although they look like credentials."),
    ] = []
    mounts: Annotated[list[Mount], _text("More host paths to show.")] = []
    caches: Annotated[
        list[Literal["pip", "npm", "cargo", "go"]],
        _text("Package caches that outlive the bottle, one set per bottle."),
    ] = []


class Limits(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What the bottle may use of this machine."""

    memory: Annotated[Size, _text("Memory of all processes together.")] | UnsetType = UNSET
    pids: Annotated[int, _text("Processes and threads.", ge=8, le=4_000_000)] | UnsetType = UNSET
    cpus: Annotated[int, _text("Processors.", ge=1, le=4096)] | UnsetType = UNSET
    disk: Annotated[Size, _text("Bytes written to the workspace copy, HOME and caches.")] | UnsetType = UNSET
    wall_clock: Annotated[Duration, _text("The bottle is stopped after this time.", "duration")] | UnsetType = UNSET


class PathCondition(Struct, forbid_unknown_fields=True, frozen=True):
    """A condition on the canonical path."""

    type: Annotated[MatchType, _text("exact; prefix (whole segments); regex (google-re2, the whole path).")]
    value: Annotated[str, _text("The path, prefix or expression; the query is not part of it.", max_length=4096)]


class HeaderCondition(Struct, forbid_unknown_fields=True, frozen=True):
    """A condition on the value of one header."""

    name: Annotated[str, _text("Name of the header.", "header")]
    type: Annotated[MatchType, _text("exact; prefix; regex (google-re2, the whole value).")]
    value: Annotated[str, _text("The value, prefix or expression.", max_length=4096)]


class Condition(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """All three parts must hold: one of the paths, one of the methods, all of the headers."""

    paths: Annotated[list[PathCondition], _text("One of these paths.")] = []
    methods: Annotated[list[Method], _text("One of these methods.")] = []
    headers: Annotated[list[HeaderCondition], _text("All of these headers.")] = []


class Injection(Struct, forbid_unknown_fields=True, frozen=True):
    """The secret that the gateway puts into the request."""

    scheme: Annotated[str, _text("bearer, token, basic, header:NAME or query:NAME.", "auth-scheme")]
    secret: SecretName


class Tls(Struct, forbid_unknown_fields=True, frozen=True):
    """How the server is verified."""

    ca: Annotated[str, _text("PEM file of the authority that is trusted for this route; relative to this file.")]


class RouteLimits(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Limits of one route."""

    request_bytes: Annotated[Size, _text("Largest body of one request.", "size")] | UnsetType = UNSET
    bottle_bytes: Annotated[Size, _text("Bytes up over the life of the bottle.", "size")] | UnsetType = UNSET
    requests_per_minute: Annotated[int, _text("Requests in any minute.", ge=1, le=1_000_000)] | UnsetType = UNSET


class RouteTimeouts(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Time limits of one route."""

    idle: Annotated[Duration, _text("No byte either way.", "duration")] | UnsetType = UNSET
    total: Annotated[Duration, _text("The whole exchange.", "duration")] | UnsetType = UNSET


class Route(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """One destination rule."""

    host: Annotated[str, _text("Host name, IP address, or *.example.com for exactly one label.", "host")]
    name: Annotated[str, _text("Rule id after bottle/; a digest of the content when absent.", "name")] | UnsetType = (
        UNSET
    )
    scheme: (
        Annotated[Literal["https", "http"], _text("https when absent; a deny route without it covers both.")]
        | UnsetType
    ) = UNSET
    ports: (
        Annotated[
            list[Annotated[int, _text("A port.", ge=1, le=65535)]],
            _text("The scheme's own port when absent; a deny route without it covers all.", min_length=1),
        ]
        | UnsetType
    ) = UNSET
    protocols: (
        Annotated[
            list[Literal["http1", "websocket"]],
            _text("http1 when absent; a deny route without it covers all.", min_length=1),
        ]
        | UnsetType
    ) = UNSET
    matches: Annotated[list[Condition], _text("One of these must hold; every request when absent.")] = []
    action: Annotated[Literal["allow", "ask", "deny"], _text("deny beats ask beats allow.")] = "allow"
    auth: (
        Annotated[Injection, _text("The secret that the gateway puts in; no other credential leaves.")] | UnsetType
    ) = UNSET
    agent_credentials: Annotated[
        Literal["remove", "allow"], _text("allow: credentials that the agent sends itself are passed on.")
    ] = "remove"
    tls: Annotated[Tls, _text("How the server is verified, when not by this host's authorities.")] | UnsetType = UNSET
    address: (
        Annotated[str, _text("IP:port that is dialled; the only way to a private or loopback address.", "address")]
        | UnsetType
    ) = UNSET
    limits: Annotated[RouteLimits, _text("Limits of this route.")] | UnsetType = UNSET
    timeouts: Annotated[RouteTimeouts, _text("Time limits of this route.")] | UnsetType = UNSET


class Egress(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What may leave."""

    default: (
        Annotated[Literal["deny", "ask"], _text("What happens to a request that no route names: deny when absent.")]
        | UnsetType
    ) = UNSET
    ask_body: Annotated[Size, _text("Largest body of a request that is held for an answer; 8MB.")] | UnsetType = UNSET
    ask_wait: Annotated[Duration, _text("How long a held request waits; silence means no. 5m.")] | UnsetType = UNSET
    learn: (
        Annotated[Literal["allow", "forbid"], _text("Whether a timed learn mode may be started; allow.")] | UnsetType
    ) = UNSET

    log: (
        Annotated[
            Literal["off", "blocks", "full"],
            _text("Headers and bodies in the log: none, of denied requests, of all. Decisions are always recorded."),
        ]
        | UnsetType
    ) = UNSET
    sync: (
        Annotated[
            Literal["each", "batch"],
            _text("each: every record is on the disk before its request leaves; batch: at most a second later."),
        ]
        | UnsetType
    ) = UNSET
    registries: Annotated[
        list[Literal["pypi", "npm", "cargo", "go", "debian"]],
        _text("Package downloads (GET) from the registries that this host's own clients are set to."),
    ] = []
    routes: Annotated[list[Route], _text("Destination rules.")] = []


class Bottle(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A bottle: the power that an agent gets. Only files under the bot-bottle home are read."""

    version: Annotated[Literal[1], _text("Version of this format.")] = 1
    extends: Annotated[
        BottleName | list[BottleName],
        _text("Bottles that this one builds on, left to right; this file comes last."),
    ] = []
    env: Annotated[
        dict[
            Annotated[str, _text("Name of the variable.", "variable")],
            Annotated[str, _text("The value itself.")] | EnvSource,
        ],
        _text("Variables of the agent."),
    ] = {}
    workspace: Annotated[Workspace, _text("How the current directory is given to the agent.")] = Workspace()
    limits: Annotated[Limits, _text("What the bottle may use of this machine.")] = Limits()
    egress: Annotated[Egress, _text("What may leave the bottle.")] = Egress()


class GitUser(Struct, forbid_unknown_fields=True, frozen=True):
    """Who the agent's commits claim to be from."""

    name: Annotated[str, _text("Name.", "line")]
    email: Annotated[str, _text("E-mail address.", "line")]


class Agent(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """An agent: a harness with a prompt (the Markdown body), skills, a model and a git user."""

    version: Annotated[Literal[1], _text("Version of this format.")] = 1
    harness: Annotated[str, _text("Name of the harness; claude when absent.", "name")] | UnsetType = UNSET
    bottle: Annotated[
        BottleName | list[BottleName],
        _text("Bottles for this agent when --bottle is not given; only in the home (D21)."),
    ] = []
    skills: Annotated[list[Annotated[str, _text("Name of a skill.", "name")]], _text("Skills to copy in.")] = []
    model: Annotated[str, _text("Model name for the harness.", "model")] | UnsetType = UNSET
    git: Annotated[GitUser, _text("Who commits claim to be from.")] | UnsetType = UNSET


def names(value: str | list[str]) -> list[str]:
    """A name or a list of names as a list."""
    return [value] if isinstance(value, str) else value


CLAUDE_FIELDS = frozenset(
    {
        "background",
        "color",
        "description",
        "disallowedTools",
        "effort",
        "hooks",
        "initialPrompt",
        "isolation",
        "maxTurns",
        "mcpServers",
        "memory",
        "name",
        "permissionMode",
        "tools",
    }
)
"""Fields of a Claude subagent file that mean nothing here: accepted and ignored."""
