"""`bot-bottle doctor`: what this machine can do, what it lacks, and the exact command that mends each."""

import grp
import json
import os
import pwd
import sys

import click

from bot_bottle.bottles import limits, limits_cgroup
from bot_bottle.bottles.seal import checks, programs, trial
from bot_bottle.bottles.seal.checks import FAIL, OK, WARN, Finding, Host

MARKS = {OK: "ok  ", WARN: "warn", FAIL: "FAIL"}
CANNOT_START = 4


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Check this machine, really starting a bottle. Exit status 4 when no bottle can start."""
    findings = examine(this_host())
    starts = findings[-1].state == OK
    if as_json:
        rows = [{"name": f.name, "state": f.state, "what": f.what, "mend": list(f.mend)} for f in findings]
        click.echo(json.dumps({"bottles_start": starts, "findings": rows}))
    else:
        show(findings)
    context.exit(0 if starts else CANNOT_START)


def this_host() -> Host:
    """The machine and person that run us."""
    names = [group_name(number) for number in os.getgroups()]
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = ""
    return Host(user=user, groups=tuple(names), python=os.path.realpath(sys.executable))


def group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def examine(host: Host) -> list[Finding]:
    """All findings; the trial is the last, and the only one that decides."""
    found, tried = [*checks.run(host), *programs.run(), *held()], trial.bottle(host)
    return [*(checks.although_it_starts(f) if tried.state == OK else f for f in found), tried]


def held() -> list[Finding]:
    """How each limit of a bottle would hold here."""
    place = limits_cgroup.find()
    found = limits.capabilities(place)
    weak = [name for name in ("memory", "cpus") if found[name] != limits.ENFORCED]
    what = ", ".join(f"{name} {how}" for name, how in found.items())
    if not weak:
        return [Finding("limits", OK, f"Limits: {what}.")]
    mend = ("systemd-run --user --scope -p Delegate=yes -- bot-bottle start NAME",)
    return [Finding("limits", WARN, f"No control group can be made here. Limits: {what}.", mend)]


def show(findings: list[Finding]) -> None:
    for finding in findings:
        click.echo(f"{MARKS[finding.state]}  {finding.what}")
        for line in finding.mend if finding.state != OK else ():
            click.echo(f"        {line}")
    if findings[-1].state != OK:
        click.echo("No bottle starts on this machine.", err=True)
