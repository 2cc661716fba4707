"""`bot-bottle cleanup`: what killed runs left behind."""

import click

from bot_bottle.cli.options import AS_JSON


@click.command()
@AS_JSON
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """End, seal and remove what killed bottles left. Exit 7 where a log could not be sealed."""
    import msgspec

    from bot_bottle.api.bottles import cleanup

    done = cleanup()
    if as_json:
        print(msgspec.json.encode(done).decode())
    else:
        for label in done["labels"]:
            print(f"removed {label}")
        for label in done["kept"]:
            print(f"kept {label}: bot-bottle changes show {label}")
        for run in done["sealed"]:
            print(f"sealed {run}")
        for line in done["unsealed"]:
            click.echo(f"not sealed: {line}", err=True)
    context.exit(7 if done["unsealed"] else 0)
