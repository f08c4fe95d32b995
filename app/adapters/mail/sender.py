"""Mail by SMTP. The library waits, so each message is sent in a thread."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from app.base.secret import Secret

SECONDS = 20.0


class Sender:
    """Sends through one server: `smtps://user:password@host`, or `smtp://…`, which goes over to TLS where the server
    can, and must before a password is said."""

    def __init__(self, url: Secret, sent_from: str) -> None:
        self._url, self._from = url, sent_from

    async def send(self, to: str, subject: str, text: str) -> None:
        """
        Raises:
            OSError: the server did not take it; `smtplib.SMTPException` is one.
        """
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._from, to, subject
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        await asyncio.to_thread(self._send, message)

    def _send(self, message: EmailMessage) -> None:
        parts = urlsplit(self._url.reveal())
        host, context = parts.hostname or "", ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 587, timeout=SECONDS)
        with server:
            if parts.scheme == "smtp":
                server.ehlo()
                if server.has_extn("starttls"):
                    server.starttls(context=context)
                elif parts.username:
                    raise smtplib.SMTPNotSupportedError("The server has no TLS, so it is not told the password.")
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
