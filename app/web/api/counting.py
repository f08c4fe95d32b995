"""Counting the tokens of a request without making a call of it: by the provider where it can, else by a guess."""

from __future__ import annotations

from collections.abc import Callable

from app.gateway.admission import find_model
from app.gateway.formats import upstream_endpoint
from app.web.api.visit import Visit
from app.wire import token_estimate
from app.wire.anthropic import client as anthropic
from app.wire.anthropic import endpoints as anthropic_endpoints
from app.wire.endpoint import Endpoint
from app.wire.faces import ConversationClient, Speaker
from app.wire.gemini import chat_client as gemini_chat
from app.wire.gemini import client as gemini
from app.wire.gemini import endpoints as gemini_endpoints
from app.wire.request import Request


async def answer_gemini(visit: Visit) -> None:
    """`:countTokens`.

    Raises:
        NotAuthenticated, NotFound, NotAllowed: as for a call.
        BadRequest: `param` names the field.
    """
    await answer(
        visit,
        endpoint=gemini_endpoints.COUNT_TOKENS,
        speaker=gemini,
        client=gemini_chat,
        counted=gemini.counted,
        written=gemini.token_count,
        field="totalTokens",
    )


async def answer_anthropic(visit: Visit) -> None:
    """`/v1/messages/count_tokens`.

    Raises:
        NotAuthenticated, NotFound, NotAllowed: as for a call.
        BadRequest: `param` names the field.
    """
    await answer(
        visit,
        endpoint=anthropic_endpoints.COUNT_TOKENS,
        speaker=anthropic,
        client=anthropic,
        counted=anthropic.counted,
        written=anthropic.token_count,
        field="input_tokens",
    )


async def answer(
    visit: Visit,
    *,
    endpoint: Endpoint,
    speaker: Speaker,
    client: ConversationClient,
    counted: Callable[[Request], Request],
    written: Callable[[int], bytes],
    field: str,
) -> None:
    """`counted` finds the request whose tokens are meant in the one that asks, `written` is the answer with their
    number, and `field` its name there, for the header that says that it is a guess."""
    caller = visit.caller()
    incoming = await visit.incoming()
    request = speaker.read(endpoint, incoming)
    model = find_model(visit.gateway.snapshots.current, caller, request.model)
    served = (upstream_endpoint(route.source.kind, endpoint, route.upstream_model) for route in model.routes)
    if any(name is not None for name in served):
        await visit.call(endpoint, speaker, incoming)
        return
    total = token_estimate.estimate(client.read_conversation(counted(request)))
    headers = [
        (b"content-type", b"application/json"),
        (b"x-hub-fidelity", b'emulated=("%s")' % field.encode()),
    ]
    await visit.door.answer(200, headers, written(total))
