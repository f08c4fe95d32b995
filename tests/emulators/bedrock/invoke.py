"""InvokeModel for vectors and pictures: each maker's own documents, checked by hand.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.emulators import answers
from tests.emulators.bedrock.checks import Json, invalid

_PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n emulated").decode()
_PURPOSES = ("search_document", "search_query", "classification", "clustering")
_MOST_TEXTS, _MOST_PICTURES = 96, 5


def answer(model: str, body: Any) -> Json:
    """
    Raises:
        Refused: an unknown model, or a document that is not as its maker wants it.
    """
    if not isinstance(body, dict):
        raise invalid("Malformed input request, please reformat your input and try again.")
    if "titan-embed" in model:
        return _titan(model, body)
    if "cohere.embed" in model:
        return _cohere(model, body)
    if "titan-image" in model or "nova-canvas" in model:
        return _pictures(body)
    raise invalid("The provided model identifier is invalid.")


def _titan(model: str, body: Json) -> Json:
    is_second = "v2" in model
    _known(body, {"inputText", "dimensions", "normalize", "embeddingTypes"} if is_second else {"inputText"})
    if not isinstance(body.get("inputText"), str) or body.get("dimensions") not in (None, 256, 512, 1024):
        raise invalid("Malformed input request: #/inputText: expected type: String")
    vector = _vector(body["inputText"], body.get("dimensions") or (1024 if is_second else 1536))
    return {"embedding": vector, "inputTextTokenCount": len(answers.tokens(body["inputText"]))}


def _cohere(model: str, body: Json) -> Json:
    known = {"texts", "input_type", "truncate", "embedding_types", *(["output_dimension"] if "v4" in model else [])}
    _known(body, known)
    texts = body.get("texts")
    if not isinstance(texts, list) or not 0 < len(texts) <= _MOST_TEXTS or body.get("input_type") not in _PURPOSES:
        raise invalid("Malformed input request: texts and input_type are required.")
    vectors = [_vector(text, body.get("output_dimension") or 1024) for text in texts]
    head: Json = {"id": "8f4b1e7c-emulated", "texts": texts}
    if body.get("embedding_types") == ["float"]:
        return head | {"response_type": "embeddings_by_type", "embeddings": {"float": vectors}}
    return head | {"response_type": "embeddings_floats", "embeddings": vectors}


def _pictures(body: Json) -> Json:
    _known(body, {"taskType", "textToImageParams", "imageVariationParams", "imageGenerationConfig"})
    field = {"TEXT_IMAGE": "textToImageParams", "IMAGE_VARIATION": "imageVariationParams"}.get(body.get("taskType", ""))
    if field is None or not body.get(field, {}).get("text"):
        raise invalid("Malformed input request: #/taskType and its parameters.")
    config = body.get("imageGenerationConfig") or {}
    _known(config, {"numberOfImages", "width", "height", "quality", "cfgScale", "seed"})
    count = config.get("numberOfImages", 1)
    if not 1 <= count <= _MOST_PICTURES or config.get("quality", "standard") not in ("standard", "premium"):
        raise invalid("Malformed input request: #/imageGenerationConfig")
    if "forbidden" in body[field]["text"]:
        return {"images": [], "error": "This request has been blocked by our content filters."}
    return {"images": [_PNG] * count, "error": None}


def _known(body: Json, names: set[str]) -> None:
    if extra := body.keys() - names:
        raise invalid(f"Malformed input request: extraneous key {sorted(extra)} is not permitted")


def _vector(text: str, size: int) -> list[float]:
    seed = hashlib.sha256(text.encode()).digest()
    return [seed[n % len(seed)] / 256 for n in range(size)]
