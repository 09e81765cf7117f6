"""What ``eyerace-parity report`` does with several records: merge them, and show what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.cli.options import contract_of
from eyerace_parity.cli.registry import Merging
from eyerace_parity.cli.report import MERGED, files_of, name_place, stream_of, write_markdown
from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.files import display_path
from eyerace_parity.extensions.matrix.files import is_merged, read_merged, write_merged
from eyerace_parity.report.html import require_page, write_page_text

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from eyerace_parity.extensions.matrix.document import MergedRecord


def _show(options: argparse.Namespace) -> int:
    """Show the merged record that is named."""
    return _end(read_merged(options.records[0]), options)


def _merge(options: argparse.Namespace) -> int:
    """Merge records under the contract, whose matrix says which must be there."""
    from eyerace_parity.extensions.matrix.merge import merge  # noqa: PLC0415 - only once it is needed

    target: Path = MERGED if options.merged is None else options.merged
    files = [file for file in files_of(options.records) if not _is_old(file, target)]
    if any(file.resolve() == target.resolve() for file in files):
        reason = f"{display_path(target)} would be written over a record that is merged"
        raise RecordError(reason, next_step="name another place with --merged")
    merged = merge(contract_of(options), files, options.versions)
    code = _end(merged, options)
    write_merged(target, merged)
    name_place(options, f"merged record: {display_path(target)}")
    return code


def _end(merged: MergedRecord, options: argparse.Namespace) -> int:
    """Print a merged record, and say how it ends."""
    if options.markdown:
        from eyerace_parity.extensions.matrix.markdown import render  # noqa: PLC0415 - only once it is needed

        write_markdown(render(merged))
    else:
        from eyerace_parity.extensions.matrix.terminal import draw_matrix  # noqa: PLC0415

        print(draw_matrix(merged, **stream_of()), end="")
    if options.html is not None:
        write_matrix_page(options.html, merged)
        name_place(options, f"page: {display_path(options.html)}")
    return 0 if merged.outcome == "held" else 1


def write_matrix_page(path: Path, merged: MergedRecord) -> None:
    """Draw a merged record as one HTML page.

    Raises:
        ContractError: What draws it is not installed.
        RecordError: The file cannot be written.
    """
    require_page()
    from eyerace_parity.extensions.matrix.page import render_matrix  # noqa: PLC0415 - only where pages can be drawn

    write_page_text(path, render_matrix(merged))


def _is_old(file: Path, target: Path) -> bool:
    """Whether a file is what an earlier merge has written to the same place, in the folder of the records."""
    return file.resolve() == target.resolve() and is_merged(file)


MERGING: Final = Merging(reads=is_merged, show=_show, merge=_merge)
