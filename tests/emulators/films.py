"""Videos, as each provider makes them: an order gives a job, and whoever looks often enough finds its end."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.emulators.studio import Json, Pictures, Refused, google_error, google_known, refuse_unknown


def veo(pictures: Pictures, model: str, body: Json) -> Json:
    google_known(body, "instances", "parameters")
    parameters = body.get("parameters", {})
    known = ("aspectRatio", "durationSeconds", "resolution", "negativePrompt", "seed", "personGeneration")
    google_known(parameters, *known)
    [instance] = body["instances"]
    google_known(instance, "prompt", "image", "lastFrame", "referenceImages", "video")
    for name in ("image", "lastFrame"):
        if name in instance and set(instance[name]) != {"bytesBase64Encoded", "mimeType"}:
            raise Refused(400, google_error(400, "Image must have bytes and a type.", "INVALID_ARGUMENT"))
    length, lines = parameters.get("durationSeconds", 8), parameters.get("resolution", "720p")
    if length not in (4, 6, 8) or (lines in ("1080p", "4k") and length != 8):
        raise Refused(400, google_error(400, "The duration is not supported.", "INVALID_ARGUMENT"))
    if parameters.get("aspectRatio", "16:9") not in ("16:9", "9:16") or lines not in ("720p", "1080p", "4k"):
        raise Refused(400, google_error(400, "Unsupported shape.", "INVALID_ARGUMENT"))
    name = f"models/{model}/operations/op{len(pictures.jobs)}"
    pictures.order("google", name, body, model)
    return {"name": name}


def veo_operation(pictures: Pictures, name: str) -> Json:
    job, is_done = pictures.look(name)
    if not is_done:
        return {"name": name}
    if "refuses" in job["model"]:
        reasons = ["Veo could not generate videos because of its usage guidelines."]
        made: Json = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": reasons}
    else:
        pictures.film(job["body"]["instances"][0]["prompt"])
        uri = f"{pictures.base_url('google')}/v1beta/files/{list(pictures.files)[-1]}:download?alt=media"
        made = {"generatedSamples": [{"video": {"uri": uri}}]}
    return {"name": name, "done": True, "response": {"generateVideoResponse": made}}


def xai_job(pictures: Pictures, id_: str) -> Json:
    job, is_done = pictures.look(id_)
    if not is_done:
        return {"status": "pending", "progress": 40}
    if "refuses" in job["model"]:
        return {"status": "done", "video": {"url": "", "duration": 6, "respect_moderation": False}}
    pictures.film(job["body"]["prompt"])
    video = {"url": pictures.address(), "duration": job["body"].get("duration", 6), "respect_moderation": True}
    return {"status": "done", "video": video, "model": job["model"], "usage": {"cost_in_usd_ticks": 3_000_000_000}}


def ark_task(pictures: Pictures, id_: str) -> Json:
    job, is_done = pictures.look(id_)
    task: Json = {"id": id_, "model": job["model"], "status": "running", "created_at": 1, "updated_at": 2}
    if not is_done:
        return task
    if "refuses" in job["model"]:
        error = {"code": "OutputVideoSensitiveContentDetected", "message": "The video may be sensitive."}
        return task | {"status": "failed", "error": error}
    pictures.film(job["body"]["content"][0]["text"])
    usage = {"completion_tokens": 108_900, "total_tokens": 108_900}
    made = {"content": {"video_url": pictures.address()}, "duration": job["body"].get("duration", 5), "usage": usage}
    return task | {"status": "succeeded", "error": None} | made


def sora(pictures: Pictures, request: web.Request, body: Json) -> Any:
    path = request.path.removeprefix("/openai/v1/videos").strip("/")
    if request.method == "POST":
        why = {"error": {"message": "Unknown parameter.", "type": "invalid_request_error", "code": "unknown_parameter"}}
        refuse_unknown(body, "model", "prompt", "seconds", "size", "input_reference", why=why)
        good = body.get("seconds", "4") in ("4", "8", "12")
        if not good or body.get("size", "720x1280") not in ("720x1280", "1280x720", "1024x1792", "1792x1024"):
            error = {"message": "Invalid value.", "type": "invalid_request_error", "code": "invalid_value"}
            raise Refused(400, {"error": error})
        id_ = f"video_upstream{len(pictures.jobs)}"
        pictures.order("openai", id_, body, body["model"])
        return {"id": id_, "object": "video", "status": "queued", "progress": 0, "seconds": body.get("seconds", "4")}
    id_, _, what = path.partition("/")
    if what == "content":
        return pictures.film(pictures.jobs[id_]["body"]["prompt"])
    job, is_done = pictures.look(id_)
    row: Json = {"id": id_, "object": "video", "seconds": job["body"].get("seconds", "4"), "error": None}
    if not is_done:
        return row | {"status": "in_progress", "progress": 33}
    if "refuses" in job["model"]:
        error = {"code": "moderation_blocked", "message": "Your request was blocked by our moderation system."}
        return row | {"status": "failed", "progress": 33, "error": error}
    return row | {"status": "completed", "progress": 100}
