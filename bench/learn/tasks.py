"""Eight tasks that an agent does with a shell, each in five variants that share no package, page, id or hash."""

import hashlib
import uuid
from collections.abc import Callable

from bench.learn import upstream as up

_WORDS = (
    "amber", "basil", "cedar", "delta", "ember", "fable", "grove", "hazel", "ivory", "jolly", "karma", "lunar", "maple",
    "noble", "ocean", "pearl", "quartz", "river", "solar", "tulip", "umbra", "velvet", "willow", "xenon", "yarrow",
)  # fmt: skip
_PAGES = ("library", "howto", "reference", "tutorial", "faq")


_TAILS = ("", "-kit", "2", ".core", "-io-tools")


def _three(variant: int, step: int = 0) -> list[str]:
    """Three names of this variant, none like the other in its form; step: another task takes other forms."""
    return [f"{_WORDS[variant * 5 + n]}{_TAILS[(variant + step + n * 2) % 5]}" for n in range(3)]


def _sha(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _id(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, text))


def python_packages(variant: int) -> str:
    names = " ".join(_three(variant))
    flags = "--no-cache-dir --no-deps --disable-pip-version-check --no-compile"
    return f"python3 -m pip install {flags} --target deps --index-url https://{up.PYTHON}/simple {names}"


def node_packages(variant: int) -> str:
    one, two, three = _three(variant, 1)
    names = f"{one} {two} @acme/{three}"
    return f"npm install --no-fund --ignore-scripts --registry https://{up.NPM}/ --cache $PWD/.npm {names}"


def clone(variant: int) -> str:
    names = _three(variant, 2)[:2]
    return " && ".join(f"git clone -q https://{up.GIT}/acme/{name}.git dep-{name}" for name in names)


def documentation(variant: int) -> str:
    pages = [
        f"https://{up.DOCS}/3/{_PAGES[(variant + n) % 5]}/{_WORDS[variant * 5 + n % 5]}-{n}.html" for n in range(6)
    ]
    return "curl -sSf -o /dev/null " + " -o /dev/null ".join(pages)


def issue(variant: int) -> str:
    number, base = 100 + 37 * variant, f"https://{up.API}/repos/acme/shop"
    post = f'curl -sSf -X POST -d \'{{"body": "Looked at it."}}\' {base}/issues/{number}/comments'
    reads = [
        f"{base}/issues/{number}", f"'{base}/issues/{number}/comments?page=1'", f"{base}/commits/{_sha(str(variant))}",
        f"{base}/pulls/{number + 3}/files",
    ]  # fmt: skip
    return " && ".join([f"curl -sSf {url}" for url in reads] + [post])


def release(variant: int) -> str:
    names = _three(variant, 4)
    urls = [
        f"https://{up.RELEASES}/acme/{name}/releases/download/v{up.version(name)}/{name}-linux-x64.tar.gz"
        for name in names
    ]
    return " && ".join(f"curl -sSfL -o /dev/null {url}" for url in urls)


def staging(variant: int) -> str:
    base, orders = f"https://{up.STAGING}/v1/orders", [_id(f"{variant}-{n}") for n in range(3)]
    kind = "-H 'content-type: application/json'"
    steps = [f"curl -sSf '{base}?limit=5'", f"curl -sSf -X POST {kind} -d '{{\"n\": {variant}}}' {base}"]
    steps += [f"curl -sSf {base}/{one}" for one in orders]
    steps.append(f"curl -sSf -X PATCH {kind} -d '{{\"paid\": true}}' {base}/{orders[0]}")
    return " && ".join(steps)


def crates(variant: int) -> str:
    names = _three(variant, 3)
    steps = [f"curl -sSf https://{up.INDEX}/{name[:2]}/{name[2:4]}/{name}" for name in names]
    steps += [
        f"curl -sSf -o /dev/null https://{up.CRATES}/crates/{name}/{name}-{up.version(name)}.crate" for name in names
    ]
    return " && ".join(steps)


TASKS: tuple[tuple[str, Callable[[int], str]], ...] = (
    ("python-packages", python_packages), ("node-packages", node_packages), ("clone", clone),
    ("documentation", documentation), ("issue", issue), ("release", release), ("staging", staging), ("crates", crates),
)  # fmt: skip
