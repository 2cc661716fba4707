"""`bot-bottle manifest`: check files, show one, print the schema. All problems at once, with file and line."""

import json
import os
from typing import Any

import click
import msgspec

from bot_bottle.base.errors import ManifestFault, Problem, UsageFault
from bot_bottle.base.home import locate
from bot_bottle.base.ids import is_name
from bot_bottle.bottles.header_matches import warnings
from bot_bottle.bottles.manifest_files import read_home
from bot_bottle.bottles.manifests import FoundAgent, Library, Listed
from bot_bottle.bottles.plan_text import route_text
from bot_bottle.bottles.planner import DEFAULT_LIMITS
from bot_bottle.bottles.policies import library
from bot_bottle.cli.completion import complete_manifest
from bot_bottle.cli.options import AS_JSON
from bot_bottle.policy import reference
from bot_bottle.policy.check import check_agent, check_bottle
from bot_bottle.policy.merge import Merged


@click.group(name="manifest")
def command() -> None:
    """Agent and bottle files: Markdown with YAML front matter."""


@command.command()
@click.argument("files", nargs=-1, shell_complete=complete_manifest)
@AS_JSON
def check(files: tuple[str, ...], as_json: bool) -> None:
    """Check FILES (or the names of some), or every file of the home and of this repository.

    Exit 3 when something is wrong.
    """
    every = [problem for one in shelf().check_all() for problem in one.problems] if not files else []
    problems = every + [problem for file in files for problem in check_file(file)]
    warned = [] if problems else [one for file in files or (None,) for one in warnings_of(file)]
    if as_json:
        found = {"problems": problems, "warnings": warned}
        click.echo(json.dumps({kind: [_plain(one) for one in rows] for kind, rows in found.items()}))
    else:
        for problem in problems:
            click.echo(str(problem), err=True)
        for warning in warned:
            click.echo(f"warning: {warning}", err=True)
        if not problems:
            names = " and ".join(files) or "Every manifest"
            click.echo(f"{names} {'are' if len(files) > 1 else 'is'} in order.", err=True)
    if problems:
        raise click.exceptions.Exit(ManifestFault.exit_code)


@command.command()
@click.argument("kind", type=click.Choice(sorted(reference.KINDS)), default="bottle")
@click.option("--markdown", is_flag=True, help="The reference text instead of JSON Schema.")
def schema(kind: str, markdown: bool) -> None:
    """Print the JSON Schema of the front matter of bottle (default) or agent files."""
    click.echo(reference.reference() if markdown else json.dumps(reference.json_schema(kind), indent=2))


@command.command(name="list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List every agent and bottle, and which of them have problems."""
    rows = [_row(one) for one in shelf().check_all()]
    if as_json:
        click.echo(json.dumps({"manifests": rows}))
        return
    for row in rows:
        click.echo(f"{row['kind']:<7} {row['name']:<24} {'in order' if row['ok'] else 'broken'}")


@command.command()
@click.argument("name", shell_complete=complete_manifest)
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """Show the agent or bottle NAME with all that it extends merged in."""
    found = found_manifest(shelf(), name)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), default=str))
        return
    for line in _bottle_lines(found) if isinstance(found, Merged) else _agent_lines(found):
        click.echo(line)


def shelf() -> Library:
    """Manifests as seen from the current directory."""
    return library(locate(os.environ), os.environ, os.getcwd())[0]


def check_file(file: str) -> list[Problem]:
    """The problems of one file; its folder says whether it is an agent or a bottle.

    What lies in the home is checked with all that it extends and names.
    """
    home = locate(os.environ)
    known = [os.path.join(folder, f"{file}.md") for folder in (home.bottles, home.agents)]
    named = next(
        (path for path in known if is_name(file) and not os.path.exists(file) and os.path.exists(path)), file
    )
    problems = _check_alone(named)
    path = os.path.abspath(named)
    if problems or path not in {os.path.join(f, os.path.basename(path)) for f in (home.bottles, home.agents)}:
        return problems
    kind = "bottle" if os.path.dirname(path) == home.bottles else "agent"
    name = os.path.basename(path).removesuffix(".md")
    return [one for row in shelf().check_all() if (row.name, row.source) == (name, kind) for one in row.problems]


def warnings_of(file: str | None) -> list[Problem]:
    """What is in order and yet perhaps not meant: of one bottle file, or of every bottle. Agents have none."""
    known = shelf()
    if file is None or (is_name(file) and not os.path.exists(file)):
        names = known.bottle_names() if file is None else [file] if file in known.bottle_names() else []
        return [one for name in names for one in warnings(known.bottle(name))]
    raw = read_home(os.path.abspath(file))
    if raw is None or os.path.basename(os.path.dirname(os.path.abspath(file))) == "agents":
        return []
    return warnings(check_bottle(raw, os.path.basename(file).removesuffix(".md"), file))


def _check_alone(file: str) -> list[Problem]:
    path = os.path.abspath(file)
    folder = os.path.basename(os.path.dirname(path))
    name = os.path.basename(path).removesuffix(".md")
    try:
        raw = read_home(path)
        if raw is None:
            raise UsageFault("manifest.no-file", f"There is no file {file}.", "Check the path.")
        if folder == "agents":
            home = locate(os.environ).agents
            check_agent(raw, name, file, repository=os.path.dirname(path) != os.path.abspath(home))
        else:
            check_bottle(raw, name, file)
    except ManifestFault as fault:
        return fault.problems
    return []


def found_manifest(known: Library, name: str) -> Merged | FoundAgent:
    """A bottle of this name, else an agent. Raises UsageFault."""
    if name in known.bottle_names():
        return known.resolve([name])
    return known.agent(name)


def _row(one: Listed) -> dict[str, Any]:
    return {
        "kind": one.source,
        "name": one.name,
        "ok": not one.problems,
        "problems": [_plain(problem) for problem in one.problems],
    }


def _plain(problem: Problem) -> dict[str, Any]:
    return {
        "slug": problem.slug,
        "file": problem.file,
        "line": problem.line,
        "what": problem.what,
        "hint": problem.hint,
    }


def _bottle_lines(merged: Merged) -> list[str]:
    plain = msgspec.to_builtins(merged.bottle)
    lines = [f"merged: {' + '.join(merged.names)}"]
    lines += [f"{key}: {json.dumps(value)}" for key, value in plain.items() if key not in ("egress", "limits")]
    lines.append(f"limits: {_limits(plain.get('limits', {}))}")
    lines += [f"egress.{key}: {json.dumps(value)}" for key, value in plain.get("egress", {}).items()]
    return lines + [f"route {route.rule}: {route_text(route)}  [{route.origin}]" for route in merged.routes]


def _limits(said: dict[str, Any]) -> str:
    """What holds: our own values where the files say nothing."""
    ours = {name: value for name, value in DEFAULT_LIMITS.items() if name not in said}
    sizes = {name: f"{value // 10**9}GB" if name in ("memory", "disk") else value for name, value in ours.items()}
    default = f"  (by default: {', '.join(ours)})" if ours else ""
    return json.dumps({**said, **sizes}) + default


def _agent_lines(agent: FoundAgent) -> list[str]:
    lines = [
        f"{name}: {value}"
        for name in ("name", "source", "file", "digest", "harness", "model")
        if (value := getattr(agent, name))
    ]
    lines += [f"bottle: {', '.join(agent.bottles)}"] if agent.bottles else []
    lines += [f"skill: {skill.name} ({skill.source})" for skill in agent.skills]
    return [*lines, "", agent.prompt] if agent.prompt else lines
