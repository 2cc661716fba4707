"""The bottle's own /etc: no account, resolver or key of the host; one authority to trust; git over https."""

import re

from bot_bottle.bottles.seal.ids import Ids
from bot_bottle.bottles.seal.spec import Content

AUTHORITY_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
)
NAMES = tuple(f"/etc/{name}" for name in ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf"))
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z")


def contents(ids: Ids, home: str, shell: str = "/bin/sh") -> tuple[Content, ...]:
    """Accounts, names and resolvers. Every name is answered by the gateway at 127.0.0.1 (D09)."""
    agent = f"agent:x:{ids.inside}:{ids.inside}:agent:{home}:{shell}\n"
    nobody = "/nonexistent:/bin/false\n"
    files = {
        "/etc/passwd": f"root:x:0:0::{nobody}{agent}nobody:x:65534:65534::{nobody}",
        "/etc/group": f"root:x:0:\nagent:x:{ids.inside}:\nnogroup:x:65534:\n",
        "/etc/hosts": "127.0.0.1 localhost bottle\n::1 localhost ip6-localhost\n",
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    }
    return tuple(Content(path, text.encode()) for path, text in files.items())


def git_config(hosts: tuple[str, ...], user: tuple[str, str], workspace: str) -> Content:
    """/etc/gitconfig: `git@HOST:` and `ssh://` of every host that a route names go by https, the only way there is.

    hosts: of the routes; wildcards and address literals have no fixed prefix and are left out.
    """
    lines: list[str] = []
    for host in sorted({host for host in hosts if _HOST.match(host)}):
        lines.append(f'[url "https://{host}/"]')
        lines += [
            f"\tinsteadOf = {prefix}{host}{end}"
            for prefix, end in (("git@", ":"), ("ssh://git@", "/"), ("ssh://", "/"))
        ]
    if workspace:
        lines += ["[safe]", f"\tdirectory = {quoted(workspace)}"]
    if user[0] or user[1]:
        lines += ["[user]", f"\tname = {quoted(user[0])}", f"\temail = {quoted(user[1])}"]
    return Content("/etc/gitconfig", "".join(line + "\n" for line in lines).encode())


def quoted(text: str) -> str:
    """A value for a git configuration file (git-config(1)); a control character would start a new line or key."""
    plain = "".join(c for c in text if c >= " " and c != "\x7f")
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
