"""`/v1/videos`: what became of the videos that were ordered there. The order itself is a call.

https://developers.openai.com/api/reference/resources/videos
"""

from __future__ import annotations

from urllib.parse import parse_qs

from app.base.errors import BadRequest, Conflict, NotFound
from app.domain.media import generations as rows
from app.domain.media.generations import Facts
from app.gateway import generations
from app.web.api import files
from app.web.api.visit import Visit
from app.wire.openai import videos_client
from app.wire.openai.videos_client import PREFIX

_MOST_LISTED = 100
_POLL_AFTER_MS = b"2000"


async def answer(visit: Visit) -> None:
    """One of them. A client that polls is told how soon to come again.

    Raises:
        NotFound: none of this team's.
    """
    facts = await _found(visit)
    headers = [(b"content-type", b"application/json")]
    if facts.state not in ("completed", "failed"):
        headers.append((b"openai-poll-after-ms", _POLL_AFTER_MS))
    await visit.door.answer(200, headers, videos_client.write_job(generations.job_of(facts)))


async def list_all(visit: Visit) -> None:
    """Those of the team, by pages.

    Raises:
        BadRequest
    """
    team_id = visit.caller().team_id
    asked = parse_qs(visit.query)
    limit, order, after = (asked.get(name, [None])[0] for name in ("limit", "order", "after"))
    if limit is not None and not (limit.isdigit() and 1 <= int(limit[:4]) <= _MOST_LISTED):
        raise BadRequest(f"The parameter limit must be a number from 1 to {_MOST_LISTED}.", param="limit")
    if order not in (None, "asc", "desc"):
        raise BadRequest("The parameter order must be asc or desc.", param="order")
    most = int(limit) if limit is not None else 20
    async with visit.gateway.shared.db.reading() as session:
        found = await rows.list_of_team(
            session,
            team_id,
            after=after.removeprefix(PREFIX) if after is not None else None,
            most=most + 1,
            is_newest_first=order != "asc",
        )
    jobs = [generations.job_of(facts) for facts in found[:most]]
    await visit.answer(videos_client.write_list(jobs, has_more=len(found) > most))


async def content(visit: Visit) -> None:
    """The video itself.

    Raises:
        NotFound: none of this team's, or its file's time is over, or another variant than the video.
        Conflict: it is not there yet.
    """
    facts = await _found(visit)
    variant = parse_qs(visit.query).get("variant", ["video"])[0]
    if variant != "video":
        raise NotFound("The hub keeps the video alone, no thumbnail and no spritesheet.", param="variant")
    if facts.state == "failed":
        raise NotFound("There is no video: its generation failed.", code="video_failed")
    if facts.state != "completed" or facts.file_id is None:
        raise Conflict("The video is not ready yet. Ask for it again when its status is completed.")
    file = await visit.gateway.shared.media.found(facts.file_id)
    if file is None:
        raise NotFound("The video has been deleted: its time is over.", code="file_not_found")
    await files.send(visit, file)


async def remove(visit: Visit) -> None:
    """Delete a video and what is known of it; the record of its call stays.

    Raises:
        NotFound: none of this team's.
        Conflict: its provider still works at it, and bills it.
    """
    facts = await _found(visit)
    if facts.state not in ("completed", "failed"):
        raise Conflict("The video is still being made. It can be deleted when that has ended.")
    media = visit.gateway.shared.media
    file = await media.found(facts.file_id) if facts.file_id is not None else None
    if file is not None:
        await media.remove(file)
    async with visit.gateway.shared.db.writing() as session:
        await rows.remove(session, facts.call_id)
    await visit.answer(videos_client.write_deleted(facts.call_id))


async def _found(visit: Visit) -> Facts:
    team_id, id_ = visit.caller().team_id, visit.variables["id"]
    async with visit.gateway.shared.db.reading() as session:
        facts = await rows.of_team(session, team_id, id_.removeprefix(PREFIX))
    if facts is None:
        raise NotFound(f"There is no video {id_[:60]}.", code="video_not_found")
    return facts
