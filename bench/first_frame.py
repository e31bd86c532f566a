"""From the click on Reconnect to the first picture of a running desktop: median of 20, budget 1.5 s (CONTRACTS 4.8).

Real parts: Chromium, a gateway, a broker, xrdp with a session that is there already. The cache is warm after the first.
"""

import base64
import hashlib
import ssl
import statistics
import tempfile
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Page, sync_playwright

from bench import budgets
from tests.browser.conftest import CHROMIUM, QUIET
from tests.browser.demo import Demo
from tests.browser.viewer.conftest import People
from tests.browser.viewer.stage import Stage, staged

TIMES, BUDGET = 20, 1.5  # s
# The moment of the click, and that of the first picture, on one clock; the canvas is looked at as well.
CLOCK = """
addEventListener("click", () => sessionStorage.setItem("clicked", performance.timeOrigin + performance.now()), true);
addEventListener("DOMContentLoaded", () => {
  const viewer = document.getElementById("viewer");
  if (viewer) new MutationObserver(() => {
    if (viewer.dataset.state !== "connected" || window.took) return;
    window.took = performance.timeOrigin + performance.now() - Number(sessionStorage.getItem("clicked"));
    const small = new OffscreenCanvas(64, 48).getContext("2d");
    small.drawImage(document.querySelector("canvas.screen"), 0, 0, 64, 48);
    window.colours = new Set(new Uint32Array(small.getImageData(0, 0, 64, 48).data.buffer)).size;
  }).observe(viewer, {attributes: true, attributeFilter: ["data-state"]});
});"""


def run() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="usher-bench-") as folder, sync_playwright() as playwright:
        Path(folder).chmod(0o755)
        with staged(Path(folder) / "stage") as stage:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, trusting(stage)])
            people = People(browser, Demo(stage.broker.data, stage.url, {}))
            people.stage = stage
            took = measured(people, stage)
            browser.close()
    median = statistics.median(took)
    spread = f"{min(took):.2f} to {max(took):.2f} s"
    budgets.at_most(BUDGET, "click to first picture", median, f"s, the median of {TIMES} ({spread})")


def trusting(stage: Stage) -> str:
    """The flag by which Chromium takes the gateway's certificate as good: with one that is bad it caches nothing."""
    pem = ssl.get_server_certificate(("127.0.0.1", stage.gateways[0].port))
    public = x509.load_pem_x509_certificate(pem.encode()).public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(spki).digest()).decode()}"


def measured(people: People, stage: Stage) -> list[float]:
    """Seconds of each click but the first, which begins the session and fills the cache."""
    page = people.comes(ignore_https_errors=False)
    page.add_init_script(CLOCK)
    page.reload()
    clicked(people, page)
    stage.terminal()
    return [clicked(people, page) for _ in range(TIMES)]


def clicked(people: People, page: Page) -> float:
    """One click, in seconds."""
    page.goto("/desktops/")
    people.opens(page).comes()
    took: Any = page.wait_for_function("window.took").json_value()
    assert page.evaluate("window.colours") > 1, "nothing is to be seen"
    return float(took) / 1000
