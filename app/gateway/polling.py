"""Polling: asking providers for the jobs that they work at, and ending what has ended. See `generations.py` first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import structlog

from app.adapters.fetching.fetcher import FetchFailed, NotFetchable
from app.adapters.files.store import StoreFailed
from app.adapters.providers import addresses, failures
from app.adapters.providers.client import MAX_ERROR_BYTES, UpstreamAnswer
from app.adapters.providers.failures import Failure
from app.adapters.providers.kinds import ToSign
from app.base.clock import MICROSECONDS, now_us
from app.base.errors import AppError, ProviderFailed, ProviderTimedOut
from app.base.usage import NotAPartition, Usage, UsageSource
from app.base.writer import AlreadyThere, Refused
from app.domain.calls import handed_over
from app.domain.calls.handed_over import LateEnding
from app.domain.catalog.serving import Route, UsableCredential
from app.domain.media import generations
from app.domain.media.generations import Ended, Facts
from app.gateway.charging import late
from app.gateway.formats import FORMATS
from app.gateway.shared import Shared
from app.gateway.snapshot import SnapshotKeeper
from app.wire.answers import BrokenStream
from app.wire.openai.usage import reported_cost_nano
from app.wire.videos import Progress, VideoUpstream

TICK_SECONDS = 1.0
"""Between two looks for what is due."""
MIN_POLL_SECONDS = 2
MAX_POLL_SECONDS = 15
"""Between two questions for one job: the longer, the older it is."""
CLAIM_SECONDS = 30
"""So long others keep away from a job that is being asked for."""
DOWNLOAD_SECONDS = 240
MAX_SECONDS = 6 * 3600
"""A job that has not ended by then is given up."""
MAX_VIDEO_BYTES = 256 * 1024 * 1024
MOST_AT_ONCE = 6
"""Jobs that one process looks at together: each may hold a whole video in memory."""
_MAX_STATUS_BYTES = 1024 * 1024
_ASK_SECONDS = 20.0

_log = structlog.stdlib.get_logger(__name__)


async def run(shared: Shared, snapshots: SnapshotKeeper) -> None:
    """Ask for what is due, until cancelled. A long download does not hold up the other jobs."""
    looking: dict[asyncio.Task[None], Facts] = {}
    try:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            # Not cancelled in the middle: what was claimed has to be known, to be given back.
            claiming = asyncio.ensure_future(_claimed(shared, MOST_AT_ONCE - len(looking)))
            try:
                due = await asyncio.shield(claiming)
            except asyncio.CancelledError:
                await _give_back(shared, await claiming)
                raise
            for facts in due:
                task = asyncio.create_task(Job(shared, snapshots, facts).step())
                looking[task] = facts
                task.add_done_callback(looking.pop)
    finally:
        stopped = dict(looking)
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)
        await _give_back(shared, stopped.values())


async def _give_back(shared: Shared, claimed: Iterable[Facts]) -> None:
    """The hub stops: whoever comes next may ask at once."""
    with contextlib.suppress(Exception):  # else the claims run out
        for facts in claimed:
            async with shared.db.writing() as session:
                await generations.note(
                    session, facts.call_id, state="in_progress", progress=facts.progress, poll_after_us=now_us()
                )


async def _claimed(shared: Shared, most: int) -> list[Facts]:
    """What this process is to ask for now."""
    if most <= 0:
        return []
    try:
        async with shared.db.reading() as session:
            due = await generations.due(session, most)
        if not due:
            return []
        until_us = now_us() + CLAIM_SECONDS * MICROSECONDS
        async with shared.db.writing() as session:
            return [facts for facts in due if await generations.claim(session, facts, until_us)]
    except Exception as failure:  # a database that is away must not end the loop
        _log.warning("generations.not_polled", reason=type(failure).__name__)
        return []


class Job:
    """One look at one job."""

    def __init__(self, shared: Shared, snapshots: SnapshotKeeper, facts: Facts) -> None:
        self._shared = shared
        self._snapshots = snapshots
        self._facts = facts

    async def step(self) -> None:
        try:
            await self._step()
        except Exception:  # one job's fault is not the others'; its claim runs out and it is asked for again
            _log.exception("generation.failed_to_poll", call=self._facts.call_id)

    async def _step(self) -> None:
        facts = self._facts
        found = _route_of(self._snapshots, facts)
        upstream = FORMATS[facts.format].video_upstream if facts.format in FORMATS else None
        if now_us() - facts.created_us > MAX_SECONDS * MICROSECONDS:
            await self._fail(ProviderTimedOut(f"{facts.model} did not finish in {MAX_SECONDS // 3600} hours."))
            return
        if found is None or upstream is None:
            # The provider or its credential is switched off, perhaps for a moment.
            await self._later("in_progress", facts.progress)
            return
        route, credential = found
        progress = await self._ask(route, credential, upstream)
        if progress is None:
            return
        match progress.state:
            case "queued" | "in_progress":
                percent = max(facts.progress, min(99, max(0, progress.percent or 0)))
                await self._later(progress.state, percent)
            case "failed":
                secrets = tuple(credential.parts.values())
                report = bytes(progress.error) if progress.error is not None else b'{"message":"It gave no reason."}'
                failure = failures.from_error_inside(route.source.kind, report, secrets)
                await self._fail(failure.error, progress, route)
            case "completed":
                await self._complete(route, credential, progress)

    async def _ask(self, route: Route, credential: UsableCredential, upstream: VideoUpstream) -> Progress | None:
        """What the provider says; None where it says nothing usable and the job goes on, or has been ended."""
        path = upstream.progress_path(self._facts.job_id)
        if path is None:
            return upstream.read_progress(b"", self._facts.job_id)
        kind = route.source.kind
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                answer = await self._get(route, credential, path)
                try:
                    content = await answer.read(_MAX_STATUS_BYTES if answer.status < 300 else MAX_ERROR_BYTES)
                finally:
                    answer.close()
            if answer.status < 300:
                return upstream.read_progress(content, self._facts.job_id)
            secrets = tuple(credential.parts.values())
            failure = failures.from_answer(kind, answer.status, answer.headers, content, secrets)
        except failures.EXCEPTIONS as error:
            failure = failures.from_exception(kind, error)
        if _is_final(failure):
            await self._fail(failure.error, route=route)
        else:
            _log.warning("generation.not_asked", call=self._facts.call_id, reason=failure.code)
            await self._later(self._facts.state, self._facts.progress)
        return None

    async def _complete(self, route: Route, credential: UsableCredential, progress: Progress) -> None:
        facts, media = self._facts, self._shared.media
        async with self._shared.db.writing() as session:
            # From here on it takes longer than a claim lasts.
            until_us = now_us() + DOWNLOAD_SECONDS * MICROSECONDS
            await generations.note(session, facts.call_id, state="in_progress", progress=99, poll_after_us=until_us)
        try:
            async with asyncio.timeout(DOWNLOAD_SECONDS - 5):
                content, media_type = await self._download(route, credential, progress)
        except (*failures.EXCEPTIONS, FetchFailed) as failure:
            _log.warning("generation.not_downloaded", call=facts.call_id, reason=f"{failure}"[:200])
            await self._later("in_progress", 99)
            return
        except NotFetchable as reason:
            error = ProviderFailed(
                f"{facts.model} made the video, but its address {reason}.", code="provider_bad_answer"
            )
            await self._fail(error, progress, route, is_made=True)
            return
        try:
            file_id = await media.keep(content, media_type, team_id=facts.team_id, call_id=facts.call_id)
        except StoreFailed as failure:
            _log.error("generation.not_stored", call=facts.call_id, reason=str(failure)[:200])
            await self._later("in_progress", 99)
            return
        is_ours = await self._end(None, progress, route, file_id)
        if not is_ours:
            # Somebody else was quicker; what nobody links is swept when its time is over.
            _log.info("generation.ended_elsewhere", call=facts.call_id)

    async def _download(self, route: Route, credential: UsableCredential, progress: Progress) -> tuple[bytes, str]:
        if progress.path is None:
            assert progress.url is not None, "a video is somewhere"
            return await self._fetch(progress.url)
        answer = await self._get(route, credential, progress.path)
        try:
            location = answer.headers.get("Location")
            if 300 <= answer.status < 400 and location is not None:
                # To a place of storage, where the credential has no business.
                return await self._fetch(location)
            if answer.status >= 300:
                raise BrokenStream(f"status {answer.status} in place of a video")
            content = await answer.read(MAX_VIDEO_BYTES + 1)
        finally:
            answer.close()
        if len(content) > MAX_VIDEO_BYTES:
            raise NotFetchable("gives more than a video may be large")
        return content, _video_type(answer.headers.get("Content-Type", ""))

    async def _fetch(self, url: str) -> tuple[bytes, str]:
        content, said = await self._shared.fetcher.fetch(url, max_bytes=MAX_VIDEO_BYTES, seconds=DOWNLOAD_SECONDS - 10)
        return content, _video_type(said)

    async def _get(self, route: Route, credential: UsableCredential, path: str) -> UpstreamAnswer:
        """
        Raises:
            NotFetchable: an address at another server than the provider's, which must not get the credential.
        """
        source, kind = route.source, route.source.kind
        if path.startswith(("http://", "https://")):
            home = addresses.call_url(
                kind, source.base_url, "/v1beta/", model=route.upstream_model, region=source.region
            )
            if _origin(path) != _origin(home):
                raise NotFetchable("is at another server than its provider's")
            url = path
        else:
            url = addresses.call_url(kind, source.base_url, path, model=route.upstream_model, region=source.region)
        headers = dict(kind.extra_headers)
        kind.signing(headers, credential.parts, ToSign(method="GET", url=url, content=b"", region=source.region))
        return await self._shared.client.get(url, headers, connect_seconds=kind.deadlines.connect)

    async def _later(self, state: str, progress: int) -> None:
        age_seconds = (now_us() - self._facts.created_us) // MICROSECONDS
        wait_us = min(MAX_POLL_SECONDS * MICROSECONDS, MIN_POLL_SECONDS * MICROSECONDS + age_seconds * 100_000)
        async with self._shared.db.writing() as session:
            await generations.note(
                session, self._facts.call_id, state=state, progress=progress, poll_after_us=now_us() + wait_us
            )

    async def _fail(
        self,
        error: AppError,
        progress: Progress | None = None,
        route: Route | None = None,
        *,
        is_made: bool = False,
    ) -> None:
        await self._end(error, progress, route, None, is_made=is_made)

    async def _end(
        self,
        error: AppError | None,
        progress: Progress | None,
        route: Route | None,
        file_id: str | None,
        *,
        is_made: bool = False,
    ) -> bool:
        """End generation and call in one transaction; False where somebody else has."""
        facts = self._facts
        usage, source = Usage(), "none"
        if error is None or is_made:
            usage, source = _usage_of(facts, progress, route)
        report = progress.usage if progress is not None else None
        cost = None
        if report is not None and route is not None and route.source.kind.reported_cost is not None:
            cost = reported_cost_nano(report, route.source.kind.reported_cost)
        status = "succeeded" if error is None else "refused" if error.owner == "you" else "failed"
        priced = await late.price(self._shared, facts.call_id, usage, source, cost, is_made=source != "none")
        ending = LateEnding(
            status=status,
            total_us=now_us() - facts.created_us,
            finish_reason=None,
            error_code=error.code if error is not None else None,
            error_owner=error.owner if error is not None else None,
            error_text=error.sentence[:2000] if error is not None else None,
            usage_source=source,
            provider_cost_nano=cost,
            charged_as=priced.charged_as,
            cost_nano=priced.cost_nano,
            charge_nano=priced.charge_nano,
        )
        ended = Ended(
            state="completed" if error is None else "failed",
            progress=100 if error is None else facts.progress,
            seconds=usage.seconds or facts.seconds,
            file_id=file_id,
            error_code=ending.error_code,
            error_text=ending.error_text,
            ended_us=now_us(),
        )
        posting = self._shared.writer.post(
            generations.end(facts.call_id, ended),
            handed_over.end(facts.call_id, ending, usage),
            movement=priced.settle,
            must_take=True,
        )
        try:
            await posting.committed()
        except (Refused, AlreadyThere):
            return False
        provider = route.source.name if route is not None else "none"
        self._shared.metrics.call_ended(endpoint="videos", provider=provider, status=status, first_byte_us=None)
        _log.info(
            "generation.settled",
            call=facts.call_id,
            model=facts.model,
            provider=provider,
            status=status,
            seconds=usage.seconds,
            usage=source,
            error=ending.error_code,
        )
        return True


def _route_of(snapshots: SnapshotKeeper, facts: Facts) -> tuple[Route, UsableCredential] | None:
    """The deployment and the credential that the job was ordered with; no other one can see it."""
    for model in snapshots.current.models.values():
        for route in model.routes:
            if route.id == facts.deployment_id:
                for credential in route.source.credentials:
                    if credential.id == facts.credential_id:
                        return route, credential
    return None


def _usage_of(facts: Facts, progress: Progress | None, route: Route | None) -> tuple[Usage, UsageSource]:
    """Seconds as the provider says, else as they were asked for; tokens where it counts in those."""
    told = progress.seconds if progress is not None else None
    usage, source = Usage(), "counted"
    if progress is not None and progress.usage is not None and route is not None:
        try:
            usage = FORMATS[facts.format].read_usage(progress.usage, route.source.kind.usage, facts.format).believed()
            source = "provider"
        except NotAPartition as reason:
            _log.warning("usage.refused", call=facts.call_id, reason=str(reason))
    if told is not None:
        source = "provider"
    return Usage(output=usage.output, seconds=told if told is not None else facts.seconds, requests=1), source


def _is_final(failure: Failure) -> bool:
    """Whether asking again cannot help: the provider does not know the job, or calls the question wrong."""
    return failure.http_status in (404, 410) or not failure.is_retryable


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}".lower()


def _video_type(said: str) -> str:
    media_type = said.partition(";")[0].strip().lower()
    return media_type if media_type.startswith("video/") else "video/mp4"
