"""The starter of `serve`: holds no key and parses nothing that a browser sent. It starts web and the warm keeper,
again where one of them dies; does what web may not do itself; hosts notifiers, forwarders and retention
(serve_hosted).

Its own end is theirs: both see the end of their socket (D08).
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable

from bot_bottle.api import notifying
from bot_bottle.api.bottles import prepare
from bot_bottle.api.request import Request
from bot_bottle.api.settings import Settings, SettingsFault
from bot_bottle.api.warm import WarmKeeper
from bot_bottle.api.wiring import Host
from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.bottles import control
from bot_bottle.bottles.reap import reap, settle
from bot_bottle.cli import serve_places
from bot_bottle.cli.serve_hosted import Hosted
from bot_bottle.cli.serve_places import Places
from bot_bottle.cli.serve_web import Answer, WebProcess, failed
from bot_bottle.keeper.vouching import vouched
from bot_bottle.web import addresses, messages
from bot_bottle.web.lanes import Lanes
from bot_bottle.web.messages import Errand, Question, Reply
from bot_bottle.web.wish import StartWish

_BACKOFF = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY = 60.0
_RENEW = 10 * 86400.0
_LANES = {"safe": 4, "reach": 8, "start": 8, "notice": 2, "rest": 8}


class Starter:
    """`begin`, then `serve` until `stop` is set, then `close`. say: one line for the person."""

    def __init__(self, host: Host, settings: Settings, places: Places, say: Callable[[str], None]) -> None:
        self._host = host
        self._settings = settings
        self._places = places
        self._say = say
        self._lanes = Lanes(_LANES)
        self._threads: list[threading.Thread] = []
        self._push_key = ""
        self.stop = threading.Event()
        self.warm = WarmKeeper(host)
        self._hosted = Hosted(host, self.warm, settings, lambda: self.link, say)
        self.web: WebProcess | None = None

    def begin(self) -> WebProcess:
        """All three processes are up when this returns. Raises BottleError where one is not."""
        self._seal()
        self._push_key = push_key(self._host, self._settings)
        self._start_web()
        self._hosted.begin()
        self._renewing()
        assert self.web is not None
        return self.web

    def serve(self) -> None:
        """Until `stop` is set: what dies is started again; logs of dead runs are sealed."""
        turn, failures, since = 0, 0, time.monotonic()
        while not self.stop.wait(0.2):
            turn += 1
            if turn % 5 == 0:
                with contextlib.suppress(BottleError, OSError):
                    self.warm.watch()
            if turn % 300 == 0:
                self._seal()
            if self.web is not None and not self.web.ended(0):
                failures = 0 if time.monotonic() - since > _STEADY else failures
                continue
            wait = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
            failures += 1
            self._say(f"The web process ended; it is started again in {wait:g} s.")
            if self.stop.wait(wait):
                return
            since = time.monotonic()
            self._again()

    def close(self) -> None:
        """All ends, in the order of dependence."""
        self.stop.set()
        if self.web is not None:
            self.web.close()
        self._lanes.close()
        self._hosted.close()
        for thread in self._threads:
            thread.join(5)
        self.warm.close()
        self._places.close()

    @property
    def link(self) -> str:
        """Address of the page for notices, without a key: what a phone reaches, where it does."""
        urls = self.web.urls if self.web is not None else ()
        away = self._settings.serve.public or next((url for url in urls if url.startswith("https://")), "")
        return f"{away or (addresses.local(urls) if urls else '')}/inbox"

    # ---- web

    def _start_web(self) -> None:
        certificate = serve_places.certificate(self.warm, self._host.home, self._places)
        begin = self._places.begin(self._host.home, certificate, self._push_key)
        self.web = WebProcess(begin, self._places.sockets, self._wish, self._say)

    def _again(self) -> None:
        try:
            if self.web is not None:
                self.web.close()
            self._start_web()
        except BottleError as error:
            self.web = None
            self._say(f"The web process cannot be started: {error}")

    def _wish(self, question: Question, reply: Answer) -> None:
        """In the lane of its kind: slow starts hold up no answer, and nothing holds up a kill."""

        def do() -> None:
            try:
                if isinstance(question, messages.ReachKeeper):
                    with control.dial_for_web(self._host.home, question.label) as sock:
                        reply(Reply(question.number), (sock.fileno(),))
                    return
                reply(self._done(question), ())
            except Exception as error:  # whatever it is, the page that waits is told
                reply(failed(question.number, error), ())

        with contextlib.suppress(RuntimeError):  # we are closing
            self._lanes.submit(lane(question), do)

    def _done(self, question: Errand) -> Reply:
        home, number = self._host.home, question.number
        match question:
            case messages.StartBottle(request=request):
                return Reply(number, start(self._host, request))
            case messages.AnswerEnded(answer=answer):
                said = vouched(answer)
                answered = self.warm.ask(lambda crew: crew.answer_ended(home, said))
                control.refresh_others(home)
                return Reply(number, answered=answered)
            case messages.RevokeEnded(revoke=revoke):
                ended = vouched(revoke)
                self.warm.ask(lambda crew: crew.revoke_ended(home, ended))
                control.refresh_others(home)
            case messages.Control(what=what, approver=approver, detail=detail):
                self.warm.ask(lambda crew: crew.note(home, what, approver, detail | {"via": "web"}))
            case messages.KillBottle(label=label):
                control.kill(home, label)
            case messages.TestNotice(notifier=notifier):
                return Reply(
                    number, notifying.test(home, self._hosted.settings, self._hosted.values, notifier, self.link)
                )
            case messages.ReadSettings():
                if self._hosted.fault is not None and not isinstance(self._hosted.fault, SettingsFault):
                    raise self._hosted.fault  # the file's own errors are found by whoever reads it
                return Reply(number, settings_text(home.settings))
        return Reply(number)

    # ---- what comes now and then

    def _renewing(self) -> None:
        """Every ten days the certificate is a new one."""

        def work() -> None:
            while not self.stop.wait(_RENEW):
                self._renew()

        if self._places.tls:
            self._threads.append(threading.Thread(target=work, name="certificate", daemon=True))
            self._threads[-1].start()

    def _renew(self) -> None:
        try:
            made = serve_places.certificate(self.warm, self._host.home, self._places)
        except (BottleError, OSError) as error:
            self._say(f"The certificate cannot be renewed: {error}")
            return
        if made is not None and self.web is not None:
            self.web.renew(made)

    def _seal(self) -> None:
        """Logs of runs whose keepers are dead, and the asks that they left."""
        home = self._host.home
        with contextlib.suppress(BottleError, OSError):
            orphans = reap(home)
            self.warm.ask(lambda crew: crew.recover(home, tuple(one.run for one in orphans)))
            settle(home, orphans)


def lane(question: Question) -> str:
    """Which of the lanes a question of web goes to."""
    match question:
        case messages.KillBottle():
            return "safe"
        case messages.ReachKeeper():
            return "reach"
        case messages.StartBottle():
            return "start"
        case messages.TestNotice():
            return "notice"
        case _:
            return "rest"


def start(host: Host, wish: StartWish) -> str:
    """Starts a bottle detached, as a page asked for it; its label. Nobody is at a terminal to be asked anything, and
    nothing is applied: what web sends has no word for it."""
    if not wish.prompt and not wish.argv:
        raise UsageFault("start.no-prompt", "A headless start needs a task.", "Give it one.")
    if wish.workspace and not os.path.isdir(wish.workspace):
        raise UsageFault("workspace.missing", f"There is no directory {wish.workspace}.", "Choose another.")
    request = Request(
        agent=wish.agent, bottles=wish.bottles, workspace=wish.workspace, argv=wish.argv, prompt=wish.prompt,
        model=wish.model, wall_clock=wish.wall_clock, label=wish.label,
        at_end="discard" if wish.at_end == "discard" else "keep",
    )  # fmt: skip
    return prepare(request, Host(host.environ)).detach()


def settings_text(path: str) -> str:
    """settings.toml as it is now; it names secrets, but holds none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except FileNotFoundError:
        return ""


def push_key(host: Host, settings: Settings) -> str:
    """The key that browsers need for Web Push; "" where no notifier is of that kind."""
    from bot_bottle.supervise.notify import push
    from bot_bottle.supervise.notify.registry import kind_of

    if not any(kind_of(one).name == push.KIND.name for one in settings.notifiers.values()):
        return ""
    return push.public_key(host.home.root)
