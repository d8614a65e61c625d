"""The log as the settings have it: its file, its format, how much of it there may be."""

from __future__ import annotations

import os
import sys

from sockd.config.settings import DaemonSettings
from sockd.ops.log_drain import Drain
from sockd.ops.log_file import LogFile, Sink, output
from sockd.ops.log_journal import JOURNAL, is_journal
from sockd.ops.log_lines import FORMATS
from sockd.ops.log_rates import Rates
from sockd.ops.logs import LogWriter
from sockd.options.units import LARGEST_SIZE


def open_file(path: str, settings: DaemonSettings) -> LogFile:
    """A log file that is moved away when it is as large as it may be. Raises OSError."""
    return LogFile(path, *_bounds(settings))


def _bounds(settings: DaemonSettings) -> tuple[int, int]:
    """The size of a file, 0: any, and how many are kept."""
    is_off = settings.log_max_size == LARGEST_SIZE
    return 0 if is_off else settings.log_max_size, settings.log_keep


def standard_output() -> tuple[Sink, bool]:
    """Standard output as a log, and whether it is the journal."""
    try:
        is_so = is_journal(sys.stdout.fileno(), os.environ)
    except (OSError, ValueError, AttributeError):
        is_so = False
    return output(sys.stdout), is_so


def make_writer(
    file: Sink,
    settings: DaemonSettings,
    log_format: str,
    *,
    has_priorities: bool = False,
    is_below_a_table: bool = False,
) -> LogWriter:
    """What writes the log to a file, as the settings have it."""
    return LogWriter(
        Drain(file),
        (JOURNAL if has_priorities else FORMATS)[log_format],
        is_below_a_table=is_below_a_table,
        rates=Rates(settings.log_rate, settings.log_total_rate),
    )


def apply(writer: LogWriter, settings: DaemonSettings) -> None:
    """Have other settings hold, of those that hold at once."""
    writer.rates.apply(settings.log_rate, settings.log_total_rate)
    file = writer.log_file
    if file is not None and isinstance(writer.file, Drain):
        most, keep = _bounds(settings)
        writer.file.call(lambda: file.bound(most, keep))
