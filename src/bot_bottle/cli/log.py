"""`bot-bottle log`: read, search, export, verify and prove the record. Exit code 7 when a log is bad (D17).

Everything that a stranger wrote goes through `base.text.visible` before a person sees it (B73).
"""

import os
import sys
import time
from collections import deque
from collections.abc import Iterable

import click
import msgspec

from bot_bottle.audit import filters, keys, proof
from bot_bottle.audit.encode import decode
from bot_bottle.audit.index import Index, Query
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.verify import verify
from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import locate
from bot_bottle.base.sizes import duration
from bot_bottle.base.text import visible
from bot_bottle.cli.log_check import check_own, directory_of, remember, reports_of
from bot_bottle.cli.log_export import command as export_command
from bot_bottle.cli.log_forward import forward, sinks
from bot_bottle.cli.log_purge import hold, holds, purge
from bot_bottle.cli.log_text import one_line, report_lines

BAD = 7

_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
_log = click.argument("log", required=False, default="")


@click.group(name="log")
def command() -> None:
    """Read, search, verify and export the record. LOG is a run id, a label (its newest run) or `host`."""


for verb in (export_command, forward, sinks, purge, hold, holds):
    command.add_command(verb)


@command.command()
@_log
@click.option("-f", "--follow", is_flag=True, help="Go on with what is appended.")
@click.option("-n", "--lines", default=20, show_default=True, type=click.IntRange(0), help="Records to begin with.")
@_json
def tail(log: str, follow: bool, lines: int, as_json: bool) -> None:
    """Show the newest records of LOG."""
    directory, _ = directory_of(locate(os.environ), log)
    reader = LogReader(directory)
    newest = deque(((at, line) for start, batch in reader.batches() for at, line in enumerate(batch, start)), lines)
    _show(newest, as_json)
    while follow:
        time.sleep(0.2)
        for start, batch in reader.batches():
            _show(enumerate(batch, start), as_json)


def _show(numbered: Iterable[tuple[int, bytes]], as_json: bool) -> None:
    for number, line in numbered:
        click.echo(line.decode("ascii", "backslashreplace").rstrip("\n") if as_json else one_line(number, line))
    sys.stdout.flush()


@command.command()
@click.argument("words", nargs=-1)
@click.option("--host", default="", help="Exact host, or *.suffix.")
@click.option("--verdict", default=None, type=click.Choice(["allow", "ask", "deny"]), help="What the policy said.")
@click.option(
    "--kind", default=None, type=click.Choice(filters.KINDS), metavar="KIND",
    help="start, intent, outcome, denied, ...",
)  # fmt: skip
@click.option("--rule", default="", help="Rule id, bottle/name.")
@click.option("--bottle", default="", help="Name of the bottle file.")
@click.option("--run", "run", default="", help="One run id.")
@click.option("--since", default="", help="How far back, like 2h or 7d.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 100_000))
@_json
def search(
    words: tuple[str, ...],
    host: str,
    verdict: str | None,
    kind: str | None,
    rule: str,
    bottle: str,
    run: str,
    since: str,
    limit: int,
    as_json: bool,
) -> None:
    """Find records of all runs. The index is made from the logs and brought up to date first.

    WORDS are a filter as in the dashboard, like: 'host:*.example.org verdict:deny -method:GET since:1h "text"'
    (after -- where the first one begins with a hyphen). The index is for speed, not for proof, and `serve` writes it
    too: `log export all --filter ...` reads the signed logs themselves.
    """
    wanted = filters.parse(" ".join(words))
    home = locate(os.environ)
    index = Index(home.index)
    try:
        index.refresh(home)
        query = Query(host, verdict or "", kind or "", rule, bottle, run, "", _since(since), limit, wanted.terms)
        for hit in index.search(query):
            click.echo(_hit(hit.run, hit.number, hit.text) if as_json else one_line(hit.number, hit.text, hit.run))
    finally:
        index.close()


def _since(text: str) -> int:
    if not text:
        return 0
    try:
        return time.time_ns() - int(duration(text) * 1e9)
    except ValueError as error:
        raise UsageFault("log.since", f"{visible(text, 80)} is no duration.", f"{error}.") from None


def _hit(run: str, number: int, text: str) -> str:
    record = msgspec.Raw(text.encode())
    return msgspec.json.encode({"run": run, "number": number, "record": record}).decode()


@command.command()
@click.argument("log")
@click.argument("number", type=click.IntRange(0))
@_json
def show(log: str, number: int, as_json: bool) -> None:
    """Show record NUMBER of LOG in full."""
    directory, _ = directory_of(locate(os.environ), log)
    line = record_at(directory, number)
    if as_json:
        click.echo(line.decode("ascii", "backslashreplace").rstrip("\n"))
        return
    record = msgspec.to_builtins(decode(line))
    for name, value in record.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        click.echo(f"{name:<13} {visible(text, 4096)}")


def record_at(directory: str, number: int) -> bytes:
    """The line of one record. Raises UsageFault where there is none."""
    for start, batch in LogReader(directory, number).batches():
        if start <= number < start + len(batch):
            return batch[number - start]
        break
    raise UsageFault("log.no-record", f"The log has no record {number}.", "It was purged, or is not written yet.")


@command.command(name="verify")
@_log
@click.option("--against", default="", metavar="CHECKPOINT", help="A file kept earlier, or 'SIZE ROOT' of a summary.")
@click.option("--fingerprint", default="", help="The key to trust: SHA256:... (default: the one this home pinned).")
@click.option("--directory", default=None, type=click.Path(exists=True, file_okay=False), help="A log anywhere.")
@_json
def verify_(log: str, against: str, fingerprint: str, directory: str | None, as_json: bool) -> None:
    """Prove that LOG is what was signed; without LOG: the host log and every run. Exit code 7 when it is not."""
    home = locate(os.environ)
    fingerprint = fingerprint or keys.pinned(home.keys)
    memory = remember(against)
    if directory:
        reports = {directory: verify(directory, fingerprint, memory.notes, known=memory.heads)}
    else:
        reports = reports_of(home, log, fingerprint, memory)
    if as_json:
        document = {"ok": all(report.ok for report in reports.values()), "logs": reports}
        click.echo(msgspec.json.encode(document).decode())
    else:
        for name, report in reports.items():
            click.echo("\n".join(report_lines(name, report)))
    if not all(report.ok for report in reports.values()):
        click.get_current_context().exit(BAD)


@command.command(name="proof")
@click.argument("log")
@click.argument("number", type=click.IntRange(0))
@click.option("-o", "--output", default="-", type=click.Path(dir_okay=False), help="File instead of standard output.")
@_json
def proof_(log: str, number: int, output: str, as_json: bool) -> None:
    """Write the proof that record NUMBER is in LOG (C2SP tlog-proof; anybody can check it offline)."""
    home = locate(os.environ)
    directory, run = directory_of(home, log)
    line, made = record_at(directory, number), proof.prove(directory, number)
    check_own(home, directory, run, made, line)
    text = made.text
    if as_json:
        document = {"log": run, "number": number, "record": line.decode("ascii", "replace"), "proof": text.decode()}
        text = msgspec.json.encode(document) + b"\n"
    with click.open_file(output, "wb") as file:
        file.write(text)
