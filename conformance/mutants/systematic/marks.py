# SPDX-License-Identifier: MIT
"""The file that takes the marks of a run, and the socket on which its descriptor is handed over (schema.c)."""
import os
import socket
import tempfile
import threading

ROOM = 65536  # VPC_MUTANT_ROOM


class Marks:
    """with Marks() as marks: run something with VPC_MUTANT_SEEN=marks.path; marks.octets() are what it left."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "marks")
        self.file = os.memfd_create("marks")
        os.ftruncate(self.file, ROOM)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(64)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return  # it was shut down
            with client:
                try:
                    socket.send_fds(client, [b"."], [self.file])
                except OSError:
                    pass  # a process that was killed at once

    def octets(self):
        return os.pread(self.file, ROOM, 0)

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server.close()
        os.close(self.file)
        self.folder.cleanup()
