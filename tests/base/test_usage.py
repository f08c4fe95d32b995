"""What a report of usage can say and be believed."""

from __future__ import annotations

import pytest

from app.base.usage import MAX_TOKENS_IN, MAX_TOKENS_OUT, NotAPartition, Usage


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input=MAX_TOKENS_IN + 1),
        Usage(input=MAX_TOKENS_IN, cache_read=1),
        Usage(output=MAX_TOKENS_OUT + 1),
        Usage(output=MAX_TOKENS_OUT, audio_out=1),
    ],
)
def test_more_tokens_than_any_model_takes_or_gives_are_not_believed(usage: Usage) -> None:
    with pytest.raises(NotAPartition):
        usage.believed()


def test_what_the_largest_models_take_and_give_is_believed() -> None:
    usage = Usage(input=10_000_000, cache_read=10_000_000, output=1_000_000, reasoning=900_000)

    assert usage.believed() is usage
    assert usage.checked() is usage
