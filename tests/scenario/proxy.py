"""A TCP proxy on loopback that can hide the death of a client from its server, and an answer from its client.

It forwards bytes as they are (TLS included), so what it holds back is chosen by when, not by content."""
import re
import socket
import threading
import time

PIECE = 65536
PATIENCE = 20   # seconds until expected bytes are missing for good
ARRIVED = 0.3   # seconds in which a server takes what was delivered


class Link:
    """One connection. held: bytes to the server are kept, and the client's end is not passed on. muted: answers are dropped."""

    def __init__(self, client, port):
        self.client, self.server = client, socket.create_connection(("127.0.0.1", port))
        self.lock, self.held, self.muted = threading.Lock(), False, False
        self.kept, self.dropped = b"", 0
        for pump in (self.up, self.down):
            threading.Thread(target=pump, daemon=True).start()

    def up(self):
        while data := received(self.client):
            with self.lock:
                if self.held:
                    self.kept += data
                    continue
            sent(self.server, data)
        with self.lock:
            if not self.held:
                shut(self.server)

    def down(self):
        while data := received(self.server):
            if self.muted:
                self.dropped += len(data)
            else:
                sent(self.client, data)
        shut(self.client)

    def hold(self):
        with self.lock:
            self.held = True

    def release(self):
        """Delivers late what was kept. The connection to the server stays open."""
        sent(self.server, self.kept)
        self.kept = b""

    def close(self):
        for end in (self.client, self.server):
            shut(end)
            end.close()


class Proxy:
    """with Proxy(url) as proxy: ... proxy.url leads to the same server. hold and mute concern the connections of that moment."""

    def __init__(self, url, host="127.0.0.1"):
        self.port = int(re.search(r":(\d+)/", url).group(1))
        self.listener = socket.create_server((host, 0))
        self.url = re.sub(rf"@[^@/]*:{self.port}/", f"@{host}:{self.listener.getsockname()[1]}/", url)
        self.links, self.blocked, self.waiting = [], None, []

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        shut(self.listener)
        self.listener.close()
        self.unblock()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.blocked == "silent":
                self.waiting.append(client)
                continue
            if self.blocked:
                client.close()
                continue
            try:
                self.links.append(Link(client, self.port))
            except OSError:
                client.close()   # the server is not there

    def hold(self):
        for link in self.links:
            link.hold()

    def wait_held(self):
        """Until a client has sent something that is kept."""
        wait_until(lambda: any(link.kept for link in self.links), "bytes to the server")

    def release(self):
        for link in self.links:
            link.release()

    def mute(self):
        for link in self.links:
            link.muted = True

    def wait_muted(self):
        """Until the server has answered something that was dropped."""
        wait_until(lambda: any(link.dropped for link in self.links), "an answer of the server")

    def block(self, silent, heard=False):
        """The network is away: what is sent vanishes without a sign, or connections end and new ones are refused. Until unblock(). heard: the
        server still gets what old connections send, and its answers vanish."""
        self.blocked = "silent" if silent else "refused"
        if not silent:
            self.cut()
            return
        if not heard:
            self.hold()
        self.mute()

    def unblock(self, late=None):
        """New connections come through; those of before end. late: only after so many seconds, in which what they sent arrives after all."""
        self.blocked = None
        waiting, self.waiting = self.waiting, []
        old, self.links = self.links, []
        for client in waiting:
            client.close()
        if late:
            time.sleep(late)
            for link in old:
                link.release()
            time.sleep(ARRIVED)
        for link in old:
            link.close()

    def cut(self):
        """Ends all connections, on both sides."""
        for link in self.links:
            link.close()
        self.links = []


def received(end):
    try:
        return end.recv(PIECE)
    except OSError:
        return b""


def sent(end, data):
    try:
        end.sendall(data)
    except OSError:
        pass   # the other pump meets the same end


def shut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def wait_until(true, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: nothing within {patience} s")
        time.sleep(0.01)
