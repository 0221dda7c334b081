"""A page in headless Chromium, driven by a script that is added to it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
_BROWSER = next(filter(None, map(shutil.which, _NAMES)), None)

needs_browser = pytest.mark.skipif(
    _BROWSER is None, reason=f'no browser (one of {", ".join(_NAMES)}); apt-get install chromium'
)

_DRIVER = """
<pre id="test-result"></pre>
<script>
const errors = [];
window.addEventListener('error', event => errors.push(String(event.message)));
window.addEventListener('load', async () => {
  let value = null;
  try { value = await (async () => { %s })(); } catch (error) { errors.push(String(error)); }
  document.getElementById('test-result').textContent = JSON.stringify({ value, errors });
});
</script>
"""


def run_in_browser(page: Path, script: str, *, fragment: str = '', **options: str) -> Any:
    """Return what the body of an async function returns after the page has loaded.

    Args:
        page: HTML file.
        script: JavaScript; it may use ``return`` and ``await``.
        fragment: What follows ``#`` in the address.
        options: Command-line options of Chromium.
    """
    driven = page.with_name(f'driven-{page.name}')
    driven.write_text(page.read_text(encoding='utf-8') + _DRIVER % script, encoding='utf-8')
    given = [f'--{name.replace("_", "-")}={value}' for name, value in options.items()]
    command = [
        str(_BROWSER), '--headless', '--no-sandbox', '--disable-gpu', '--window-size=1250,1000',
        f'--user-data-dir={page.parent / "profile"}', '--virtual-time-budget=20000', *given,
        '--dump-dom', f'{driven.as_uri()}#{fragment}',
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="test-result">(.+?)</pre>', done.stdout, re.S)
    assert found, done.stderr
    text = found[1].replace('&lt;', '<').replace('&gt;', '>').replace('&amp;', '&')
    result = json.loads(text)
    assert not result['errors'], result['errors']
    return result['value']
