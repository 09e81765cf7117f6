"""Takes screenshots of the HTML page for README and docs, from records of real runs.

``python tools/screenshots.py RECORD…`` writes three files a record: the top of its page on a wide light screen, its
pictures there, and its top on a dark phone. Needs Chromium with its driver, the extra ``html``, and selenium. Run it
where the run was: photographs come from the bundle.
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
"""Largest file for the repository, in bytes."""

_COLOURS: Final = (256, 128, 64, 32)
_QUANTISER: Final = Image.Quantize.MAXCOVERAGE  # keeps the colour of marks of few pixels
_MARGIN: Final = 16
_MEASURE: Final = """
const [selector, most] = arguments, part = document.querySelector(selector || "main");
if (!part) return null;
const box = part.getBoundingClientRect();
// Cut after a whole element if at least half of the height remains.
const ends = [...part.querySelectorAll("figure, header, section, .failing > li, tr")];
const whole = Math.max(...ends.map((e) => e.getBoundingClientRect().bottom - box.top).filter((end) => end <= most));
return [box.top + scrollY, box.height <= most ? box.height : whole > most / 2 ? whole : most];
"""


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen, and the part of the page that it shows.

    Attributes:
        name: End of the file's name.
        width: In pixels.
        height: Largest height of the part, in pixels.
        scheme: ``light`` or ``dark``.
        part: Selector of the part; empty for the page from its top.
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
    """Draw the pages and take the screenshots; returns the exit code."""
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
                    screenshot = _screenshot(browser, page, screen)
                    if screenshot is None:
                        print(f"{file}: no such part for {screen.name}")
                        continue
                    target = options.folder / f"{file.stem}-{screen.name}.png"
                    target.write_bytes(compressed(screenshot))
                    print(f"{target}: {target.stat().st_size} bytes")
        except ParityError as error:
            print(f"screenshots: {error}", file=sys.stderr)
            return 1
        finally:
            browser.quit()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="screenshots", description="Take screenshots of the pages of finished runs.")
    parser.add_argument("records", type=Path, nargs="+", metavar="RECORD", help="a finished run's record")
    parser.add_argument("--folder", type=Path, default=Path("docs/images"), help="where the files are written")
    return parser


def _browser(binary: str, driver: str, folder: Path) -> webdriver.Chrome:
    from selenium import webdriver  # noqa: PLC0415 - wrong arguments are reported without selenium

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
                 "--disable-dev-shm-usage", f"--user-data-dir={folder / 'chromium'}"):  # fmt: skip
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def _screenshot(browser: webdriver.Chrome, page: Path, screen: Screen) -> bytes | None:
    """A part of a page as PNG; ``None`` if the page has no such part."""
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
    captured = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
    )
    return base64.b64decode(captured["data"])


def compressed(screenshot: bytes, most: int = MOST_BYTES) -> bytes:
    """Write a PNG with as many colours as fit into ``most`` bytes; with the fewest colours if none fits."""
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    content = b""
    for colours in _COLOURS:
        body = io.BytesIO()
        image.quantize(colours, method=_QUANTISER, dither=Image.Dither.NONE).save(body, "PNG", optimize=True)
        content = body.getvalue()
        if len(content) <= most:
            break
    return content


if __name__ == "__main__":
    sys.exit(main())
