"""`bot-bottle log export`: records as files for other programs. Every format escapes what strangers wrote (B73)."""

import contextlib
import os
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO

import click

from bot_bottle.audit.entries import Entry, entries
from bot_bottle.audit.export import Wish, all_entries, wanted
from bot_bottle.audit.formats.registry import FORMATS, format_of
from bot_bottle.base.errors import HostFault, UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.sizes import duration
from bot_bottle.base.text import visible
from bot_bottle.cli.log_check import directory_of

ALL = "all"
_EVERY = 20_000


@click.command(name="export")
@click.argument("log", required=False, default="")
@click.option("--format", "form", default="jsonl", show_default=True, type=click.Choice(list(FORMATS)))
@click.option("-o", "--output", default="-", type=click.Path(dir_okay=False), help="File instead of standard output.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind; may be given again.")
@click.option("--host", default="", help="Exact host, or *.suffix.")
@click.option("--verdict", default="", type=click.Choice(["", "allow", "ask", "deny"]), help="What the policy said.")
@click.option("--rule", default="", help="Rule id, bottle/name.")
@click.option("--bottle", default="", help="Name of the bottle file.")
@click.option("--label", default="", help="Label of the bottle.")
@click.option("--agent", default="", help="Name of the agent.")
@click.option("--since", default="", help="How far back, like 2h or 7d.")
@click.option("--until", default="", help="Up to how long ago.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
def command(log: str, form: str, output: str, since: str, until: str, as_json: bool, **wishes: object) -> None:
    """Write the records of LOG (a run id, a label, `host` or `all`) in another format.

    ocsf: OCSF 1.9 events tied to the signed log; ocsf18 without that; cef, csv, numbered; parquet needs the extra
    analytics. With --output the file appears whole or not at all.
    """
    wish = Wish(since=ago(since, "--since"), until=ago(until, "--until"), **wishes)  # pyright: ignore[reportArgumentType]
    chosen = format_of("jsonl" if as_json else form)
    found = wanted(source(locate(os.environ), log), wish)
    with opened(output) as file:
        chosen.write(_told(found, output), file)


def source(home: Home, log: str) -> Iterable[Entry]:
    """The entries of what a person named."""
    if log == ALL:
        return all_entries(home)
    directory, run = directory_of(home, log)
    return entries(directory, run)


def ago(text: str, option: str) -> int:
    """Wall ns that lies a duration back; 0 for "". Raises UsageFault."""
    if not text:
        return 0
    try:
        return time.time_ns() - int(duration(text) * 1e9)
    except ValueError as error:
        what = f"{option}: {visible(text, 80)} is no duration."
        raise UsageFault("log.since", what, f"{error}.") from None


@contextlib.contextmanager
def opened(output: str) -> Generator[BinaryIO]:
    """Standard output, or a new file beside `output` that takes its place at the end (0600)."""
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    made = f"{output}.part-{os.getpid()}"
    try:
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            yield file
        os.replace(made, output)
    except OSError as error:
        what = f"{visible(output, 200)} cannot be written: {error.strerror}."
        raise HostFault("export.cannot-write", what, "Choose another file, or free space.") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)


def _told(found: Iterable[Entry], output: str) -> Iterator[Entry]:
    """The same entries; a person at a terminal sees how many have gone by."""
    shown = output != "-" and sys.stderr.isatty()
    count = 0
    for count, entry in enumerate(found, 1):
        if shown and count % _EVERY == 0:
            click.echo(f"\r{count} records", nl=False, err=True)
        yield entry
    if shown:
        click.echo(f"\r{count} records", err=True)
