"""What this host has for the seal, each fact with the exact command that mends it; read-only, no bottle started.

Every check is a function of a `Host`, so that an Ubuntu with its AppArmor restriction or a container can be played
from files. Findings: ok, warn (bottles start, something is weaker), fail (no bottle starts).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

OK, WARN, FAIL = "ok", "warn", "fail"
OLDEST_KERNEL = (5, 12)
POWERFUL_GROUPS = ("docker", "podman", "lxd", "incus", "libvirt", "kvm", "disk", "sudo", "wheel", "adm", "shadow")
SYSCTL_FILE = "/etc/sysctl.d/99-bot-bottle.conf"
PROFILE = "/etc/apparmor.d/bot-bottle"
CAP_SYS_RESOURCE = 24
LIMITS_FILE = "/etc/security/limits.d/bot-bottle.conf"


@dataclass(frozen=True, slots=True)
class Finding:
    """name: stable, for --json. what: one sentence. mend: commands, in order, that a person can paste."""

    name: str
    state: str
    what: str
    mend: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """root: prefix of /proc, /sys and /etc. uid, groups: of the person. python: the interpreter's real path."""

    root: str = ""
    uid: int = field(default_factory=os.getuid)
    user: str = ""
    groups: tuple[str, ...] = ()
    release: str = field(default_factory=lambda: os.uname().release)
    python: str = ""
    bwrap: str = "/usr/bin/bwrap"

    def read(self, path: str) -> str:
        """The file's text without its last newline, "" where there is none."""
        try:
            with open(self.root + path) as file:
                return file.read().strip()
        except OSError:
            return ""

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.root + path)


def kernel(host: Host) -> Iterator[Finding]:
    words = host.release.replace("-", ".").split(".")
    version = tuple(int(word) for word in words[:2] if word.isdigit())
    if version < OLDEST_KERNEL:
        yield Finding(
            "kernel",
            FAIL,
            f"Linux {host.release} is too old: 5.12 is needed.",
            ("sudo apt-get upgrade linux-image-amd64",),
        )
    else:
        yield Finding("kernel", OK, f"Linux {host.release}.")


def user_namespaces(host: Host) -> Iterator[Finding]:
    """The three switches that turn user namespaces off, and the one that empties them (AppArmor)."""
    found = [*switched_off(host), *apparmor(host)]
    yield from found or [Finding("user-namespaces", OK, "User namespaces are allowed.")]


def switched_off(host: Host) -> Iterator[Finding]:
    if not host.exists("/proc/self/ns/user"):
        yield Finding(
            "user-namespaces",
            FAIL,
            "This kernel was built without user namespaces.",
            ("use a distribution's kernel",),
        )
    if host.read("/proc/sys/user/max_user_namespaces") == "0":
        yield Finding(
            "user-namespaces",
            FAIL,
            "No user namespace may be made (user.max_user_namespaces is 0).",
            sysctl("user.max_user_namespaces", "15000"),
        )
    if host.uid and host.read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        yield Finding(
            "user-namespaces",
            FAIL,
            "Only root may make user namespaces (kernel.unprivileged_userns_clone is 0).",
            sysctl("kernel.unprivileged_userns_clone", "1"),
        )


def sysctl(name: str, value: str) -> tuple[str, ...]:
    return (f"echo '{name} = {value}' | sudo tee -a {SYSCTL_FILE}", f"sudo sysctl -p {SYSCTL_FILE}")


def apparmor(host: Host) -> Iterator[Finding]:
    """Ubuntu 23.10 and later: a new user namespace of an unlisted program has no capabilities in it.

    Seen as `setting up uid map: Permission denied` or `loopback: Failed RTM_NEWADDR`. From documentation; the profile
    has not been run on an Ubuntu machine by us.
    """
    if not host.uid or host.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") != "1":
        return
    if host.exists(PROFILE):
        yield Finding("apparmor", OK, f"AppArmor restricts user namespaces; {PROFILE} lets ours through.")
        return
    text = "abi <abi/4.0>,\\ninclude <tunables/global>\\n"
    for name, path in (("bot-bottle", host.python), ("bot-bottle-bwrap", host.bwrap)):
        text += f"profile {name} {path} flags=(unconfined) {{\\n  userns,\\n}}\\n"
    yield Finding(
        "apparmor",
        FAIL,
        "Ubuntu's AppArmor takes the rights from new user namespaces "
        "(kernel.apparmor_restrict_unprivileged_userns is 1).",
        (f"printf '{text}' | sudo tee {PROFILE}", f"sudo apparmor_parser -r {PROFILE}"),
    )


