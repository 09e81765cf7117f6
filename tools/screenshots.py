"""Pictures of the page for README and docs, drawn from records of real runs.

``python tools/screenshots.py RECORD…``: each record gives three files in the folder: the top of its page on a wide
light screen, its pictures there, and its top on a dark phone. Needs Chromium with its driver, the extra ``html``, and
selenium. Run it where the run was: photographs come from the bundle.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from eyerace_parity.core.errors import ParityError
from eyerace_parity.record.files import read_record
from eyerace_parity.release.history import accepted_of
from eyerace_parity.report.html import write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selenium import webdriver

MOST_BYTES: Final = 250_000
"""Largest file that is worth its place in a repository."""

_COLOURS: Final = (256, 128, 64, 32)
_RARE: Final = Image.Quantize.MAXCOVERAGE  # a mark of few pixels keeps its colour
_MARGIN: Final = 16
_MEASURE: Final = """
const [selector, most] = arguments, part = document.querySelector(selector || "main");
if (!part) return null;
const box = part.getBoundingClientRect();
// It ends where something ends, if that leaves enough of it.
const ends = [...part.querySelectorAll("figure, header, section, .failing > li, tr")];
const whole = Math.max(...ends.map((e) => e.getBoundingClientRect().bottom - box.top).filter((end) => end <= most));
return [box.top + scrollY, box.height <= most ? box.height : whole > most / 2 ? whole : most];
"""


@dataclass(frozen=True, slots=True)
class Screen:
    """What a page is looked at on, and which part of it.

    Attributes:
        name: End of the file's name.
        width: In pixels.
        height: The most of the part that is shown, in pixels.
        scheme: ``light`` or ``dark``.
        part: Selector of the part; the page from its top where it is empty.
    """

    name: str
    width: int
    height: int
    scheme: str
    part: str = ""


SCREENS: Final = (
    Screen("wide", 1200, 1600, "light"),
    Screen("pictures", 1200, 1500, "light", ".pictures"),
    Screen("phone", 390, 1500, "dark"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw and photograph; returns the exit code."""
    options = _parser().parse_args(arguments)
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        print("chromium and chromedriver are needed: apt-get install chromium chromium-driver", file=sys.stderr)
        return 4
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        browser = _browser(binary, driver, Path(folder))
        try:
            for file in options.records:
                page = Path(folder) / f"{file.stem}.html"
                write_page(page, read_record(file), Path.cwd(), accepted=accepted_of)
                for screen in SCREENS:
                    picture = _photographed(browser, page, screen)
                    if picture is None:
                        print(f"{file}: nothing to photograph for {screen.name}")
                        continue
                    target = options.folder / f"{file.stem}-{screen.name}.png"
                    target.write_bytes(squeezed(picture))
                    print(f"{target}: {target.stat().st_size} bytes")
        except ParityError as error:
            print(f"screenshots: {error}", file=sys.stderr)
            return 1
        finally:
            browser.quit()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="screenshots", description="Photograph the pages of finished runs.")
    parser.add_argument("records", type=Path, nargs="+", metavar="RECORD", help="a finished run's record")
    parser.add_argument("--folder", type=Path, default=Path("docs/images"), help="where the pictures are written")
    return parser


def _browser(binary: str, driver: str, folder: Path) -> webdriver.Chrome:
    from selenium import webdriver  # noqa: PLC0415 - so that wrong arguments are told without it

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
                 "--disable-dev-shm-usage", f"--user-data-dir={folder / 'chromium'}"):  # fmt: skip
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def _photographed(browser: webdriver.Chrome, page: Path, screen: Screen) -> bytes | None:
    """A part of a page as PNG; ``None`` where the page has no such part."""
    scheme = {"features": [{"name": "prefers-color-scheme", "value": screen.scheme}]}
    metrics = {"width": screen.width, "height": 900, "deviceScaleFactor": 1, "mobile": screen.width < 500}  # noqa: PLR2004
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.resolve().as_uri())
    box: list[float] | None = browser.execute_script(_MEASURE, screen.part, screen.height - 2 * _MARGIN)
    if box is None:
        return None
    top, height = max(0.0, box[0] - _MARGIN), box[1] + 2 * _MARGIN
    clip = {"x": 0, "y": top, "width": screen.width, "height": height, "scale": 1}
    taken = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
    )
    return base64.b64decode(taken["data"])


def squeezed(picture: bytes, most: int = MOST_BYTES) -> bytes:
    """Write a PNG with as many colours as fit into a small file; the last resort is the fewest, whatever they take."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    content = b""
    for colours in _COLOURS:
        body = io.BytesIO()
        image.quantize(colours, method=_RARE, dither=Image.Dither.NONE).save(body, "PNG", optimize=True)
        content = body.getvalue()
        if len(content) <= most:
            break
    return content


if __name__ == "__main__":
    sys.exit(main())
