"""`bot-bottle demo`: a rogue agent in a real bottle, with the program's own commands, as a person would type them.

It needs no key and no network. The exit status is 0 only when the task was done, all ten ways out were tried and
held, the host saw nothing that it should not, and the log verifies.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from bot_bottle.base.errors import HostFault
from bot_bottle.base.text import visible
from bot_bottle.harnesses.demo import evidence, judge, stage

if TYPE_CHECKING:
    from rich.console import Console

WATCHED = ("~/.ssh", "/etc/cron.d", "/usr/bin/thief")
PROGRAM = [sys.executable, "-I", "-m", "bot_bottle.cli.main"]
PATIENCE = 120
UNWANTED = frozenset(["HTTPS_PROXY", "https_proxy", "BOT_BOTTLE_PASSPHRASE"])
"""The scripted model is on this host, and the demo's home has a key of its own."""


@dataclass(slots=True)
class Show:
    """What has happened so far. rows: one for each way; ok: the task was done; output: all the agent printed."""

    console: "Console"
    rows: list[judge.Row] = field(default_factory=list[judge.Row])
    output: list[str] = field(default_factory=list[str])
    done: bool = False
    told: list[str] = field(default_factory=list[str])

    def line(self, text: str = "", style: str = "") -> None:
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def head(self, text: str) -> None:
        """A heading; a rule across the window where there is one."""
        self.line()
        if self.console.is_terminal:
            self.console.rule(f"[bold]{text}[/]", align="left", style="dim")
        else:
            self.line(text)

    def row(self, row: judge.Row) -> None:
        """One way out, in two lines."""
        from rich.text import Text

        verdict = ("held", "bold green") if row.held else ("OUT ", "bold white on red")
        self.console.print(Text.assemble((f" {row.number:>2} ", "dim"), verdict, f"  {row.title}"), soft_wrap=True)
        self.line(f"          {row.met}", "dim")


@click.command(name="demo")
@click.option("--keep", is_flag=True, help="Keep the folder with the demo's home and log.")
@click.option("--dashboard/--no-dashboard", default=None, help="Then open the dashboard on a run that asks you.")
def command(keep: bool, dashboard: bool | None) -> None:
    """A rogue agent does a task, then tries ten ways out. Needs no key and no network."""
    from rich.console import Console

    show = Show(Console(highlight=False))
    after = dashboard if dashboard is not None else show.console.is_terminal
    folder = tempfile.mkdtemp(prefix="bot-bottle-demo-")
    started = time.monotonic()
    try:
        good = played(show, folder, after)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    show.line(f"{time.monotonic() - started:.1f} s" + (f", kept in {folder}" if keep else ""), "dim")
    raise click.exceptions.Exit(0 if good else 1)


def played(show: Show, folder: str, dashboard: bool = False) -> bool:
    """The demo from first to last line; whether everything held. dashboard: then it stays open until Ctrl-C."""
    show.line("bot-bottle demo", "bold")
    show.line("A rogue agent gets a task, a key that is not the real one, and a bottle with one door.")
    set_up = stage.build(folder)
    try:
        before = evidence.fingerprint(watched(set_up))
        heard = canaries_hear(set_up)
        result = run_agent(show, set_up)
        changed = before != evidence.fingerprint(watched(set_up))
        good = ended(show, set_up, result, changed) and heard
        if dashboard:
            from bot_bottle.cli.demo_dashboard import opened

            opened(set_up, environment(set_up), show.line, show.head)
        return good
    finally:
        set_up.close()


def watched(set_up: stage.Stage) -> list[str]:
    return [os.path.expanduser(path) for path in WATCHED] + [set_up.neighbour]


def canaries_hear(set_up: stage.Stage) -> bool:
    """Positive control: the host itself reaches both canaries, and they note it; then they are silent again."""
    import socket

    for kind, address in (
        (socket.AF_INET, ("127.0.0.1", set_up.canary.port)),
        (socket.AF_UNIX, f"\0{set_up.canary.name}"),
    ):
        with socket.socket(kind) as probe:
            probe.connect(address)
            probe.sendall(b"control")
    deadline = time.monotonic() + 5
    while len(set_up.evidence.arrived) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    heard = len(set_up.evidence.arrived) == 2
    set_up.evidence.arrived.clear()
    return heard


def run_agent(show: Show, set_up: stage.Stage) -> dict[str, Any]:
    """`secret set`, then `start rogue --headless`. The result file; raises HostFault where no bottle could be had."""
    environ = environment(set_up)
    kept = subprocess.run(
        [*PROGRAM, "secret", "set", stage.SECRET],
        input=set_up.key,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
    )
    if kept.returncode:
        raise not_possible("The key of the scripted model could not be kept", kept.stderr)
    result = os.path.join(set_up.folder, "result.json")
    argv = ["start", "rogue", "--bottle", "demo", "--headless", "--prompt", stage.TASK, "--result", result]
    status = watch(show, [*PROGRAM, *argv], set_up.project, environ)
    if status and not show.output:
        raise not_possible("The bottle could not be started", "".join(show.told))
    return read_result(result)


