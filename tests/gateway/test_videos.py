"""Videos: ordered at `/v1/videos`, made by any provider that films, asked for until they have ended, billed once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text, update

from app.base.clock import now_us
from app.domain.calls.models import Call
from app.domain.media import generations as rows
from app.domain.media.models import Generation
from app.gateway import generations, polling
from app.gateway.charging import recovery
from app.ops import jobs
from tests.emulators import films, media
from tests.emulators.pictures import running_pictures
from tests.emulators.studio import Pictures
from tests.hubs import RunningHub, until_given
from tests.media_hubs import OTHER_TEAM, running_media_hub

Json = dict[str, Any]

_KINDS = {
    "openai": ("sora-2", "sora-2-refuses"),
    "google": ("veo-3.1-generate-preview", "veo-refuses"),
    "doubao": ("doubao-seedance-2-0-260128", "doubao-seedance-refuses"),
    "xai": ("grok-imagine-video", "grok-refuses"),
    "poe": ("Veo-3.1",),
    "bedrock": ("amazon.nova-reel-v1:1",),
}
_FILMING = ("sora-2", "veo-3.1-generate-preview", "doubao-seedance-2-0-260128", "grok-imagine-video", "Veo-3.1")


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(generations, "FIRST_POLL_SECONDS", 0)
    monkeypatch.setattr(polling, "MIN_POLL_SECONDS", 0)
    monkeypatch.setattr(polling, "MAX_POLL_SECONDS", 0)


@pytest.fixture
async def pictures() -> AsyncIterator[Pictures]:
    async with running_pictures() as started:
        yield started


@pytest.fixture
async def hub(hub_environ: dict[str, str], pictures: Pictures) -> AsyncIterator[RunningHub]:
    async with running_media_hub(hub_environ, pictures, video=_KINDS) as started:
        yield started


async def _order(hub: RunningHub, model: str = "sora-2", **fields: Any) -> Json:
    answer = await hub.http.post("/v1/videos", json={"model": model, "prompt": "a door opens"} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _ended(hub: RunningHub, id_: str) -> Json:
    async def look() -> Json | None:
        job = (await hub.http.get(f"/v1/videos/{id_}")).raise_for_status().json()
        return job if job["status"] in ("completed", "failed") else None

    return await until_given(look, 10)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("model", _FILMING)
async def test_a_video_of_any_provider_is_made_kept_and_billed_once(hub: RunningHub, model: str) -> None:
    job = await _order(hub, model)
    assert (job["object"], job["status"], job["model"]) == ("video", "queued", model)

    job = await _ended(hub, job["id"])
    assert (job["status"], job["progress"], job["error"]) == ("completed", 100, None)
    content = await hub.http.get(f"/v1/videos/{job['id']}/content")
    assert (content.status_code, content.headers["content-type"]) == (200, "video/mp4")
    assert content.content[4:8] == b"ftyp"
    [call] = await hub.calls()
    assert (call.endpoint, call.status, call.requests, call.attempts) == ("videos", "succeeded", 1, 1)
    expected = {"sora-2": 4, "veo-3.1-generate-preview": 8, "doubao-seedance-2-0-260128": 5, "grok-imagine-video": 6}
    assert call.seconds == expected.get(model, 0) == int(job["seconds"])
    assert call.total_us is not None and call.upstream_id


@pytest.mark.databases("sqlite")
async def test_what_a_provider_reports_is_in_the_record(hub: RunningHub) -> None:
    await _ended(hub, (await _order(hub, "doubao-seedance-2-0-260128", seconds="7"))["id"])
    await _ended(hub, (await _order(hub, "grok-imagine-video", seconds=9))["id"])

    ark, xai = await hub.calls()
    assert (ark.seconds, ark.output, ark.usage_source) == (7, 108_900, "provider")
    # 10^10 ticks are a dollar.
    assert (xai.seconds, xai.provider_cost_nano, xai.usage_source) == (9, 300_000_000, "provider")


@pytest.mark.databases("sqlite")
async def test_each_provider_is_told_the_order_in_its_own_words(hub: RunningHub, pictures: Pictures) -> None:
    asked: dict[str, Json] = {}
    for model in _FILMING[:4]:
        answer = await hub.http.post(
            "/v1/videos",
            data={"model": model, "prompt": "a door opens", "seconds": "5", "size": "1280x720"},
            files={"input_reference": ("door.png", media.png("door"), "image/png")},
        )
        assert answer.status_code == 200, answer.text
        assert "emulated=(" in answer.headers.get("x-hub-fidelity", "emulated=(")
        asked[model] = list(pictures.jobs.values())[-1]["body"]

    sora = asked["sora-2"]
    assert (sora["seconds"], sora["size"], sora["input_reference"]["bytes"]) == ("8", "1280x720", media.png("door"))
    veo = asked["veo-3.1-generate-preview"]
    assert veo["parameters"] == {"aspectRatio": "16:9", "durationSeconds": 6, "resolution": "720p"}
    assert veo["instances"][0]["image"]["mimeType"] == "image/png"
    ark = asked["doubao-seedance-2-0-260128"]
    assert (ark["duration"], ark["ratio"], ark["resolution"], ark["watermark"]) == (5, "16:9", "720p", False)
    assert ark["content"][1]["role"] == "first_frame"
    xai = asked["grok-imagine-video"]
    assert (xai["duration"], xai["aspect_ratio"], xai["resolution"]) == (5, "16:9", "720p")
    assert xai["image"]["url"].startswith("data:image/png;base64,")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("model", ["sora-2-refuses", "veo-refuses", "doubao-seedance-refuses", "grok-refuses"])
async def test_a_generation_that_fails_says_why_and_costs_nothing(hub: RunningHub, model: str) -> None:
    job = await _ended(hub, (await _order(hub, model))["id"])

    assert job["status"] == "failed" and job["error"]["message"] and job["error"]["code"]
    [call] = await hub.calls()
    assert (call.status, call.seconds, call.requests, call.usage_source) == ("refused", 0, 0, "none")
    content = await hub.http.get(f"/v1/videos/{job['id']}/content")
    assert (content.status_code, content.json()["error"]["code"]) == (404, "video_failed")


async def test_a_restart_in_the_middle_loses_nothing_and_bills_once(
    hub_environ: dict[str, str], pictures: Pictures
) -> None:
    pictures.looks_needed = 1_000_000
    async with running_media_hub(hub_environ, pictures, video=_KINDS) as hub:
        job = await _order(hub, "doubao-seedance-2-0-260128")
        await until_given(lambda: _looked(pictures))
        async with hub.db.reading() as session:
            assert (await session.scalars(text("SELECT status FROM call"))).all() == ["running"]

    pictures.looks_needed = 1
    async with running_media_hub(hub_environ, pictures, video=_KINDS) as hub:
        ended = await _ended(hub, job["id"])
        [call] = await hub.calls()

    assert (ended["status"], call.status, call.seconds, call.requests) == ("completed", "succeeded", 5, 1)
    assert len(pictures.jobs) == 1


async def _looked(pictures: Pictures) -> bool:
    return any(job["looks"] for job in pictures.jobs.values())


async def test_the_job_that_ends_the_calls_of_dead_processes_leaves_a_generation_alone(
    hub: RunningHub, pictures: Pictures
) -> None:
    pictures.looks_needed = 1_000_000
    await _order(hub)
    async with hub.db.writing() as session:
        session.add(_orphan())

    # The hub's own job may have been quicker.
    await recovery.end_orphans(hub.db, hub.settings.data_dir)

    async with hub.db.reading() as session:
        rows = (await session.execute(text("SELECT endpoint, status FROM call ORDER BY endpoint"))).all()
    assert [tuple(row) for row in rows] == [("chat.completions", "interrupted"), ("videos", "running")]
    pictures.looks_needed = 1


def _orphan() -> Call:
    return Call(
        id="0" * 32,
        boot_id="dead",
        team_id="t",
        api_key_id="k",
        endpoint="chat.completions",
        model="m",
        is_streamed=False,
        status="running",
        started_us=now_us(),
    )


async def test_of_two_that_find_the_same_end_one_settles(hub: RunningHub, pictures: Pictures) -> None:
    pictures.looks_needed = 1_000_000
    job = await _order(hub)
    call_id = job["id"].removeprefix("video_")
    shared, snapshots = hub.gateway.shared, hub.gateway.snapshots
    async with hub.db.reading() as session:
        facts = await rows.of_team(session, (await _team(hub)), call_id)
    assert facts is not None
    pictures.looks_needed = 1

    both = [polling.Job(shared, snapshots, facts) for _ in range(2)]
    await asyncio.gather(*(one.step() for one in both))

    assert (await _ended(hub, job["id"]))["status"] == "completed"
    [call] = await hub.calls()
    assert (call.status, call.seconds) == ("succeeded", 4)


async def _team(hub: RunningHub) -> str:
    async with hub.db.reading() as session:
        return (await session.scalars(text("SELECT team_id FROM generation"))).one()


@pytest.mark.databases("sqlite")
async def test_a_provider_that_does_not_answer_for_a_while_is_asked_again(hub: RunningHub, pictures: Pictures) -> None:
    pictures.failing_looks = 3
    job = await _ended(hub, (await _order(hub))["id"])

    assert job["status"] == "completed"


@pytest.mark.databases("sqlite")
async def test_a_slow_download_does_not_hold_up_other_videos(hub: RunningHub, pictures: Pictures) -> None:
    pictures.is_giving.clear()
    slow = await _order(hub, "grok-imagine-video", prompt="a slow door")
    await until_given(lambda: _filmed(pictures))

    quick = await _ended(hub, (await _order(hub, "grok-imagine-video"))["id"])
    waiting = (await hub.http.get(f"/v1/videos/{slow['id']}")).json()
    pictures.is_giving.set()

    assert (quick["status"], waiting["status"]) == ("completed", "in_progress")
    assert (await _ended(hub, slow["id"]))["status"] == "completed"


async def _filmed(pictures: Pictures) -> bool:
    return bool(pictures.files)


@pytest.mark.databases("sqlite")
async def test_a_job_that_its_provider_has_forgotten_has_failed(hub: RunningHub, pictures: Pictures) -> None:
    pictures.looks_needed = 1_000_000
    order = await _order(hub)
    pictures.jobs.clear()

    job = await _ended(hub, order["id"])

    assert (job["status"], job["error"]["code"]) == ("failed", "provider_model_not_found")


async def test_a_job_that_never_ends_is_given_up(
    hub: RunningHub, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures.looks_needed = 1_000_000
    order = await _order(hub)
    monkeypatch.setattr(polling, "MAX_SECONDS", 0)

    job = await _ended(hub, order["id"])

    assert (job["status"], job["error"]["code"]) == ("failed", "provider_timeout")
    assert (await hub.last_call()).status == "failed"


async def test_a_generation_is_its_teams_own(hub: RunningHub) -> None:
    job = await _ended(hub, (await _order(hub))["id"])
    others = {"authorization": f"Bearer {OTHER_TEAM}"}

    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = await hub.http.request(method, f"/v1/videos/{job['id']}{path}", headers=others)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "video_not_found")
    assert (await hub.http.get("/v1/videos", headers=others)).json()["data"] == []
    assert (await hub.http.get(f"/v1/videos/{job['id']}")).status_code == 200


async def test_videos_are_listed_by_pages_and_deleted(hub: RunningHub) -> None:
    ids = [(await _ended(hub, (await _order(hub))["id"]))["id"] for _ in range(3)]

    first = (await hub.http.get("/v1/videos", params={"limit": 2})).json()
    second = (await hub.http.get("/v1/videos", params={"limit": 2, "after": first["last_id"]})).json()
    oldest = (await hub.http.get("/v1/videos", params={"order": "asc", "limit": 1})).json()

    assert [row["id"] for row in first["data"]] == [ids[2], ids[1]] and first["has_more"]
    assert [row["id"] for row in second["data"]] == [ids[0]] and not second["has_more"]
    assert oldest["data"][0]["id"] == ids[0]

    deleted = (await hub.http.delete(f"/v1/videos/{ids[0]}")).json()
    assert deleted == {"id": ids[0], "object": "video.deleted", "deleted": True}
    assert (await hub.http.get(f"/v1/videos/{ids[0]}/content")).status_code == 404
    # What it came to stays in the books.
    assert len(await hub.calls()) == 3
    async with hub.db.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM stored_file")) == 2


async def test_a_video_that_is_being_made_cannot_be_had_or_deleted(hub: RunningHub, pictures: Pictures) -> None:
    pictures.looks_needed = 1_000_000
    job = await _order(hub)

    content = await hub.http.get(f"/v1/videos/{job['id']}/content")
    deleted = await hub.http.delete(f"/v1/videos/{job['id']}")
    looked = await hub.http.get(f"/v1/videos/{job['id']}")

    assert (content.status_code, deleted.status_code) == (409, 409)
    assert looked.headers["openai-poll-after-ms"] == "2000"
    pictures.looks_needed = 1


async def test_an_order_that_no_provider_takes_is_no_generation(hub: RunningHub) -> None:
    answer = await hub.http.post("/v1/videos", json={"model": "amazon.nova-reel-v1:1", "prompt": "x"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_served")
    async with hub.db.reading() as session:
        states = (await session.scalars(text("SELECT state FROM generation"))).all()
    assert states == ["failed"]
    assert (await hub.last_call()).status == "failed"


async def test_an_order_that_died_with_its_process_is_ended_and_the_old_ones_are_forgotten(hub: RunningHub) -> None:
    first, second = [(await _ended(hub, (await _order(hub))["id"]))["id"] for _ in range(2)]
    async with hub.db.writing() as session:
        of = Generation.call_id
        await session.execute(update(Generation).where(of == first.removeprefix("video_")).values(expires_us=1))
        lost = update(Generation).where(of == second.removeprefix("video_"))
        await session.execute(lost.values(state="starting", created_us=1, file_id=None))

    assert await jobs.forget_generations(hub.db, hub.settings) == 2
    assert await jobs.forget_generations(hub.db, hub.settings) == 0

    assert (await hub.http.get(f"/v1/videos/{first}")).status_code == 404
    assert (await hub.http.get(f"/v1/videos/{second}")).json()["error"]["code"] == "hub_stopped"


@pytest.mark.databases("sqlite")
async def test_an_order_with_an_idempotency_key_is_one_generation(hub: RunningHub, pictures: Pictures) -> None:
    headers = {"idempotency-key": "once"}
    body = {"model": "sora-2", "prompt": "a door opens"}

    first = await hub.http.post("/v1/videos", json=body, headers=headers)
    again = await hub.http.post("/v1/videos", json=body, headers=headers)

    assert first.json()["id"] == again.json()["id"] and again.headers["x-hub-idempotent-replay"] == "true"
    assert len(pictures.jobs) == 1


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": 7}, "prompt"),
        ({"seconds": "soon"}, "seconds"),
        ({"size": "wide"}, "size"),
        ({"input_reference": {"file_id": "file-1"}}, "input_reference.file_id"),
    ],
)
async def test_what_is_wrong_in_an_order_is_named(hub: RunningHub, fields: Json, param: str) -> None:
    answer = await hub.http.post("/v1/videos", json={"model": "sora-2", "prompt": "x", **fields})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.databases("sqlite")
async def test_a_link_with_the_providers_key_goes_to_the_provider_alone(
    hub: RunningHub, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result address at another server gets no key."""

    def elsewhere(pictures: Pictures, name: str) -> Json:
        pictures.look(name)
        uri = f"http://localhost:{pictures.port}/google/v1beta/files/0.mp4:download"
        made = {"generatedSamples": [{"video": {"uri": uri}}]}
        return {"name": name, "done": True, "response": {"generateVideoResponse": made}}

    monkeypatch.setattr(films, "veo_operation", elsewhere)
    job = await _ended(hub, (await _order(hub, "veo-3.1-generate-preview"))["id"])

    assert (job["status"], job["error"]["code"]) == ("failed", "provider_bad_answer")
    assert not any(entry["path"].startswith("/google/v1beta/files") for entry in pictures.asked)


