"""`policy test`, `policy diff` and `policy replay`: what a bottle file is worth before it is used."""

import json
import os
from collections.abc import Iterable, Iterator

import click
import msgspec

from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.text import many, visible
from bot_bottle.bottles import past
from bot_bottle.bottles.manifest_files import read_home
from bot_bottle.bottles.policies import library, policy_of
from bot_bottle.cli.completion import complete_agent, complete_bottle
from bot_bottle.cli.options import AS_JSON
from bot_bottle.policy import assertions
from bot_bottle.policy.decide import compile
from bot_bottle.policy.difference import Difference, difference
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.replay import Change, Replay, Tally

_agent = click.option(
    "--agent", default="", shell_complete=complete_agent, help="Agent or harness whose own routes are added."
)
_STEADY = (Change.SAME, Change.OTHER_RULE, Change.REFUSED, Change.NO_REQUEST)
_WORDS = {
    Change.SAME: "decided alike",
    Change.OTHER_RULE: "decided alike, by another rule",
    Change.GAINED: "would be allowed",
    Change.LOST: "would be denied",
    Change.ASKED: "would be asked about",
    Change.CLOSED: "were asked about, would be denied",
    Change.UNDECIDABLE: "undecidable",
    Change.REFUSED: "refused before any rule",
    Change.NO_REQUEST: "no requests",
}


def policy_named(text: str, agent: str) -> Policy:
    """The policy of a bottle name, of several joined by ``+``, or of a file (it has a slash or ends with .md)."""
    shelf, catalogue = library(locate(os.environ), os.environ, os.getcwd())
    if "/" not in text and not text.endswith(".md"):
        return policy_of(shelf, catalogue, tuple(text.split("+")), agent, os.environ)
    return policy_of(shelf.with_file(os.path.abspath(text)), catalogue, (_stem(text),), agent, os.environ)


@click.command()
@click.argument("bottles", nargs=-1, shell_complete=complete_bottle)
@click.option("--file", "file", default="", help="Assertions, instead of NAME.test.yaml beside the bottle.")
@_agent
@AS_JSON
def test(bottles: tuple[str, ...], file: str, agent: str, as_json: bool) -> None:
    """Check the assertions beside BOTTLES (all that have some, when none is named). Exit 1: one does not hold."""
    home = locate(os.environ)
    names = bottles or tuple(_with_assertions(home.bottles))
    if not names:
        raise UsageFault(
            "assertions.none",
            "No bottle has assertions.",
            f"Write {home.bottles}/NAME.test.yaml, with allow and deny.",
        )
    found = {name: _tested(name, file or f"{home.bottles}/{_stem(name)}.test.yaml", agent) for name in names}
    failed = sum(len(failures) for _, failures in found.values())
    if as_json:
        rows = {
            name: {"assertions": count, "failures": [msgspec.to_builtins(one) for one in failures]}
            for name, (count, failures) in found.items()
        }
        click.echo(json.dumps({"bottles": rows, "failed": failed}))
    else:
        for name, (count, failures) in found.items():
            click.echo(f"{name}: {count - len(failures)} of {many(count, 'assertion')} hold")
            for one in failures:
                click.echo(visible(f"  line {one.line}: {one.text}: {one.got}", 2000))
    raise click.exceptions.Exit(1 if failed else 0)


@click.command()
@click.argument("before", shell_complete=complete_bottle)
@click.argument("after", shell_complete=complete_bottle)
@_agent
@AS_JSON
def diff(before: str, after: str, agent: str, as_json: bool) -> None:
    """Say what is gained and lost by AFTER instead of BEFORE (bottle names, or files). Exit 1: they differ."""
    found = difference(policy_named(before, agent), policy_named(after, agent))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        for line in diff_lines(found):
            click.echo(visible(line, 2000))
    raise click.exceptions.Exit(1 if found != Difference((), (), ()) else 0)


@click.command()
@click.argument("candidate", shell_complete=complete_bottle)
@click.argument("runs", nargs=-1)
@click.option("--bottle", default="", shell_complete=complete_bottle, help="Only requests of this bottle.")
@_agent
@AS_JSON
def replay(candidate: str, runs: tuple[str, ...], bottle: str, agent: str, as_json: bool) -> None:
    """Ask CANDIDATE (a bottle name, or a file) about the requests of RUNS (all, when none is named).

    Undecidable: the log does not hold what the candidate would decide by. Exit 1: decisions change, or may.
    """
    home = locate(os.environ)
    one = Replay(compile(policy_named(candidate, agent)))
    one.take_all(line for line in past.lines(home, past.runs_of(home, runs)) if not bottle or line.bottle == bottle)
    tally = one.tally()
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(tally)))
    else:
        for line in replay_lines(tally):
            click.echo(visible(line, 2000))
    raise click.exceptions.Exit(1 if set(tally.counts) - set(_STEADY) else 0)


def diff_lines(found: Difference) -> list[str]:
    """The difference for a person."""
    if found == Difference((), (), ()):
        return ["No difference: every request is decided alike."]
    marks = (("+", found.gained), ("-", found.lost), ("~", found.changed))
    return [f"{mark} {text}" for mark, texts in marks for text in texts]


def replay_lines(tally: Tally, most: int = 50) -> list[str]:
    """The replay for a person: totals, then what changes, the most frequent first."""
    if not tally.counts:
        return ["No request is recorded."]
    lines = [f"{number:>8}  {_WORDS[change]}" for change, number in tally.counts.items()]
    for one in tally.groups[:most]:
        rule = f"  {one.rule}" if one.rule else ""
        why = f"  ({one.why})" if one.why else ""
        lines.append(
            f"{one.count:>8} x {one.change.value}: {one.method} {one.host}{one.path} was {one.was}{rule}{why}"
        )
    more = len(tally.groups) - most
    return [*lines, f"and {many(more, 'more group')}"] if more > 0 else lines


def require_tested(home: Home, names: Iterable[str], policy: Policy) -> None:
    """Raises UsageFault where an assertion beside one of these bottles does not hold under a policy."""
    for name in names:
        file = f"{home.bottles}/{name}.test.yaml"
        raw = read_home(file)
        failed = assertions.failures(compile(policy), assertions.read(raw, file)) if raw is not None else ()
        if failed:
            one, more = failed[0], len(failed) - 1
            what = f"{file}:{one.line}: {one.text}: {one.got}{f' (and {more} more)' if more else ''}."
            raise UsageFault("policy.test-failed", visible(what, 1000), "Mend the bottle file, or use --untested.")


def _tested(name: str, file: str, agent: str) -> tuple[int, tuple[assertions.Failure, ...]]:
    raw = read_home(file)
    if raw is None:
        raise UsageFault("assertions.none", f"There is no file {file}.", "It holds lists under allow, ask and deny.")
    read = assertions.read(raw, file)
    return len(read), assertions.failures(compile(policy_named(name, agent)), read)


def _with_assertions(folder: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    yield from (name.removesuffix(".test.yaml") for name in names if name.endswith(".test.yaml"))


def _stem(text: str) -> str:
    return os.path.basename(text).removesuffix(".md")