def container(host: Host) -> Iterator[Finding]:
    """Inside a container a bottle needs what the engine's default filter and masked paths forbid."""
    kind = container_kind(host)
    if kind:
        yield Finding(
            "container", WARN, f"This is a {kind} container; bottles need its engine's leave to start.", leave(kind)
        )


def container_kind(host: Host) -> str:
    if host.exists("/run/.containerenv"):
        return "podman"
    if host.exists("/.dockerenv"):
        return "docker"
    groups = host.read("/proc/1/cgroup") + host.read("/proc/self/mountinfo").partition("\n")[0]
    for word, kind in (("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("lxc", "lxc")):
        if word in groups:
            return kind
    return ""


def leave(kind: str) -> tuple[str, ...]:
    """How the container must have been started."""
    return {
        "docker": ("docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined ...",),
        "podman": ("podman run --security-opt seccomp=unconfined --security-opt unmask=ALL ...",),
        "kubernetes": ("set securityContext: {seccompProfile: {type: Unconfined}, procMount: Unmasked} in the pod",),
        "lxc": ("lxc config set NAME security.nesting true",),
    }.get(kind, ())


def subordinate_ids(host: Host) -> Iterator[Finding]:
    """D16: what an ordinary user shares with the bottle, because it has one uid only."""
    if host.uid == 0:
        yield Finding("own-uid", OK, "Each bottle runs under a user id of its own that nobody owns.")
        return
    yield Finding(
        "own-uid",
        WARN,
        "Bottles run under your own user id: a hostile agent can use up your epoll watches and descriptors "
        "in flight, so other programs of yours may stall until it ends; files stay separate.",
        ("sudo bot-bottle ...   # as root each bottle has a user id of its own",),
    )


def groups(host: Host) -> Iterator[Finding]:
    """An ordinary user's supplementary groups stay in force inside; they count only for what is mounted."""
    powerful = sorted(set(host.groups) & set(POWERFUL_GROUPS))
    if host.uid and powerful:
        names = ", ".join(powerful)
        mend = (
            f"newgrp {host.user or 'users'}   # a shell without them",
            "mount no file of these groups into a bottle",
        )
        yield Finding(
            "groups", WARN, f"Your groups {names} stay in force in a bottle for every file that it sees.", mend
        )
    else:
        yield Finding("groups", OK, "No powerful supplementary group.")


def descriptors(host: Host) -> Iterator[Finding]:
    """D16: a bottle gets a quarter of our hard limit."""
    for line in host.read("/proc/self/limits").splitlines():
        if line.startswith("Max open files"):
            hard = line.split()[4]
            if hard.isdigit() and int(hard) < 4096:
                what = f"At most {hard} open files; a bottle gets a quarter of that, too few for Node.js."
                mend = f"echo '{host.user or '*'} hard nofile 65536' | sudo tee {LIMITS_FILE}"
                yield Finding("descriptors", WARN, what, (mend,))
            else:
                yield Finding("descriptors", OK, f"{hard} open files; a bottle gets at most a quarter.")


def killed_first(host: Host) -> Iterator[Finding]:
    """S12: only with CAP_SYS_RESOURCE is the helper's oom_score_adj a floor for the agent."""
    for line in host.read("/proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1
            can = "cannot change that" if held else "can step back to our own place (no CAP_SYS_RESOURCE)"
            yield Finding("oom", OK, f"Where memory runs out, bottles are killed first; an agent {can}.")


def although_it_starts(finding: Finding) -> Finding:
    """What a bottle that really started says about a finding: nothing that it names stops us here."""
    if finding.name == "container":
        return Finding(finding.name, OK, finding.what.partition(";")[0] + ", and its engine lets bottles start.")
    return Finding(finding.name, WARN, finding.what, finding.mend) if finding.state == FAIL else finding


ALL = (kernel, user_namespaces, container, subordinate_ids, groups, descriptors, killed_first)


def run(host: Host) -> list[Finding]:
    """All findings about the host, in order."""
    return [finding for check in ALL for finding in check(host)]
