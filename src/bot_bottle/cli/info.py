"""`bot-bottle info LABEL`: what the keeper of a running bottle knows."""

import click

from bot_bottle.cli.options import AS_JSON, OF_LABEL


@click.command()
@OF_LABEL
@AS_JSON
def command(label: str, as_json: bool) -> None:
    """Show one running bottle: policy, counters, confinement, record."""
    import msgspec

    from bot_bottle.api.bottles import info
    from bot_bottle.base.text import visible

    facts = info(label)
    if as_json:
        print(msgspec.json.encode(facts).decode())
        return
    identity, counters = facts.identity, facts.counters
    frozen = f"  FROZEN: {visible(facts.frozen)}" if facts.frozen else ""
    print(f"bottle     {identity.bottle}  agent {identity.agent}  run {identity.run}{frozen}")
    print(f"policy     {facts.policy}  revision {facts.revision}")
    print(f"gateway    {visible(facts.confinement)}  {counters.open_flows} open")
    failed = f"  {counters.failed} of the allowed failed" if counters.failed else ""
    told = (("allowed", counters.allowed), ("asked", counters.asked), ("denied", counters.denied))
    counted = "  ".join(f"{count} {name}" for name, count in told)
    print(f"requests   {counted}  {counters.limited} limited{failed}")
    for name, times in sorted(counters.secrets.items()):
        print(f"secret     {visible(name)} x{times}")
    print(f"record     {facts.log}  {facts.records} records")
