"""The command `bot-bottle`: loads each verb when it is asked for; the only place that turns errors into text.

D06: run from the console script, whose interpreter has no current directory on its path; `main` takes the directory
off the path where somebody used `python -m` all the same.
"""

import gc
import importlib
import os
import sys
from typing import Any

VERBS = {
    "start": "Start an agent in a bottle of its own.",
    "run": "Run a command in a bottle: its own output and exit code.",
    "exec": "Run another command in a running bottle.",
    "attach": "Attach this terminal to a detached bottle.",
    "forward": "Let this host connect to a port inside a bottle.",
    "list": "List bottles.",
    "info": "Show one bottle: policy, counters, log.",
    "logs": "Show the output of a detached bottle.",
    "stop": "End a bottle.",
    "freeze": "Stop all traffic and processes of a bottle.",
    "thaw": "Let a frozen bottle go on.",
    "cleanup": "Seal and remove what killed bottles left behind.",
    "serve": "The dashboard, for this machine and for a phone.",
    "supervise": "Answer what bottles ask: a live list with keys.",
    "approve": "Let a held request go.",
    "deny": "Refuse a held request.",
    "grants": "List what a yes permits; take one back.",
    "apply": "Apply a bottle's kept changes to the workspace.",
    "keep": "Keep a bottle's changes for later.",
    "discard": "Throw a bottle's kept changes away.",
    "changes": "Show a bottle's kept changes.",
    "token": "Make, list and end tokens of the API.",
    "device": "List and end browsers that may use the dashboard.",
    "init": "First steps: home, key, bottle file.",
    "edit": "Edit a bottle or agent file, checked on save.",
    "doctor": "Say what this machine can do, and how to mend it.",
    "demo": "A rogue agent tries ten ways out.",
    "manifest": "Check files, print their schema.",
    "policy": "Show and ask the policy without traffic.",
    "secret": "Set, list, test and remove secrets.",
    "log": "Read, search, verify and export the record.",
    "notify": "List and try what tells you that an ask waits.",
    "harness": "List, show, install and check harnesses.",
}
RARELY = (20_000, 20, 100)
_FILES = {
    "exec": ("execute", "command"),
    "apply": ("changes", "apply"),
    "keep": ("changes", "keep"),
    "discard": ("changes", "discard"),
    "deny": ("approve", "deny"),
}


def main() -> None:
    """Entry point of the console script. Exit codes: docs/reference/errors.md."""
    sys.path[:] = [entry for entry in sys.path if entry not in ("", os.curdir)]
    close_inherited()
    if sys.argv[1:] in (["--version"], ["-V"]):
        from bot_bottle import __version__

        print(f"bot-bottle {__version__}")
        raise SystemExit(0)
    gc.set_threshold(*RARELY)
    status = guarded()
    gc.freeze()  # nothing is looked through once more on the way out
    raise SystemExit(status)


def close_inherited() -> None:
    """D01: what our caller left open reaches no child of ours."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return
    for name in names:
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                pass


def ahead(words: list[str]) -> Any:
    """Keeper and gateway of a verb that needs them come up while we import and plan. None for all others."""
    if words[:1] not in (["run"], ["start"]) or {"-h", "--help"} & set(words):
        return None
    from bot_bottle.bottles.hatch import hatch

    return hatch()


def guarded() -> int:
    """Runs the command; every error becomes one or two lines and a documented exit code."""
    from bot_bottle.base.errors import BottleError

    try:
        hatched = ahead(sys.argv[1:])
    except BottleError as error:
        return told(error.what, error.hint, error.exit_code)
    except OSError as error:
        return told(*of_the_host(error))
    import click

    try:
        outcome: Any = group().main(prog_name="bot-bottle", standalone_mode=False, obj=hatched)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except BottleError as error:
        return told(error.what, error.hint, error.exit_code)
    except OSError as error:
        return told(*of_the_host(error))
    except Exception as error:
        return unexpected(error)


def told(what: str, hint: str, code: int) -> int:
    """The sentence and the next step, on standard error."""
    print(f"bot-bottle: {what}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    return code


def of_the_host(error: OSError) -> tuple[str, str, int]:
    """A full disk or a refused file in words."""
    import errno

    place = f" at {error.filename}" if error.filename else ""
    hints = {
        errno.ENOSPC: "Free some space, or set BOT_BOTTLE_HOME to another disk.",
        errno.EDQUOT: "Free some space, or set BOT_BOTTLE_HOME to another disk.",
        errno.EROFS: "Set BOT_BOTTLE_HOME to a directory that can be written.",
        errno.EACCES: "Check the owner and the mode of that file.",
        errno.EPERM: "Check the owner and the mode of that file.",
    }
    return f"{error.strerror or 'The system refused'}{place}.", hints.get(error.errno or 0, ""), 4


def unexpected(error: Exception) -> int:
    """A bug of ours: its class and place, never its values, which may hold a secret."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"
    return told(f"This is a bug in bot-bottle: {type(error).__name__} at {place}.", "Please report this line.", 70)


def group() -> Any:
    """The click group; a verb's module is imported when the verb is used or its help is asked for."""
    import click

    class Verbs(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
            return list(VERBS)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
            return load(cmd_name) if cmd_name in VERBS else None

        def resolve_command(
            self, ctx: click.Context, args: list[str]
        ) -> tuple[str | None, click.Command | None, list[str]]:
            from bot_bottle.policy.walk import nearest

            if args and args[0] not in VERBS and (hint := nearest(args[0], list(VERBS))):
                raise click.UsageError(f"No such command {args[0]!r} ({hint})", ctx)
            return super().resolve_command(ctx, args)

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
            with formatter.section("Commands"):
                formatter.write_dl(list(VERBS.items()))

    @click.group(cls=Verbs, name="bot-bottle", context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(package_name="bot-bottle", message="bot-bottle %(version)s")
    def bot_bottle() -> None:
        """Run coding agents that nobody trusts, and lose nothing when one turns bad."""

    return bot_bottle


def load(verb: str) -> Any:
    """The click command of a verb: `command` in cli/<verb>.py, or where `_FILES` says."""
    file, name = _FILES.get(verb, (verb, "command"))
    try:
        module = importlib.import_module(f"bot_bottle.cli.{file}")
    except ModuleNotFoundError as missing:
        if missing.name != f"bot_bottle.cli.{file}":
            raise
        return None
    return getattr(module, name)


if __name__ == "__main__":
    main()
