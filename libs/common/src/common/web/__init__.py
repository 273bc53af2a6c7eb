"""The HTTP edge of a service: declared routes in, validated calls and problem documents out."""

from common.web.app import ALLOWED_ORIGINS, HEALTH, build_app
from common.web.context import Context, IdempotencyKey, Page, Reply
from common.web.docs import serve_messages
from common.web.health import Health
from common.web.problems import Problem
from common.web.routes import Operation, Routes
from common.web.server import EdgeRunner

__all__ = [
    "ALLOWED_ORIGINS",
    "HEALTH",
    "Context",
    "EdgeRunner",
    "Health",
    "IdempotencyKey",
    "Operation",
    "Page",
    "Problem",
    "Reply",
    "Routes",
    "build_app",
    "serve_messages",
]
