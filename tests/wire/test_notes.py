"""Notes on fidelity: each once, in order, and not without end."""

from __future__ import annotations

from app.wire.notes import MOST_NOTES, Note, Notes


def test_a_note_is_kept_once_with_its_first_reason() -> None:
    notes = Notes()
    notes.dropped("top_k", "no such thing")
    notes.emulated("response_format", "by a tool")
    notes.dropped("top_k", "said twice")
    notes.emulated("top_k", "another kind of note")

    assert notes.all == (
        Note("top_k", "dropped", "no such thing"),
        Note("response_format", "emulated", "by a tool"),
        Note("top_k", "emulated", "another kind of note"),
    )


def test_a_flood_of_notes_ends() -> None:
    notes = Notes()
    for n in range(1000):
        notes.dropped(f"messages[{n}]", "x")

    assert len(notes.all) == MOST_NOTES
