#!/usr/bin/env python3
"""listen.py FILE PROGRAM ARGUMENT...: becomes a program that is handed a listening socket, as systemd does it, and
writes the port, which the system chose, to FILE."""
import os
import socket
import sys

server = socket.create_server(("127.0.0.1", 0), backlog=16)
with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
    file.write(str(server.getsockname()[1]))
if server.fileno() != 3:
    os.dup2(server.fileno(), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = "1"
os.rename(sys.argv[1] + ".new", sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