_AIGNE = {"input": {"prompt": "a door opens", "modelOptions": {"model": "sora-2"}, "outputFileType": "url"}}


@pytest.mark.databases("sqlite")
async def test_a_client_that_waits_gets_the_video_itself(hub: RunningHub) -> None:
    answer = await hub.http.post("/api/v2/video", json=_AIGNE)

    assert answer.status_code == 200, answer.text
    link = answer.json()["videos"][0]["url"]
    assert (await hub.http.get(link)).content[4:8] == b"ftyp"
    call = await hub.last_call()
    assert (call.endpoint, call.status, call.seconds) == ("aigne.video", "succeeded", 4)


@pytest.mark.databases("sqlite")
async def test_a_client_that_leaves_while_it_waits_finds_the_video_later(hub: RunningHub, pictures: Pictures) -> None:
    pictures.looks_needed = 1_000_000
    waiting = asyncio.create_task(hub.http.post("/api/v2/video", json=_AIGNE))
    await until_given(lambda: _looked(pictures))

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    pictures.looks_needed = 1

    call = await hub.last_call()
    assert (call.status, call.seconds) == ("succeeded", 4)
    content = await hub.http.get(f"/v1/videos/video_{call.id}/content")
    assert content.status_code == 200


@pytest.mark.databases("sqlite")
async def test_a_stop_of_the_hub_does_not_wait_for_who_waits(hub_environ: dict[str, str], pictures: Pictures) -> None:
    pictures.looks_needed = 1_000_000
    environ = hub_environ | {"HUB_INTERRUPT_GRACE_SECONDS": "0.1", "HUB_SHUTDOWN_GRACE_SECONDS": "0.1"}
    async with running_media_hub(environ, pictures, video=_KINDS) as hub:
        waiting = asyncio.create_task(hub.http.post("/api/v2/video", json=_AIGNE))
        await until_given(lambda: _looked(pictures))
        began = asyncio.get_running_loop().time()
        await hub.gateway.drain(0.1)
        took = asyncio.get_running_loop().time() - began
        await asyncio.gather(waiting, return_exceptions=True)

    assert took < 1.5
    pictures.looks_needed = 1
    async with running_media_hub(hub_environ, pictures, video=_KINDS) as hub:
        assert (await hub.last_call()).status == "succeeded"
