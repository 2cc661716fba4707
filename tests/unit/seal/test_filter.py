"""The filter's tables for both architectures, by interpreting the program: the other one cannot run here."""

import struct

import pytest

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.seal import seccomp
from bot_bottle.bottles.seal.seccomp_table import ABSENT, ARCHITECTURES, EXAMINED, MODES, OPENS, REFUSED

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
MACHINES = list(ARCHITECTURES)


def verdict(machine: str, number: int, *args: int, architecture: int = 0) -> str | int:
    """ok, kill, or the error that the filter answers."""
    program = seccomp.program(machine)
    code = [struct.unpack_from("HBBI", program, at) for at in range(0, len(program), 8)]
    padded = [*args, *[0] * (6 - len(args))]
    data = struct.pack(
        "<IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *(a & (1 << 64) - 1 for a in padded)
    )
    at = accumulator = 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        if operation == seccomp.RET:
            return {seccomp.ALLOW: "ok", seccomp.KILL: "kill"}.get(k, k & 0xFFFF)
        if operation == seccomp.LOAD:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif operation == seccomp.MASK:
            accumulator &= k
        else:
            tests = {seccomp.JEQ: accumulator == k, seccomp.JGT: accumulator > k, seccomp.JSET: bool(accumulator & k)}
            at += if_true if tests[operation] else if_false


def number(machine: str, call: str) -> int:
    side = MACHINES.index(machine)
    found = EXAMINED[call][side]
    assert found is not None
    return found


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "args", "expected"),
    [
        ("socket", (1, 1, 0), "ok"), ("socket", (2, 0x80801, 6), "ok"), ("socket", (10, 2, 17), "ok"),
        ("socket", (2, 1, 262), EPERM), ("socket", (2, 3, 0), EPERM), ("socket", (2, 2, 1), EPERM),
        ("socket", (40, 1, 0), EAFNOSUPPORT), ("socket", (1 << 32 | 40, 1, 0), EAFNOSUPPORT),
        ("socket", (16, 3, 0), "ok"), ("socket", (16, 3, 4), EPERM), ("socketpair", (1, 1, 0), "ok"),
        ("socketpair", (30, 1, 0), EAFNOSUPPORT), ("clone", (0x11,), "ok"), ("clone", (0x3D0F00,), "ok"),
        ("clone", (0x10000011,), EPERM), ("clone", (0x02000011,), EPERM), ("ioctl", (0, 0x5412), EPERM),
        ("ioctl", (0, 0x100005412), EPERM), ("ioctl", (0, 0x541C), EPERM), ("ioctl", (0, 0x5401), "ok"),
        ("ptrace", (16, 1), EPERM), ("ptrace", (16, 7), "ok"), ("pidfd_open", (1,), EPERM),
        ("pidfd_open", (1 << 32 | 1,), EPERM), ("process_vm_readv", (1,), EPERM), ("process_vm_writev", (1,), EPERM),
        ("personality", (0xFFFFFFFF,), "ok"), ("personality", (8,), EPERM),
    ],
)  # fmt: skip
def test_s01_s07_s09_d15_arguments(machine: str, call: str, args: tuple[int, ...], expected: str | int) -> None:
    assert verdict(machine, number(machine, call), *args) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_s02_s09_every_listed_call_is_refused(machine: str) -> None:
    side = MACHINES.index(machine)
    for table, errno in ((ABSENT, ENOSYS), (REFUSED, EPERM)):
        for call, pair in table.items():
            found = pair[side]
            assert found is None or verdict(machine, found) == errno, call


@pytest.mark.parametrize("machine", MACHINES)
def test_s03_modes_with_a_set_id_bit_are_refused(machine: str) -> None:
    side = MACHINES.index(machine)
    for call, (pair, argument) in MODES.items():
        if (found := pair[side]) is None:
            continue
        for mode, expected in ((0o4755, EPERM), (0o2755, EPERM), (0o1777, "ok"), (0o644, "ok")):
            args = [0] * 6
            args[argument] = mode
            assert verdict(machine, found, *args) == expected, call
    for call, (pair, flags, argument) in OPENS.items():
        if (found := pair[side]) is None:
            continue
        for bits, mode, expected in ((0o101, 0o4755, EPERM), (0o101, 0o644, "ok"), (0, 0o4755, "ok")):
            args = [0] * 6
            args[flags], args[argument] = bits, mode
            assert verdict(machine, found, *args) == expected, call


@pytest.mark.parametrize("machine", MACHINES)
def test_s09_unknown_numbers_and_other_architectures(machine: str) -> None:
    read = 63 if machine == "aarch64" else 0
    assert verdict(machine, read) == "ok"
    assert verdict(machine, 468) == verdict(machine, 0x40000000 + read) == ENOSYS
    assert verdict(machine, read, architecture=0x40000003) == "kill"


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(HostFault, match="riscv64"):
        seccomp.program("riscv64")


def test_the_program_fits_the_kernels_limit() -> None:
    assert all(len(seccomp.program(machine)) // 8 < 4096 for machine in MACHINES)
