"""Where `app.py` puts the handlers."""

from aiohttp import web

from chat.handlers.control import Control
from chat.handlers.extensions import Extensions
from chat.handlers.messages import Messages
from chat.handlers.mitras import Attendance
from chat.handlers.payments import Payments
from chat.handlers.sessions import Sessions
from common.web import Context

SESSIONS = web.AppKey("sessions", Sessions)
MESSAGES = web.AppKey("messages", Messages)
EXTENSIONS = web.AppKey("extensions", Extensions)
PAYMENTS = web.AppKey("payments", Payments)
CONTROL_CENTER = web.AppKey("control", Control)
ATTENDANCE = web.AppKey("attendance", Attendance)


def note_presence(ctx: Context) -> None:
    """Count a call of a mitra's app as a sign of life: without a socket it is the only one."""
    if ctx.caller.role == "mitra":
        ctx.app[ATTENDANCE].saw(ctx.caller.user_id)
