"""What a child does between fork and exec: die with its parent, and give up root.

Postgres refuses to run as root, so a launcher that is root starts it as `nobody`. If the state
folder or the programs lie where `nobody` may not walk (below /root, say), the child keeps the one
capability that lets it, instead of copying programs and data to a public place.
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Identity:
    """The user a child runs as; `walk_anywhere` keeps the right to pass closed folders."""

    uid: int
    gid: int
    walk_anywhere: bool = False


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def unprivileged(paths: Iterable[Path]) -> Identity | None:
    """Return whom to run as instead of root (None: we are not root), able to reach these paths."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Identity(
        uid=nobody.pw_uid,
        gid=nobody.pw_gid,
        walk_anywhere=not all(_public(path) for path in paths),
    )


def child_setup(orphan_signal: signal.Signals, run_as: Identity | None) -> Callable[[], None]:
    """Return what the child must do before it becomes the program: system calls only."""
    parent = os.getpid()

    def setup() -> None:
        if run_as is not None:
            _become(run_as)
        if _libc is not None:
            _check(_libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0))
            if os.getppid() != parent:  # the parent died before the line above
                os._exit(1)

    return setup


def _become(user: Identity) -> None:
    keep = user.walk_anywhere and _libc is not None
    if keep:
        _check(_prctl(_PR_SET_KEEPCAPS, 1))
    os.setgroups([])
    os.setgid(user.gid)
    os.setuid(user.uid)
    if keep:
        _keep_only(_CAP_DAC_OVERRIDE)


def _keep_only(capability: int) -> None:
    assert _libc is not None
    bit = 1 << capability
    header = _CapHeader(version=_CAPABILITY_VERSION_3, pid=0)
    data = (_CapData * 2)()
    data[0].effective = data[0].permitted = data[0].inheritable = bit
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(data)))
    _check(_prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability))


def _prctl(option: int, first: int, second: int = 0) -> int:
    assert _libc is not None
    return int(_libc.prctl(option, first, second, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _public(path: Path) -> bool:
    real = path.resolve()
    folders = [real, *real.parents] if real.is_dir() else list(real.parents)
    return all(folder.stat().st_mode & 0o001 for folder in folders)
