"""A small strict SMTP server (RFC 5321) of the standard library: STARTTLS, AUTH PLAIN, what came."""

import base64
import re
import socket
import ssl
import threading
from dataclasses import dataclass, field

_FROM = re.compile(rb"MAIL FROM:<([^<>\s]*)>(?: [A-Z0-9=]+)*\Z", re.IGNORECASE)
_TO = re.compile(rb"RCPT TO:<([^<>\s]+)>\Z", re.IGNORECASE)


@dataclass
class Mail:
    """One message as it came; secure: over TLS; user: who signed in."""

    sender: str
    recipients: list[str]
    data: bytes
    secure: bool
    user: str


@dataclass
class SmtpServer:
    """password: asked for where it is set. refuse: recipients that are refused. context: for STARTTLS."""

    context: ssl.SSLContext | None = None
    password: str = ""
    refuse: tuple[str, ...] = ()
    mails: list[Mail] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(link,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, link: socket.socket) -> None:
        links = [link]
        try:
            self._talk(links)
        except (OSError, ssl.SSLError):
            pass
        except AssertionError as error:
            self.faults.append(str(error))
        finally:
            for one in links:
                one.close()

    def _talk(self, links: list[socket.socket]) -> None:
        link = links[0]
        secure, user, sender = False, "", ""
        recipients: list[str] = []
        stream = link.makefile("rb")
        link.sendall(b"220 test\r\n")
        while line := stream.readline(4096):
            assert line.endswith(b"\r\n"), line
            assert b"\r" not in line[:-2], line
            word = line[:4].upper()
            if word == b"EHLO":
                more = b"250-STARTTLS\r\n" if self.context and not secure else b""
                link.sendall(b"250-test\r\n" + more + b"250 AUTH PLAIN\r\n")
            elif word == b"STAR":
                assert self.context is not None
                link.sendall(b"220 go\r\n")
                stream.close()
                link = self.context.wrap_socket(link, server_side=True)
                links.append(link)
                stream, secure = link.makefile("rb"), True
            elif word == b"AUTH":
                _, name, given = base64.b64decode(line.split()[2]).split(b"\0")
                if given.decode() != self.password:
                    link.sendall(b"535 no\r\n")
                    continue
                user = name.decode()
                link.sendall(b"235 yes\r\n")
            elif match := _FROM.match(line[:-2]):
                sender = match[1].decode()
                recipients = []
                link.sendall(b"250 ok\r\n")
            elif match := _TO.match(line[:-2]):
                if match[1].decode() in self.refuse:
                    link.sendall(b"550 unknown\r\n")
                    continue
                recipients.append(match[1].decode())
                link.sendall(b"250 ok\r\n")
            elif word == b"DATA":
                link.sendall(b"354 go\r\n")
                data = b""
                while (one := stream.readline(4096)) not in (b".\r\n", b""):
                    assert one.endswith(b"\r\n"), one
                    data += one[1:] if one.startswith(b"..") else one
                self.mails.append(Mail(sender, recipients, data, secure, user))
                link.sendall(b"250 kept\r\n")
            elif word == b"RSET":
                link.sendall(b"250 ok\r\n")
            elif word == b"QUIT":
                link.sendall(b"221 bye\r\n")
                return
            else:
                raise AssertionError(f"not SMTP: {line!r}")

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
