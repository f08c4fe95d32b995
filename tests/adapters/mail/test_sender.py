"""Mail by SMTP: what the server gets, and that no password goes over a plain line."""

from __future__ import annotations

import asyncio
import smtplib
from email import message_from_bytes, policy

import pytest

from app.adapters.mail.sender import Sender
from app.base.secret import Secret


class Server:
    """Takes mail on this machine, without TLS."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.mails: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line.decode().strip()
            self.heard.append(word)
            if word.lower() == "data":
                writer.write(b"354 go on\r\n")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
            writer.write(b"221 bye\r\n" if word.lower() == "quit" else b"250 fine\r\n")
            await writer.drain()
            if word.lower() == "quit":
                break
        writer.close()


async def test_a_mail_arrives_as_it_was_written() -> None:
    server = Server()
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        sender = Sender(Secret(f"smtp://127.0.0.1:{port}"), "Hub <hub@example.com>")
        await sender.send("ada@example.com", "A new password", "Grüße\nhttps://hub.example.com/reset-password/abc\n")

    mail = message_from_bytes(server.mails[0], policy=policy.default)
    assert (mail["to"], mail["from"], mail["subject"]) == (
        "ada@example.com",
        "Hub <hub@example.com>",
        "A new password",
    )
    assert "Grüße" in mail.get_content() and "/reset-password/abc" in mail.get_content()


async def test_a_server_without_tls_is_not_told_the_password() -> None:
    server = Server()
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        sender = Sender(Secret(f"smtp://hub:opensesame@127.0.0.1:{port}"), "hub@example.com")
        with pytest.raises(smtplib.SMTPException):
            await sender.send("ada@example.com", "x", "y")

    assert server.mails == [] and not any("opensesame" in word or word.startswith("AUTH") for word in server.heard)
