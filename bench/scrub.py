"""The reply scrubber: speed by chunk size against its goals, and leaks in random chunkings.

usage: scrub.py [CHUNKINGS]      default 100,000. Goals: >= 200 MB/s at 16 KB, <= 15 us per 64-byte event, 0 leaks.
Baseline in the same run: the same text through bytes.find for one secret, the least that any scrubber does.
"""

import base64
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from urllib.parse import quote

from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SIZES = (64, 1400, 16384, 65536)
SHAPES = ("sk-ant-api03-{93}", "sk-{48}", "ghp_{36}", "AIza{35}")


def invented(rnd: random.Random, count: int) -> dict[str, tuple[bytes, bytes]]:
    """Name -> (secret, placeholder), in the vendors' formats."""
    made: dict[str, tuple[bytes, bytes]] = {}
    for number in range(count):
        prefix, length = SHAPES[number % len(SHAPES)].rstrip("}").split("{")
        value, other = ("".join(rnd.choice(LETTERS) for _ in range(int(length))) for _ in range(2))
        made[f"secret-{number}"] = ((prefix + value).encode(), (prefix + other).encode())
    return made


def compiled(secrets: dict[str, tuple[bytes, bytes]]) -> Scrubber:
    return Scrubber(
        [needle for name, (value, lookalike) in secrets.items() for needle in needles(name, value, lookalike)]
    )


def text(rnd: random.Random, size: int) -> bytes:
    """JSON like that of model and forge APIs: words, numbers, base64 digests."""
    words = ["the", "request", "token", "sk-", "content", "delta", "function", "return", "authorization", "key"]
    lines: list[bytes] = []
    total = 0
    while total < size:
        record = {
            "id": rnd.randrange(10**9),
            "text": " ".join(rnd.choice(words) for _ in range(30)),
            "digest": base64.b64encode(rnd.randbytes(32)).decode(),
        }
        lines.append(json.dumps(record).encode() + b"\n")
        total += len(lines[-1])
    return b"".join(lines)


def per_chunk(feed: Callable[[bytes], object], chunks: list[bytes]) -> float:
    """Microseconds of CPU per chunk, the median of five passes."""
    passes: list[float] = []
    for _ in range(5):
        started = time.thread_time()
        for chunk in chunks:
            feed(chunk)
        passes.append((time.thread_time() - started) / len(chunks) * 1e6)
    return statistics.median(passes)


def speed(rnd: random.Random, scrubber: Scrubber, secret: bytes) -> dict[int, float]:
    """Prints the table; MB/s or microseconds by chunk size."""
    body = text(rnd, 16_000_000)
    print("| chunk | us per chunk | MB/s | bytes.find of one secret, MB/s |\n|---|---|---|---|")
    took: dict[int, float] = {}
    for size in SIZES:
        chunks = [body[at : at + size] for at in range(0, min(len(body), size * 20_000), size)]
        took[size] = per_chunk(scrubber.stream().feed, chunks)
        least = per_chunk(lambda chunk: chunk.find(secret), chunks)
        print(f"| {size} | {took[size]:.2f} | {size / took[size]:.0f} | {size / least:.0f} |")
    return took


def event_cost(rnd: random.Random, scrubber: Scrubber) -> float:
    """Microseconds per event of about 64 bytes, whose values are joined over the stream."""
    words = ("the", "request", "token", "sk-", "content", "delta", "function", "return", "key")
    made = [
        b'data: {"delta":{"text":" %b"},"index":%d}\n\n' % (rnd.choice(words).encode(), at) for at in range(20_000)
    ]
    return per_chunk(scrubber.stream().feed, made)


def echoed(rnd: random.Random, value: bytes) -> bytes:
    """The secret as some upstream may send it back, within other text."""
    pair = rnd.randbytes(rnd.randrange(5)) + value + rnd.randbytes(rnd.randrange(5))
    forms = (
        value, value.hex().encode(), value.hex().upper().encode(), quote(value, safe="").encode(),
        base64.b64encode(pair), base64.urlsafe_b64encode(pair), json.dumps(value.decode()).encode(),
        b"".join(b"%%%02X" % byte for byte in value),
    )  # fmt: skip
    return rnd.choice(forms)


def leaks(rnd: random.Random, secrets: dict[str, tuple[bytes, bytes]], scrubber: Scrubber, count: int) -> None:
    """Sends echoes in random pieces and looks for any whole form in what came out. Prints leaks and bytes held."""
    values = [value for value, _ in secrets.values()]
    finds = [needle.find for name, pair in secrets.items() for needle in needles(name, *pair)]
    held: list[int] = []
    leaked = missed = 0
    for _ in range(count):
        first, second = rnd.choice(values), rnd.choice(values)
        body = b" ".join((b'{"a": "sk-', echoed(rnd, first), first[: rnd.randrange(len(first))], echoed(rnd, second)))
        stream, out, at = scrubber.stream(), [], 0
        while at < len(body):
            size = rnd.randrange(1, 21)
            out.append(stream.feed(body[at : at + size]))
            held.append(stream.held)
            at += size
        result = b"".join((*out, stream.finish()))
        leaked += any(find in result for find in finds)
        missed += not stream.hits
    print(f"\n{count:,} random chunkings (1 to 20 bytes): {leaked} leaks, {missed} without a hit, ", end="")
    print(f"at most {max(held)} bytes held (longest needle {scrubber.longest}).")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rnd = random.Random(20261125)
    secrets = invented(rnd, 20)
    started = time.thread_time()
    scrubber = compiled(secrets)
    build = (time.thread_time() - started) * 1e3
    amount = len({needle.find for name, pair in secrets.items() for needle in needles(name, *pair)})
    print(f"20 secrets, {amount} needles, compiled in {build:.1f} ms, load {os.getloadavg()[0]:.1f}.\n")
    took = speed(rnd, scrubber, next(iter(secrets.values()))[0])
    event = event_cost(rnd, scrubber)
    leaks(rnd, secrets, scrubber, count)
    print("\n| goal | measured | met |\n|---|---|---|")
    rate = 16384 / took[16384]
    print(f"| >= 200 MB/s at 16 KB | {rate:.0f} | {'yes' if rate >= 200 else '**no**'} |")
    print(f"| <= 15 us per 64-byte event, in a row joined | {event:.2f} | {'yes' if event <= 15 else '**no**'} |")


if __name__ == "__main__":
    main()
