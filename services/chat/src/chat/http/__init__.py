"""The HTTP routes of chat: parse, hand over, render."""

from chat.http.control import ROUTES as CONTROL
from chat.http.keys import ATTENDANCE, CONTROL_CENTER, EXTENSIONS, MESSAGES, PAYMENTS, SESSIONS
from chat.http.money import ROUTES as MONEY
from chat.http.sessions import ROUTES as SESSION_ROUTES
from chat.http.status import STATUS

ROUTES = (SESSION_ROUTES, MONEY, CONTROL)

__all__ = [
    "ATTENDANCE",
    "CONTROL_CENTER",
    "EXTENSIONS",
    "MESSAGES",
    "PAYMENTS",
    "ROUTES",
    "SESSIONS",
    "STATUS",
]
