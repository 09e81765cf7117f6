"""What extensions add to the reports: lines below a contract's verdict in each, and a picture on its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eyerace_parity.extending.loading import active

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eyerace_parity.record.document import ContractEntry, Record
    from eyerace_parity.report.view.pictures import PictureData


@dataclass(frozen=True, slots=True)
class ReportPart:
    """What an extension shows of a contract: it reads the record, and computes nothing that a contract could limit.

    Attributes:
        lines: Called with a record and the entry of a contract; returns lines of plain text, none where it has nothing
            to say.
        picture: Called with what pictures are drawn from; returns a :class:`~eyerace_parity.report.html.charts.Picture`
            for the page, or ``None``. It alone may import what draws.
    """

    lines: Callable[[Record, ContractEntry], Sequence[str]] = lambda _record, _entry: ()
    picture: Callable[[PictureData], Any] = lambda _data: None


def added_lines(record: Record, entry: ContractEntry) -> tuple[str, ...]:
    """What the extensions that take part say of a contract; of other packages, those that the contract names."""
    return tuple(line for part in _parts(entry) for line in part.lines(record, entry))


def added_pictures(data: PictureData) -> Iterator[Any]:
    """The pictures that these extensions draw of a contract."""
    yield from filter(None, (part.picture(data) for part in _parts(data.entry)))


def _parts(entry: ContractEntry) -> tuple[ReportPart, ...]:
    named = tuple(extension.name for extension in entry.extensions)
    found: tuple[ReportPart, ...] = active().added("report_parts", named)
    return found
