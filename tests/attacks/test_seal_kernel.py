"""The kernel's surface: filter, capabilities, identity, terminal. Each with the attack that works without the defence."""

import os
import signal
from pathlib import Path

import pytest

from attacks.seal_run import ROOT, inside, no_filter, opened, running, without
from bot_bottle.bottles.seal import layout
from bot_bottle.bottles.seal.bottle import readable
from bot_bottle.bottles.seal.spec import Bind

pytestmark = pytest.mark.bottle
SPACES = layout.namespaces


def test_s02_s09_b57_io_uring_keys_bpf_mounts_and_namespaces_are_refused() -> None:
    assert opened(inside("kernel")) == set()
    with no_filter():
        control = inside("kernel")
    assert {"io_uring", "keyctl", "add_key", "userfaultfd", "personality"} <= opened(control)


def test_s09_b69_no_nested_user_namespace() -> None:
    """Two reasons: the filter, and bubblewrap's own count of namespaces."""
    sealed = inside("kernel")
    assert (sealed["unshare user"], sealed["clone user"], sealed["clone3"]) == ("EPERM", "EPERM", "ENOSYS")
    with no_filter():
        assert inside("kernel")["unshare user"] == "ENOSPC"
        with without(namespaces=lambda: [option for option in SPACES() if option != "--disable-userns"]):
            assert inside("kernel")["unshare user"] == "OPEN"


def test_s02_a_tracer_cannot_swap_the_call_after_the_filter() -> None:
    assert inside("trace_rewrite") == "ENOSYS"
    with no_filter():
        assert inside("trace_rewrite") != "ENOSYS"


def test_s09_a_debugger_still_works_on_own_children() -> None:
    assert inside("own_child_traced") == "OPEN"


def test_s09_calls_of_another_architecture_kill() -> None:
    assert inside("int80") == "SIGSYS"
    with no_filter():
        assert inside("int80") in ("OPEN", "SIGSEGV")  # SIGSEGV: this kernel has no 32-bit entry


def test_s03_no_capability_one_uid_and_no_new_privileges() -> None:
    sealed = inside("status")
    assert {name: value for name, value in sealed.items() if name.startswith("Cap") and int(value, 16)} == {}
    assert (sealed["NoNewPrivs"], sealed["Seccomp"], sealed["map"][2]) == ("1", "2", "1")
    assert sealed["uid"] != 0
    with without(namespaces=lambda: [*SPACES(), "--cap-add", "ALL"]):
        assert int(inside("status")["CapEff"], 16) != 0
    assert set(sealed["groups"]) <= ({sealed["uid"]} if ROOT else {*os.getgroups(), sealed["uid"], 65534})


def test_s03_as_root_the_agents_processes_belong_to_a_uid_that_nobody_owns() -> None:
    with running(("/bin/sleep", "30")) as run:
        uid = os.stat(f"/proc/{run.bottle.pid}").st_uid
    assert uid != 0
    assert (uid >= 0x70000000) == ROOT


def test_s03_kernel_settings_are_read_only() -> None:
    sealed = inside("sysctls")
    assert opened(sealed) == set()
    assert sealed["writable"] == "0"
    if ROOT:
        views = layout.kernel_views
        with without(kernel_views=lambda: views()[:2]):  # a fresh /proc alone
            assert inside("sysctls") != sealed


def test_s03_no_file_gets_a_set_id_bit(tmp_path: Path) -> None:
    """As root, files in the workspace stay root's outside: a set-uid one would be a way to root for others."""
    bind = Bind(str(tmp_path), "/work", writable=True)
    sealed = inside("set_id", cwd="/work", binds=(bind,))
    assert opened(sealed) == {"link"}
    assert [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o6000] == []
    with no_filter():
        control = inside("set_id", cwd="/work", binds=(bind,))
    assert {"chmod", "open", "creat", "openat2"} <= opened(control)
    owners = {path.stat().st_uid for path in tmp_path.iterdir() if path.stat().st_mode & 0o4000}
    assert owners == {os.getuid()}


def test_d15_s09_no_characters_are_pushed_into_the_terminal() -> None:
    sealed = inside("terminal", terminal=True)
    assert {sealed[name] for name in ("TIOCSTI", "TIOCSTI high bits", "TIOCLINUX", "TIOCSETD")} == {"EPERM"}
    assert sealed["own"] is True
    with no_filter():
        assert inside("terminal", terminal=True)["TIOCSTI"] == "OPEN"


def test_d15_the_agent_has_its_own_terminal_and_gets_its_own_control_c() -> None:
    script = "trap 'exit 7' INT; echo up; read line; sleep 20"
    with running(("/bin/sh", "-c", script), terminal=True) as run:
        master = run.bottle.stdio[0]
        text = b""
        while b"up" not in text:
            assert readable([master], 10)
            text += os.read(master, 100)
        os.write(master, b"\x03")
        assert run.bottle.wait(5) == 7


def test_d15_without_its_own_session_control_c_would_not_be_the_agents() -> None:
    script = ("/bin/sh", "-c", "echo up; exec cat")
    with without(own_terminal=lambda terminal: ()), running(script, terminal=True) as run:
        assert readable([run.bottle.stdio[0]], 10)
        os.write(run.bottle.stdio[0], b"\x03")
        assert run.bottle.wait(0.3) is None


def test_s09_default_signals_inside() -> None:
    """Python ignores SIGPIPE and an exec keeps that; a pager or `yes | head` would never end."""
    with running(("/bin/sh", "-c", "kill -PIPE $$; echo alive")) as run:
        assert run.bottle.wait(10) == 128 + signal.SIGPIPE
    with without(own_session=lambda terminal: os.setsid()), running(("/bin/sh", "-c", "kill -PIPE $$")) as run:
        assert run.bottle.wait(10) == 0
