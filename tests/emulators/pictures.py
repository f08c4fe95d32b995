"""Providers of pictures and videos over real HTTP, in the test's own process. Each refuses what the real one refuses.

    async with running_pictures() as upstream:
        upstream.base_url("google"), upstream.last

A video is ready at the second look at its job (`looks_needed`). A model with `refuses` in its name refuses the prompt,
one with `speaks` answers with words in place of a picture.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.emulators import films
from tests.emulators.studio import KEY, Json, Pictures, Refused, b64, bearer, google_error, google_known, refuse_unknown

# --- Google


async def _google(pictures: Pictures, request: web.Request) -> Any:
    body = await pictures.note("google", request)
    if request.headers.get("x-goog-api-key") != KEY:
        raise Refused(400, google_error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT"))
    if (operation := re.fullmatch(r"/google/v1beta/(models/[^/]+/operations/\w+)", request.path)) is not None:
        return films.veo_operation(pictures, operation[1])
    found = re.fullmatch(r"/google/v1beta/models/([^:]+):(\w+)", request.path)
    if found is None:
        raise Refused(404, google_error(404, "Not found", "NOT_FOUND"))
    model, method = found[1], found[2]
    if method == "predict" and model.startswith("imagen"):
        return _imagen(pictures, model, body)
    if method == "generateContent" and "image" in model:
        return _gemini(pictures, model, body)
    if method == "predictLongRunning" and model.startswith("veo"):
        return films.veo(pictures, model, body)
    raise Refused(404, google_error(404, f"models/{model} is not found or is not supported for {method}.", "NOT_FOUND"))


def _imagen(pictures: Pictures, model: str, body: Json) -> Json:
    google_known(body, "instances", "parameters")
    parameters = body.get("parameters", {})
    google_known(parameters, "sampleCount", "aspectRatio", "sampleImageSize", "personGeneration", "outputOptions")
    [instance] = body["instances"]
    google_known(instance, "prompt")
    if parameters.get("aspectRatio", "1:1") not in ("1:1", "3:4", "4:3", "9:16", "16:9"):
        raise Refused(400, google_error(400, "Unsupported aspect ratio.", "INVALID_ARGUMENT"))
    if parameters.get("sampleImageSize", "1K") not in ("1K", "2K"):
        raise Refused(400, google_error(400, "Unsupported image size.", "INVALID_ARGUMENT"))
    if not 1 <= parameters.get("sampleCount", 4) <= 4:
        raise Refused(400, google_error(400, "sampleCount must be between 1 and 4.", "INVALID_ARGUMENT"))
    if "refuses" in model:
        return {}
    made = [pictures.make(f"{instance['prompt']}|{n}") for n in range(parameters.get("sampleCount", 4))]
    return {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": b64(one)} for one in made]}


def _gemini(pictures: Pictures, model: str, body: Json) -> Json:
    google_known(body, "contents", "generationConfig", "safetySettings", "systemInstruction")
    config = body["generationConfig"]
    google_known(config, "responseModalities", "imageConfig", "seed", "candidateCount", "temperature")
    assert config["responseModalities"] == ["TEXT", "IMAGE"]
    image = config.get("imageConfig", {})
    google_known(image, "aspectRatio", "imageSize")
    if "2.5" in model and "imageSize" in image:
        raise Refused(400, google_error(400, "imageSize is not supported for this model.", "INVALID_ARGUMENT"))
    parts = body["contents"][0]["parts"]
    prompt = next(part["text"] for part in parts if "text" in part)
    usage = {
        "promptTokenCount": 7,
        "candidatesTokenCount": 1290,
        "totalTokenCount": 1297,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    if "refuses" in model:
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage}
    said = {"text": "Here it is."}
    if "speaks" in model:
        content: Json = {"role": "model", "parts": [said]}
    else:
        blob = {"mimeType": "image/png", "data": b64(pictures.make(f"{prompt}|{len(parts) - 1}"))}
        content = {"role": "model", "parts": [said, {"inlineData": blob}]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": usage,
        "responseId": "resp-google-1",
    }


# --- Ideogram

_SHAPES = frozenset(
    ["1x3", "3x1", "1x2", "2x1", "9x16", "16x9", "10x16", "16x10", "2x3", "3x2", "3x4", "4x3", "4x5", "5x4", "1x1"]
)


async def _ideogram(pictures: Pictures, request: web.Request) -> Any:
    body = await pictures.note("ideogram", request)
    if request.headers.get("Api-Key") != KEY:
        raise Refused(401, {"error": "Not authorized to generate an image."})
    if not request.content_type.startswith("multipart/form-data"):
        raise Refused(400, {"error": "Invalid input provided."})
    is_remix = request.path == "/ideogram/v1/ideogram-v3/remix"
    if not is_remix and request.path != "/ideogram/v1/ideogram-v3/generate":
        raise Refused(404, {"error": "Not found"})
    known = ("prompt", "seed", "resolution", "aspect_ratio", "rendering_speed", "magic_prompt", "negative_prompt")
    more = ("num_images", "style_type", "style_codes", *(("image", "image_weight") if is_remix else ()))
    refuse_unknown(body, *known, *more, why={"error": "Invalid input provided."})
    if "prompt" not in body or (is_remix and not isinstance(body.get("image"), dict)):
        raise Refused(400, {"error": "Invalid input provided."})
    good = (
        body.get("aspect_ratio", "1x1") in _SHAPES
        and body.get("rendering_speed", "DEFAULT") in ("FLASH", "TURBO", "DEFAULT", "QUALITY")
        and body.get("style_type", "AUTO") in ("AUTO", "GENERAL", "REALISTIC", "DESIGN", "FICTION")
        and 1 <= int(body.get("num_images", 1)) <= 8
    )
    if not good:
        raise Refused(400, {"error": "Invalid input provided."})
    if "forbidden" in body["prompt"]:
        raise Refused(422, {"error": "Prompt or Initial Image failed the safety checks."})
    rows = []
    for n in range(int(body.get("num_images", 1))):
        pictures.make(f"{body['prompt']}|{n}")
        safe = "unsafe" not in body["prompt"]
        rows.append(
            {
                "prompt": f"A picture of {body['prompt']}",
                "resolution": "1024x1024",
                "is_image_safe": safe,
                "seed": 12345,
                "url": pictures.address() if safe else None,
                "style_type": body.get("style_type", "GENERAL"),
            }
        )
    return {"created": "2026-11-20T19:00:00+00:00", "data": rows}


# --- xAI


async def _xai(pictures: Pictures, request: web.Request) -> Any:
    body = await pictures.note("xai", request)
    bearer(request)
    if (asked := re.fullmatch(r"/xai/v1/videos/([\w-]+)", request.path)) is not None and request.method == "GET":
        return films.xai_job(pictures, asked[1])
    if request.path == "/xai/v1/videos/generations":
        known = ("model", "prompt", "duration", "aspect_ratio", "resolution", "image")
        why = {"code": "Client specified an invalid argument", "error": "Argument not supported"}
        refuse_unknown(body, *known, why=why)
        id_ = f"xai-job-{len(pictures.jobs)}"
        pictures.order("xai", id_, body, body["model"])
        return {"request_id": id_}
    if request.content_type != "application/json":
        raise Refused(415, {"code": "invalid", "error": "Expected request with `Content-Type: application/json`"})
    is_edit = request.path.endswith("/images/edits")
    known = ("model", "prompt", "n", "aspect_ratio", "resolution", "quality", "response_format", "user")
    why = {"code": "Client specified an invalid argument", "error": "Argument not supported"}
    refuse_unknown(body, *known, *(("image", "images") if is_edit else ()), why=why)
    if is_edit and not (isinstance(body.get("image"), dict) or isinstance(body.get("images"), list)):
        raise Refused(400, {"code": "Client specified an invalid argument", "error": "An image is required."})
    if body.get("resolution", "1k") not in ("1k", "2k") or body.get("quality", "low") not in ("low", "medium", "high"):
        raise Refused(422, {"code": "invalid", "error": "Failed to deserialize the JSON body"})
    rows = []
    for n in range(body.get("n", 1)):
        content = pictures.make(f"{body['prompt']}|{n}")
        is_inline = body.get("response_format") == "b64_json"
        rows.append({"b64_json": b64(content)} if is_inline else {"url": pictures.address(), "b64_json": None})
    return {"data": rows, "usage": {"cost_in_usd_ticks": 200_000_000 * len(rows)}}


# --- Doubao


async def _doubao(pictures: Pictures, request: web.Request) -> Any:
    body = await pictures.note("doubao", request)
    bearer(request)
    if (asked := re.fullmatch(r".*/contents/generations/tasks/([\w-]+)", request.path)) is not None:
        return films.ark_task(pictures, asked[1])
    if request.path.endswith("/contents/generations/tasks"):
        known = ("model", "content", "duration", "ratio", "resolution", "seed", "generate_audio", "watermark")
        why = {"error": {"code": "InvalidParameter", "message": "unknown parameter", "type": "BadRequest"}}
        refuse_unknown(body, *known, why=why)
        id_ = f"cgt-{len(pictures.jobs)}"
        pictures.order("doubao", id_, body, body["model"])
        return {"id": id_}
    if not request.path.endswith("/images/generations"):
        raise Refused(404, {"error": {"code": "InvalidAction", "message": "not found", "type": "NotFound"}})
    known = ("model", "prompt", "image", "size", "seed", "response_format", "watermark", "guidance_scale", "stream")
    series = ("sequential_image_generation", "sequential_image_generation_options", "output_format")
    why = {"error": {"code": "InvalidParameter", "message": "unknown parameter", "type": "BadRequest"}}
    refuse_unknown(body, *known, *series, why=why)
    size = re.fullmatch(r"(\d+)x(\d+)", body.get("size", "2K"))
    if size is not None and "seedream-5" in body["model"] and int(size[1]) * int(size[2]) < 3_686_400:
        said = "The parameter `size` specified in the request is not valid: image size must be at least 3686400 pixels."
        raise Refused(400, {"error": {"code": "InvalidParameter", "message": said, "param": "size"}})
    if "refuses" in body["prompt"]:
        error = {"code": "OutputImageSensitiveContentDetected", "message": "The picture may be sensitive."}
        return {"model": body["model"], "created": 1, "data": [{"error": error}], "usage": {"generated_images": 0}}
    wanted = body.get("sequential_image_generation_options", {}).get("max_images", 1)
    rows = []
    for n in range(wanted):
        content = pictures.make(f"{body['prompt']}|{n}")
        is_inline = body.get("response_format") == "b64_json"
        rows.append({"b64_json": b64(content)} if is_inline else {"url": pictures.address(), "size": "2048x2048"})
    usage = {"generated_images": len(rows), "output_tokens": 16384 * len(rows), "total_tokens": 16384 * len(rows)}
    return {"model": body["model"], "created": 1757323224, "data": rows, "usage": usage}


# --- conversations that draw


async def _chat(pictures: Pictures, request: web.Request) -> Any:
    kind = "openrouter" if request.path.startswith("/openrouter") else "poe"
    body = await pictures.note(kind, request)
    bearer(request)
    model = body["model"]
    message: Json = {"role": "assistant", "content": "Here it is."}
    if kind == "openrouter":
        refuse_unknown(body, "model", "messages", "modalities", "image_config", "seed", "user")
        if "image" not in body.get("modalities", ()):
            return _completion(message)
        if "flux" in model and "text" in body["modalities"]:
            said = "No endpoints found that support the requested output modalities: image, text"
            raise Refused(404, {"error": {"message": said, "code": 404}})
        if "speaks" not in model:
            data = f"data:image/png;base64,{b64(pictures.make('drawn'))}"
            message["images"] = [{"type": "image_url", "image_url": {"url": data}, "index": 0}]
    else:
        refuse_unknown(body, "model", "messages", "user")
        if "Veo" in model:
            pictures.film("bot")
            message["content"] = pictures.address()
        elif "speaks" not in model:
            pictures.make("bot")
            message["content"] = f"![drawn]({pictures.address()})\n\n{pictures.address()}"
    return _completion(message)


def _completion(message: Json) -> Json:
    return {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 1,
        "model": "x",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1290, "total_tokens": 1295},
    }


# --- OpenAI


async def _openai(pictures: Pictures, request: web.Request) -> Any:
    body = await pictures.note("openai", request)
    bearer(request)
    if request.path.startswith("/openai/v1/videos"):
        return films.sora(pictures, request, body)
    is_edit = request.path.endswith("/images/edits")
    if is_edit and not request.content_type.startswith("multipart/"):
        raise Refused(400, {"error": {"message": "Expected multipart/form-data", "type": "invalid_request_error"}})
    if "response_format" in body:
        error = {"message": "Unknown parameter: 'response_format'.", "param": "response_format"}
        raise Refused(400, {"error": error | {"type": "invalid_request_error", "code": "unknown_parameter"}})
    made = [pictures.make(f"{body['prompt']}|{n}") for n in range(int(body.get("n", 1)))]
    usage = {"input_tokens": 12, "output_tokens": 272, "total_tokens": 284}
    details = {"text_tokens": 12, "image_tokens": 0}
    rows = [{"b64_json": b64(one)} for one in made]
    return {"created": 1, "data": rows, "usage": usage | {"input_tokens_details": details}}


_MAKERS = {
    "/google/": _google,
    "/ideogram/": _ideogram,
    "/xai/": _xai,
    "/doubao/": _doubao,
    "/openrouter/": _chat,
    "/poe/": _chat,
    "/openai/": _openai,
}


@asynccontextmanager
async def running_pictures() -> AsyncIterator[Pictures]:
    """All of them on a free port of 127.0.0.1, gone at the end of the block."""
    pictures = Pictures()

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/made/"):
            content = pictures.files.get(request.path.removeprefix("/made/"))
            if "slow" in request.path:
                await pictures.is_giving.wait()
            type_ = "video/mp4" if request.path.endswith(".mp4") else "image/png"
            return web.Response(status=404) if content is None else web.Response(body=content, content_type=type_)
        if (file := re.fullmatch(r"/google/v1beta/files/(\w+\.mp4):download", request.path)) is not None:
            if request.headers.get("x-goog-api-key") != KEY:
                return web.json_response(google_error(403, "No permission.", "PERMISSION_DENIED"), status=403)
            return web.Response(status=302, headers={"Location": f"{pictures.root}/made/{file[1]}"})
        try:
            maker = next(maker for prefix, maker in _MAKERS.items() if request.path.startswith(prefix))
            made = await maker(pictures, request)
            if isinstance(made, bytes):
                return web.Response(body=made, content_type="video/mp4")
            return web.json_response(made)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.status)

    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    pictures.port = runner.addresses[0][1]
    try:
        yield pictures
    finally:
        await runner.cleanup()
