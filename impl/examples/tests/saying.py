#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""saying.py FILE TEXT [stays]: a server that says TEXT, in which \\n, \\xNN and such stand for octets, to each connection,
and ends it; or stays and hears what comes.  FILE gets its port."""
import os
import socket
import sys
import threading

text = sys.argv[2].encode("latin-1").decode("unicode_escape").encode("latin-1")
server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
    file.write(str(server.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])


def talk(client):
    with client:
        client.sendall(text)
        while len(sys.argv) > 3 and client.recv(65536):
            pass


while True:
    threading.Thread(target=talk, args=[server.accept()[0]], daemon=True).start()
