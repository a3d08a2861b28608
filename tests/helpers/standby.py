"""Processes that stand by to be `python -m module`, forked before a command begins its work: torch is there already.

What a command starts (a rank, a worker of a stacked sweep) would otherwise import torch and Lightning anew, which is
most of what it costs. It finds its arguments, directory, environment, streams and session as a new one does.
"""

from __future__ import annotations

import fcntl
import json
import os
import runpy
import signal
import site
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

BEYOND = 256  # descriptors that are in use are below

_waiting: list[tuple[int, socket.socket]] = []  # process, and where it reads what it is to become


def stand_by(count: int, below: int = 0) -> Callable[[], None]:
    """Fork `count` processes, and have the next calls of `subprocess` for `python` with a module or script take them.

    Each of them begins with `below` that stand by for what it starts. Returns what dismisses those that are left.
    """
    for _ in range(count):
        ours, its = socket.socketpair()
        process = os.fork()
        if not process:
            ours.close()
            for _, other in _waiting:
                other.close()
            _wait(its, below)
        its.close()
        _waiting.append((process, ours))
    start_anew = subprocess.Popen._execute_child  # type: ignore[attr-defined]

    def start(self: Any, args: Any, *others: Any) -> None:
        words = [word for word in args if word != "-u"]
        of_python = words[0] == sys.executable and (words[1] == "-m" or str(words[1]).endswith(".py"))
        if not (_waiting and of_python):
            start_anew(self, args, *others)
            return
        _, _, _, kept, cwd, env, _, _, _, *pipes = others[:15]
        new_session = others[20]
        self.pid, orders = _waiting.pop(0)
        self._child_created = True
        stdin, _, _, stdout, _, stderr = pipes
        streams = {number: own if own >= 0 else number for number, own in enumerate((stdin, stdout, stderr))}
        streams |= {descriptor: descriptor for descriptor in kept}
        variables = dict(os.environ if env is None else env)
        socket.send_fds(orders, [b"."], list(streams.values()))
        orders.sendall(json.dumps([words[1:], cwd, variables, new_session, list(streams)]).encode())
        orders.close()
        self._close_pipe_fds(*pipes)

    def dismiss() -> None:
        subprocess.Popen._execute_child = start_anew  # type: ignore[attr-defined]
        while _waiting:
            process, orders = _waiting.pop()
            orders.close()
            os.waitpid(process, 0)

    subprocess.Popen._execute_child = start  # type: ignore[attr-defined]
    return dismiss


def _wait(orders: socket.socket, below: int) -> None:
    _, received, _, _ = socket.recv_fds(orders, 1, 16)
    text = b"".join(iter(lambda: orders.recv(65536), b""))
    if not text:  # the command came to its end without
        os._exit(0)
    words, place, variables, new_session, numbers = json.loads(text)
    if new_session:
        os.setsid()
    # First out of the way of one another.
    for number, descriptor in zip(numbers, [fcntl.fcntl(one, fcntl.F_DUPFD, BEYOND) for one in received], strict=True):
        os.dup2(descriptor, number)
    for descriptor in set(range(3, BEYOND + len(numbers))) - set(numbers):
        with suppress(OSError):
            os.close(descriptor)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if place is not None:
        os.chdir(place)
    os.environ.clear()
    os.environ.update(variables)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, "rww"[number], closefd=False) for number in range(3))
    module, script = (words[1], None) if words[0] == "-m" else (None, words[0])
    sys.argv = ["-m", *words[2:]] if module else words
    sys.path[:0] = variables.get("PYTHONPATH", "").split(os.pathsep)
    if script:
        sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    sys.modules.pop("sitecustomize", None)
    _waiting.clear()
    stand_by(below)
    code: Any = 0
    try:
        site.execsitecustomize()
        if module:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
