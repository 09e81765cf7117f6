"""Pictures of the page for README and docs, drawn from records of real runs.

``python tools/screenshots.py RECORD…``: each record gives two files in the folder: its page on a wide light
screen and on a dark phone. Needs Chromium with its driver, the extra ``html``, and selenium. Run it where the run was:
photographs come from the bundle, arrays from the cache.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from parity.contract.settings import resolve
from parity.errors import ParityError
from parity.evidence.store import Store
from parity.release.chronicle import accepted_of
from parity.report.files import read_record
from parity.report.html import write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selenium import webdriver

MOST_BYTES: Final = 250_000
"""Largest file that is worth its place in a repository."""

_COLOURS: Final = (256, 128, 64, 32)


@dataclass(frozen=True, slots=True)
class Screen:
    """What a page is looked at on.

    Attributes:
        name: End of the file's name.
        width: In pixels.
        height: The most of the page that is shown, in pixels.
        scheme: ``light`` or ``dark``.
    """

    name: str
    width: int
    height: int
    scheme: str


SCREENS: Final = (Screen("wide", 1200, 2600, "light"), Screen("phone", 390, 2000, "dark"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw and photograph; returns the exit code."""
    options = _parser().parse_args(arguments)
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        print("chromium and chromedriver are needed: apt-get install chromium chromium-driver", file=sys.stderr)
        return 4
    settings = resolve(command_line={"cache": options.cache}, root=Path.cwd(), prefix="--")
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        browser = _browser(binary, driver, Path(folder))
        try:
            for file in options.records:
                page = Path(folder) / f"{file.stem}.html"
                write_page(page, read_record(file), Store(settings.cache), Path.cwd(), accepted=accepted_of)
                for screen in SCREENS:
                    target = options.folder / f"{file.stem}-{screen.name}.png"
                    target.write_bytes(squeezed(_photographed(browser, page, screen)))
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
    parser.add_argument("--cache", help="the run's cache (default: the user's)")
    return parser


def _browser(binary: str, driver: str, folder: Path) -> webdriver.Chrome:
    from selenium import webdriver  # noqa: PLC0415 - so that wrong arguments are told without it

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
                 "--disable-dev-shm-usage", f"--user-data-dir={folder / 'chromium'}"):  # fmt: skip
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def _photographed(browser: webdriver.Chrome, page: Path, screen: Screen) -> bytes:
    """The top of a page as PNG."""

    def size(height: int) -> None:
        metrics = {"width": screen.width, "height": height, "deviceScaleFactor": 1, "mobile": screen.width < 500}  # noqa: PLR2004
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    scheme = {"features": [{"name": "prefers-color-scheme", "value": screen.scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    size(800)
    browser.get(page.resolve().as_uri())
    whole: int = browser.execute_script("return document.documentElement.scrollHeight")
    size(min(whole, screen.height))
    return browser.get_screenshot_as_png()


def squeezed(picture: bytes, most: int = MOST_BYTES) -> bytes:
    """Write a PNG with as many colours as fit into a small file; the last resort is the fewest, whatever they take."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    content = b""
    for colours in _COLOURS:
        body = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(body, "PNG", optimize=True)
        content = body.getvalue()
        if len(content) <= most:
            break
    return content


if __name__ == "__main__":
    sys.exit(main())