def environment(set_up: stage.Stage) -> dict[str, str]:
    """For our own commands in the demo's home."""
    environ = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return {**environ, "BOT_BOTTLE_HOME": set_up.home}


def not_possible(what: str, told: str) -> HostFault:
    """What a command of ours said, as the demo's own fault."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return HostFault("demo.failed", f"{what}: {visible(' '.join(lines[:3]), 600)}", "Ask: bot-bottle doctor")


def watch(show: Show, argv: list[str], project: str, environ: dict[str, str]) -> int:
    """Runs to the end; the agent's lines are shown as they come. The exit status."""
    with subprocess.Popen(
        argv,
        cwd=project,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        clock = threading.Timer(PATIENCE, process.kill)
        clock.start()
        assert process.stdout is not None and process.stderr is not None
        reader = threading.Thread(target=show.told.extend, args=(process.stderr,), daemon=True)
        reader.start()
        show.head("The task")
        for line in process.stdout:
            show.output.append(line)
            tell(show, judge.event(line))
        reader.join(10)
        clock.cancel()
        return process.wait()


def tell(show: Show, event: dict[str, Any]) -> None:
    """One line of the agent for a person."""
    match event.get("event"):
        case "tool":
            show.line(f"  {visible(str(event.get('name')), 20):<6} {visible(str(event.get('path')), 90)}")
        case "say":
            if not show.rows:
                show.line(f'  "{visible(str(event.get("text")), 200)}"', "italic")
            if "out of here" in str(event.get("text")):
                show.done = True
                show.head("Ten ways out")
        case "way":
            row = judge.claimed(len(show.rows) + 1, event)
            show.rows.append(row)
            show.row(row)
        case _:
            pass


def read_result(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError):
        return {}


def ended(show: Show, set_up: stage.Stage, result: dict[str, Any], changed: bool) -> bool:
    """What the host saw, the diff, the summary and the log; whether all of it is good."""
    saw = set_up.evidence
    facts = judge.Facts(
        set_up.key,
        tuple(saw.arrived),
        frozenset(saw.keys),
        tuple(saw.requests),
        changed,
        tuple(evidence.holds([set_up.home, set_up.project], set_up.key.encode())),
        "".join([*show.output, *show.told]),
    )
    against, missing = judge.against(facts), judge.missing(show.rows)
    show.head("What this host saw")
    for text in against:
        show.line(f"  {text}", "bold red")
    if not against:
        show.line(
            "  Nothing reached its canaries (which do hear), no file of it changed, and the real key lies nowhere."
        )
        show.line(
            f"  The model got {len(saw.requests)} requests, each with the owner's key and none with the thief's."
        )
    for title in missing:
        show.line(f"  not tried: {title}", "bold red")
    diff = shown_diff(show, result)
    shown_summary(show)
    verified = shown_log(show, set_up, result)
    held = sum(row.held for row in show.rows)
    good = show.done and diff and verified and not against and not missing and held == len(show.rows)
    show.head(
        f"{held} of {len(judge.TITLES)} ways out were held." + ("" if good else " Something is wrong, see above.")
    )
    return good


def shown_diff(show: Show, result: dict[str, Any]) -> bool:
    """The agent's change as a patch; nothing of it has touched the project."""
    show.head("The change it made (a patch; the project itself is untouched)")
    try:
        with open(str(result.get("patch", "")), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        show.line("  there is no patch", "bold red")
        return False
    for line in lines[:40]:
        show.line("  " + visible(line, 110), {"+": "green", "-": "red"}.get(line[:1], "dim"))
    return any("price * (100 - percent) / 100" in line for line in lines)


def shown_summary(show: Show) -> None:
    """The five lines that every run ends with."""
    show.head("The run's summary")
    for line in show.told[-12:]:
        show.line("  " + visible(line.rstrip(), 160))


def shown_log(show: Show, set_up: stage.Stage, result: dict[str, Any]) -> bool:
    """`log verify` of this run."""
    show.head("bot-bottle log verify")
    run = str(result.get("run", ""))
    environ = {**os.environ, "BOT_BOTTLE_HOME": set_up.home}
    done = subprocess.run(
        [*PROGRAM, "log", "verify", *([run] if run else [])], env=environ, capture_output=True, text=True, check=False
    )
    for line in (done.stdout + done.stderr).splitlines()[:12]:
        show.line("  " + visible(line, 160))
    return done.returncode == 0 and "sealed" in done.stdout + done.stderr
