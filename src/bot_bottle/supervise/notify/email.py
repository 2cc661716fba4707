"""E-mail by SMTP (TLS or STARTTLS, verified). Headers come from `email.message`, which refuses line ends (B73)."""

import re
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime
from typing import Literal

from bot_bottle.audit.sinks.model import SinkFault, value_of
from bot_bottle.audit.sinks.post import TIMEOUT, is_loopback, tls
from bot_bottle.supervise.notify.model import Notice, NotifierConfig, NotifierKind, Secrets

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+\Z")


class EmailConfig(NotifierConfig, kw_only=True, frozen=True, tag="email", tag_field="kind"):
    """host, port: of the server. security: `none` only for this machine. user, password_secret: to sign in."""

    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: str = ""
    password_secret: str = ""
    ca: str = ""


class EmailNotifier:
    """A connection per notice: they are rare."""

    def __init__(self, config: EmailConfig, secrets: Secrets) -> None:
        self._config = config
        self._password = value_of(secrets, config.password_secret) if config.password_secret else b""

    def send(self, notice: Notice) -> None:
        """Accepted by the server for every recipient."""
        try:
            with self._connected() as server:
                if self._config.user:
                    server.login(self._config.user, self._password.decode("utf-8", "replace").strip())
                refused = server.send_message(self.message(notice))
        except smtplib.SMTPAuthenticationError:
            raise SinkFault(f"{self._config.host} refuses the password.", "Check the secret.") from None
        except (OSError, smtplib.SMTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SinkFault(f"{self._config.host} does not take the mail: {why}.") from None
        if refused:
            raise SinkFault(f"{self._config.host} refuses {len(refused)} of the recipients.")

    def message(self, notice: Notice) -> EmailMessage:
        """Plain text. The id is the same for every try, so that a mailbox can show a repeat once."""
        message = EmailMessage(policy=SMTP)
        message["From"] = self._config.sender
        message["To"] = ", ".join(self._config.to)
        message["Subject"] = notice.title
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = f"<{notice.ident}@bot-bottle.invalid>"
        message["Auto-Submitted"] = "auto-generated"
        look = f"\n\nLook: {notice.link}" if notice.link else ""
        message.set_content(f"{notice.inert}{look}\n\nA mail decides nothing: answer on the page.\n")
        return message

    def _connected(self) -> smtplib.SMTP:
        config = self._config
        if config.security == "tls":
            return smtplib.SMTP_SSL(config.host, config.port, timeout=TIMEOUT, context=tls(config.ca))
        server = smtplib.SMTP(config.host, config.port, timeout=TIMEOUT)
        try:
            if config.security == "starttls":
                server.starttls(context=tls(config.ca))
        except (OSError, smtplib.SMTPException, ssl.SSLError):
            server.close()
            raise
        return server

    def close(self) -> None:
        """Nothing stays open."""


def open_email(config: EmailConfig, secrets: Secrets, _home: str) -> EmailNotifier:
    """The notifier of a config that has no problems."""
    return EmailNotifier(config, secrets)


def problems(config: EmailConfig) -> list[tuple[str, str]]:
    """Addresses, and a connection in clear to another machine."""
    found = [("sender", "is no address")] if not _ADDRESS.match(config.sender) else []
    if not config.to or not all(_ADDRESS.match(one) for one in config.to):
        found.append(("to", "is no list of addresses"))
    if config.security == "none" and not is_loopback(config.host):
        found.append(("security", "none is for this machine only: use tls or starttls"))
    if bool(config.user) != bool(config.password_secret):
        found.append(("user", "and password_secret belong together"))
    if not re.fullmatch(r"[A-Za-z0-9.:-]+", config.host):
        found.append(("host", "is no host"))
    return found


KIND = NotifierKind("email", "E-mail by SMTP.", EmailConfig, open_email, problems)
