#!/usr/bin/env python3
"""stranger.py PORT WAY...: as the user nobody, connects to a server that takes root's connections alone, asks for a
command, and must be told nothing: while the socket is held, half closed, and closed before the server looks."""
import encodings.idna  # noqa: F401 -- while its file can be read
import os
import socket
import sys

REQUEST = b"user :0\nword :9\n/bin/echoword :3\nonegoword :3\ntwo\ngo\n"


def heard(how):
    stranger = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    try: # the server may have closed it already, at any of these
        stranger.sendall(REQUEST)
        if how == "half":
            stranger.shutdown(socket.SHUT_WR)
        if how == "closed":
            return b""
        return stranger.recv(100)
    except OSError:
        return b""
    finally:
        stranger.close()


os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for way in sys.argv[2:] * 10:
    answer = heard(way)
    if answer:
        sys.exit(f"a stranger ({way}) was answered: {answer!r}")
