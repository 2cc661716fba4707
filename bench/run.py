"""Runs the benchmarks and, with --write, keeps their output in docs/performance.md.

usage: scripts/bench [NAME ...] [--write]     NAME: scrub, log, bottle, gateway, hold, learning (default: all)
Each benchmark is a module bench/NAME.py that prints its own tables: ratios against a named peer of the same run.
"""

import datetime
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs/performance.md"
NAMES = ("scrub", "log", "bottle", "gateway", "hold", "approvals", "learning", "export", "inbox")
INTRO = """# Performance

The latest tables, with the command that made each. Ratios against a named peer in the same run are the facts; absolute
figures belong to the machine that is named. Nothing here is asserted in a test.
"""


def machine() -> str:
    """Processor, kernel and Python of this run."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "?",
    )
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    return f"{model}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}"


def sections(page: str) -> dict[str, str]:
    """Name -> section text of the page as it is."""
    parts = page.split("\n## ")[1:]
    return {part.split("\n", 1)[0].strip(): part.split("\n", 1)[1].strip() for part in parts}


def measure(name: str) -> str:
    """The benchmark's own output; it ends the whole run when it fails."""
    print(f"== {name}", flush=True)
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-I", str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if child.returncode:
        raise SystemExit(f"bench: {name} failed with {child.returncode}")
    return "".join(lines).strip()


def main() -> None:
    write = "--write" in sys.argv[1:]
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or list(NAMES)
    kept = sections(PAGE.read_text()) if PAGE.exists() else {}
    for name in names:
        output = measure(name)
        date = datetime.datetime.now(datetime.UTC).date()
        kept[name] = f"`scripts/bench {name} --write`, {date}, {machine()}\n\n{output}"
    if write:
        body = "".join(f"\n## {name}\n\n{kept[name]}\n" for name in dict.fromkeys((*NAMES, *kept)) if name in kept)
        PAGE.write_text(INTRO + body)


if __name__ == "__main__":
    main()
