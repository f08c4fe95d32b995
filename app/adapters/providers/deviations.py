"""Where a provider's requests differ from OpenAI's, one named function each, only what its documentation says.

A function changes the top level of a request in place; the values are the client's own bytes. Fields that nobody
mentions go through as they came, and nothing that a client asked for is dropped here: a provider that cannot do it says
so with an error that names the field.
"""

from __future__ import annotations

from app.wire.request import Document


def max_tokens_by_its_old_name(document: Document) -> None:
    """`max_completion_tokens` → `max_tokens`, where a provider knows the old name only.

    https://api-docs.deepseek.com/api/create-chat-completion lists `max_tokens` alone, so under the new name the limit
    would be lost. A client that sends both means the new one.
    """
    if (limit := document.pop("max_completion_tokens", None)) is not None:
        document["max_tokens"] = limit
