"""Learned routes: what they cover of runs that were held out, what they let through besides; and `policy replay`.

usage: learning.py [REQUESTS]      default 1,000,000. Goals: >= 95 % covered while <= 1 % of 300 requests that must stay
denied are allowed; replay of 1,000,000 records < 60 s. Peer: the exact requests of the other runs as an allowlist, and
every host of the other runs as a whole.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def table(head: str, rows: list[tuple[object, ...]]) -> None:
    print(f"| {head} |\n|{'---|' * len(rows[0])}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    print()


def main() -> None:
    measure: Any = importlib.import_module("bench.learn.measure")
    million: Any = importlib.import_module("bench.learn.replay_million")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    past = measure.corpus()
    found, peers = measure.measure(), measure.peers()
    mixed, alone = found["mixed"], found["one harness left out"]
    print(
        f"{len({one.run for one in past})} recorded runs, {len(past)} requests without those to a model; load {os.getloadavg()[0]:.1f}.\n"
    )
    table(
        "learned from | held-out requests covered | of the 300 allowed, worst fold | rules",
        [
            ("32 of 40 runs, five folds", f"{100 * mixed['covered']:.1f} %", mixed["must-deny allowed, worst fold"], mixed["paths"]),
            ("4 of 5 harnesses, five folds", f"{100 * alone['covered']:.1f} %", alone["must-deny allowed, worst fold"], alone["paths"]),
            *((name, f"{100 * row['covered']:.1f} %", row["allowed"], row["rules"]) for name, row in peers.items()),
        ],
    )  # fmt: skip
    print(
        "Tasks repeat in form from run to run, never in a package, page, id or hash; a form never seen is not covered.\n"
    )
    replay = million.run(count)
    table(
        "policy replay | seconds",
        [("wall", replay["replay, wall s"]), ("CPU", replay["replay, CPU s"])],
    )
    table(
        "goal | measured | met",
        [
            (">= 95 % of held-out requests covered", f"{100 * mixed['covered']:.1f} %", yes(mixed["covered"] >= 0.95)),
            ("<= 1 % of 300 allowed", mixed["must-deny allowed, worst fold"], yes(mixed["must-deny allowed, worst fold"] <= 3)),
            (f"replay of {count:,} requests ({replay['log lines']:,} records) < 60 s", f"{replay['replay, wall s']} s", yes(replay["replay, wall s"] < 60)),
        ],
    )  # fmt: skip


def yes(holds: bool) -> str:
    return "yes" if holds else "no"


if __name__ == "__main__":
    main()
