"""What was measured, as a table for people and as JSON, and how it stands to the targets."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from bench.stage import Name


class Row(Struct, frozen=True, kw_only=True):
    """One subject in one case; what a case does not measure is None.

    The CPU is that of the server process with its children. For `direct` that is the stand-in itself.
    """

    case: str
    subject: Name
    calls: int
    errors: int
    calls_per_second: float | None = None
    cpu_us_per_call: float | None = None
    added_p50_ms: float | None = None
    """Against the stand-in without anything before it, by the same client in the same round."""
    added_p99_ms: float | None = None
    added_first_byte_p50_ms: float | None = None
    load_p50_ms: float | None = None
    """At the many connections of the load, where calls wait for each other."""
    load_p99_ms: float | None = None
    hold_p50_ms: float | None = None
    """In a case of the ledger, where `load_` is the settlement."""
    hold_p99_ms: float | None = None
    times_passed: float | None = None
    """Against the same stream passed on untranslated, in the same run."""
    times_base: float | None = None
    """CPU per call against `base`, in the same run."""
    base: str = ""
    wait_p50_ms: float | None = None
    """One call after the other: from its arrival to the question to the provider, the commit of its hold included."""
    rss_mb: float | None = None
    rss_growth_percent: float | None = None
    rss_per_stream_kb: float | None = None
    gap_p50_ms: float | None = None
    gap_p99_ms: float | None = None
    gap_max_ms: float | None = None
    cold_start_seconds: float | None = None


class Report(Struct, frozen=True, kw_only=True):
    machine: str
    client: str
    database: str
    is_quick: bool
    rows: list[Row]
    notes: list[str]


class _Target(Struct, frozen=True):
    case: str
    label: str
    field: str
    limit: float
    unit: str


_TARGETS = [
    _Target("chat", "CPU per call", "cpu_us_per_call", 300, "µs"),
    _Target("chat", "CPU against nginx", "ratio", 20, "×"),
    _Target("chat", "added p50", "added_p50_ms", 1.0, "ms"),
    _Target("chat", "memory", "rss_mb", 130, "MB"),
    _Target("stream", "CPU per stream", "cpu_us_per_call", 600, "µs"),
    _Target("stream", "CPU against nginx", "ratio", 4, "×"),
    _Target("stream", "memory", "rss_mb", 130, "MB"),
    _Target("across", "CPU against passing on", "times_passed", 3, "×"),
    _Target("soak", "memory at the end", "rss_mb", 130, "MB"),
    _Target("soak", "growth of memory", "rss_growth_percent", 5, "%"),
    _Target("credits", "CPU per call", "cpu_us_per_call", 400, "µs"),
    _Target("credits", "hold p50", "wait_p50_ms", 2, "ms"),
    _Target("old", "CPU against a young hub", "times_base", 1.1, "×"),
    _Target("hot", "hold p50", "hold_p50_ms", 2, "ms"),
    _Target("hot", "settlement p99", "load_p99_ms", 30, "ms"),
    _Target("spread", "hold p50", "hold_p50_ms", 2, "ms"),
    _Target("spread", "settlement p99", "load_p99_ms", 30, "ms"),
    _Target("cold", "start to first answer", "cold_start_seconds", 2.0, "s"),
]

_HEADINGS = [
    ("case", 6),
    ("server", 6),
    ("calls/s", 7),
    ("CPU µs/call", 11),
    ("× nginx", 7),
    ("added p50 ms", 12),
    ("added p99 ms", 12),
    ("RSS MB", 6),
    ("errors", 6),
    ("and", 3),
]


def text(report: Report) -> str:
    """The whole report, as Markdown that also reads well in a terminal."""
    parts = [_preface(report), _table(report.rows), _targets(report.rows)]
    if report.notes:
        parts.append("\n".join(f"Note: {note}." for note in report.notes))
    return "\n\n".join(part for part in parts if part)


def as_json(report: Report) -> bytes:
    """The report with all measured values, for comparing runs."""
    return msgspec.json.format(msgspec.json.encode(report)) + b"\n"


def ratio_to_nginx(row: Row, rows: Iterable[Row]) -> float | None:
    """How many times the CPU per call of nginx in the same case of the same run."""
    for other in rows:
        if other.case == row.case and other.subject == "nginx" and other.cpu_us_per_call and row.cpu_us_per_call:
            return row.cpu_us_per_call / other.cpu_us_per_call
    return None


def _preface(report: Report) -> str:
    pace = "quick run, rough figures; " if report.is_quick else ""
    hub = f"; hub on {report.database}" if any(row.subject == "hub" for row in report.rows) else ""
    return f"{pace}{report.machine}; load by {report.client}{hub}"


def _table(rows: list[Row]) -> str:
    cells = [[heading for heading, _ in _HEADINGS], *([*_cells(row, rows)] for row in rows)]
    widths = [max(width, *(len(line[column]) for line in cells)) for column, (_, width) in enumerate(_HEADINGS)]
    lines = ["| " + " | ".join(_pad(cell, widths[n], n) for n, cell in enumerate(line)) + " |" for line in cells]
    ruler = "|" + "|".join("-" * (width + 1) + ("-" if _is_text(n) else ":") for n, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], ruler, *lines[1:]])


def _cells(row: Row, rows: list[Row]) -> list[str]:
    return [
        row.case,
        row.subject,
        _figure(row.calls_per_second, 0),
        _figure(row.cpu_us_per_call, 0),
        _figure(ratio_to_nginx(row, rows), 1),
        _figure(row.added_p50_ms, 2),
        _figure(row.added_p99_ms, 2),
        _figure(row.rss_mb, 1),
        str(row.errors),
        "; ".join(_more(row)),
    ]


def _more(row: Row) -> list[str]:
    said: list[str] = []
    if row.added_first_byte_p50_ms is not None and row.case == "stream":
        said.append(f"first event +{row.added_first_byte_p50_ms:.2f} ms")
    if row.hold_p99_ms is not None:
        said.append(f"hold p50 {row.hold_p50_ms:.1f}, p99 {row.hold_p99_ms:.1f} ms; then settlement")
    if row.load_p99_ms is not None:
        said.append(f"under load p50 {row.load_p50_ms:.1f}, p99 {row.load_p99_ms:.1f} ms")
    if row.wait_p50_ms is not None:
        said.append(f"hold taken after p50 {row.wait_p50_ms:.2f} ms")
    if row.times_base is not None:
        said.append(f"{row.times_base:.2f}× {row.base}")
    if row.times_passed is not None:
        said.append(f"{row.times_passed:.2f}× the stream that is passed on")
    if row.gap_p99_ms is not None:
        said.append(f"gap p50 {row.gap_p50_ms:.0f}, p99 {row.gap_p99_ms:.0f}, max {row.gap_max_ms:.0f} ms")
    if row.rss_per_stream_kb is not None:
        said.append(f"{row.rss_per_stream_kb:.0f} KB a stream")
    if row.rss_growth_percent is not None:
        said.append(f"memory {row.rss_growth_percent:+.1f} %")
    if row.cold_start_seconds is not None:
        said.append(f"first answer after {row.cold_start_seconds:.2f} s")
    return said


def _targets(rows: list[Row]) -> str:
    lines: list[str] = []
    for row in rows:
        if row.subject != "hub":
            continue
        for target in _TARGETS:
            if target.case != row.case:
                continue
            measured = ratio_to_nginx(row, rows) if target.field == "ratio" else getattr(row, target.field)
            if measured is not None:
                lines.append(_verdict(target, measured))
        if row.errors:
            lines.append(f"- {row.case}: errors 0, measured {row.errors}: missed by {row.errors}")
    return "\n".join(["Targets:", "", *lines]) if lines else ""


def _verdict(target: _Target, measured: float) -> str:
    digits = 2 if target.limit < 10 else 0
    over = measured - target.limit
    verdict = "ok" if over <= 0 else f"missed by {over:.{digits}f} {target.unit} ({over / target.limit:.0%})"
    limit = f"{target.limit:.{digits}f} {target.unit}"
    return f"- {target.case}: {target.label} ≤ {limit}, measured {measured:.{digits}f} {target.unit}: {verdict}"


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if _is_text(column) else cell.rjust(width)


def _is_text(column: int) -> bool:
    return column in {0, 1, len(_HEADINGS) - 1}
