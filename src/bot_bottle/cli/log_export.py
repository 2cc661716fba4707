"""`bot-bottle log export`: records as files for other programs. Every format escapes what strangers wrote (B73)."""

import contextlib
import os
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO

import click

from bot_bottle.audit import filters
from bot_bottle.audit.entries import Entry, entries
from bot_bottle.audit.export import all_entries, wanted
from bot_bottle.audit.filters import Filter, Term
from bot_bottle.audit.formats.registry import FORMATS, format_of
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.text import visible
from bot_bottle.cli.log_check import directory_of

ALL = "all"
_EVERY = 20_000


@click.command(name="export")
@click.argument("log", required=False, default="")
@click.option("--format", "form", default="jsonl", show_default=True, type=click.Choice(list(FORMATS)))
@click.option("-o", "--output", default="-", type=click.Path(dir_okay=False), help="File instead of standard output.")
@click.option("--filter", "text", default="", help="As on the Log page: host:*.example.org verdict:deny since:7d ...")
@click.option(
    "--kind", multiple=True, type=click.Choice(filters.KINDS), metavar="KIND",
    help="Only this kind; may be given again.",
)  # fmt: skip
@click.option("--host", default="", help="Exact host, or *.suffix.")
@click.option("--verdict", default="", type=click.Choice(["", "allow", "ask", "deny"]), help="What the policy said.")
@click.option("--since", default="", help="How far back, like 2h or 7d.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
def command(
    log: str,
    form: str,
    output: str,
    text: str,
    kind: tuple[str, ...],
    host: str,
    verdict: str,
    since: str,
    as_json: bool,
) -> None:
    """Write the records of LOG (a run id, a label, `host` or `all`) in another format.

    ocsf: OCSF 1.9 events tied to the signed log; ocsf18 without that; cef, csv, numbered; parquet needs the extra
    analytics. With --output the file appears whole or not at all.
    """
    terms = [*filters.parse(text).terms, *(filters.parse(f"since:{since}").terms if since else ())]
    given = (("kind", kind), ("host", (host,)), ("verdict", (verdict,)))
    wish = Filter((*terms, *(Term(field, values) for field, values in given if any(values))))
    chosen = format_of("jsonl" if as_json else form)
    found = wanted(source(locate(os.environ), log), wish, time.time_ns())
    with opened(output) as file:
        chosen.write(_told(found, output), file)


def source(home: Home, log: str) -> Iterable[Entry]:
    """The entries of what a person named."""
    if log == ALL:
        return all_entries(home)
    directory, run = directory_of(home, log)
    return entries(directory, run)


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
