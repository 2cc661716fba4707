"""`bot-bottle list`: the bottles of this home."""

import time

import click

from bot_bottle.cli.options import AS_JSON


@click.command(name="list")
@AS_JSON
def command(as_json: bool) -> None:
    """List bottles: running, kept, and what killed runs left."""
    import msgspec

    from bot_bottle.api.bottles import bottles
    from bot_bottle.base.text import visible

    found = bottles()
    if as_json:
        rows = [
            {
                "label": one.held.label, "state": one.state, "agent": one.held.agent, "bottle": one.held.bottle,
                "harness": one.held.harness, "workspace": one.held.workspace, "run": one.held.run,
                "started": one.held.started // 1_000_000_000, "detached": one.held.detached, "log": one.held.log,
                "task": one.held.task, "project": one.held.workspace, "policy": one.held.policy,
            }
            for one in found
        ]  # fmt: skip
        print(msgspec.json.encode({"bottles": rows}).decode())
        return
    if not found:
        click.echo("No bottle runs here.", err=True)
        return
    width = max(len(one.held.label) for one in found)
    for one in found:
        age = _age(time.time() - one.held.started / 1e9)
        print(f"{one.held.label:<{width}}  {one.state:<8}  {age:>4}  {one.held.agent}  {visible(one.held.workspace)}")


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"
