"""The API description as a page; everything comes from this service, nothing from elsewhere."""

import base64
import hashlib
import html
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

_TEMPLATE = Path(__file__).with_name("docs.html").read_text(encoding="utf-8")


def render_json(document: dict[str, Any]) -> bytes:
    """Render a description the way it is committed: indented, in order."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def page(title: str) -> web.Response:
    """Return the page that reads `/openapi.json` (and `/asyncapi.json`) and shows them."""
    headers = {
        "Content-Security-Policy": (
            f"default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"script-src 'sha256-{_hash('script')}'; style-src 'sha256-{_hash('style')}'"
        )
    }
    text = _TEMPLATE.replace("{{title}}", html.escape(title))
    return web.Response(text=text, content_type="text/html", headers=headers)


def serve_messages(app: web.Application, file: Path) -> None:
    """Serve a committed AsyncAPI document at `/asyncapi.json`; without the file, nothing."""
    if not file.is_file():
        return
    description = file.read_bytes()

    async def messages(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=description, content_type="application/json")

    app.router.add_route("GET", "/asyncapi.json", messages)


def _hash(tag: str) -> str:
    inner = _TEMPLATE.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
    return base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
