"""Sockets of a service: one connection's life, and everybody who is connected."""

from common.sockets.connection import Connection
from common.sockets.frames import ErrorFrame, Frame, Frames
from common.sockets.hub import Hub
from common.sockets.limits import CloseCode, SocketLimits

__all__ = ["CloseCode", "Connection", "ErrorFrame", "Frame", "Frames", "Hub", "SocketLimits"]
