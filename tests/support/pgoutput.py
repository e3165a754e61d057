"""What a slot of plugin pgoutput holds, without a walsender: changes with the place of their commit record."""
import struct


class Message:
    def __init__(self, data):
        self.data, self.at = data, 1

    def take(self, form):
        size = struct.calcsize("!" + form)
        value, = struct.unpack_from("!" + form, self.data, self.at)
        self.at += size
        return value

    def name(self):
        end = self.data.index(b"\0", self.at)
        name, self.at = self.data[self.at:end].decode(), end + 1
        return name

    def row(self):
        return [self.value() for _ in range(self.take("H"))]

    def value(self):
        kind = self.take("c")
        if kind != b"t":
            return None
        size = self.take("I")
        text, self.at = self.data[self.at:self.at + size].decode(), self.at + size
        return text


def rows_of(message):
    """The old row where one was sent, and the new one."""
    rows = {b"N": [], b"K": [], b"O": []}
    while message.at < len(message.data):
        kind = message.take("c")
        rows[kind] = message.row()
    return rows[b"K"] or rows[b"O"], rows[b"N"]


def changes_of(source, slot, publication, tables):
    """Dicts with table (its place in `tables`), operation (I, U, D, T), row, before, commit_lsn; in commit order."""
    messages = source.run("SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, NULL, 'proto_version', '1', 'publication_names', %s)",
                          (slot, publication))
    changes, commit_lsn, names = [], 0, {}
    for data, in messages:
        kind, message = bytes(data[:1]), Message(bytes(data))
        if kind == b"B":
            commit_lsn = message.take("Q")
        elif kind == b"R":
            relation, _ = message.take("I"), message.name()
            names[relation] = message.name()
        elif kind in (b"I", b"U", b"D"):
            table = tables.index(names[message.take("I")])
            before, row = rows_of(message)
            if kind == b"D":
                before, row = [], before
            changes.append({"table": table, "operation": kind.decode(), "row": row, "before": before, "commit_lsn": str(commit_lsn)})
        elif kind == b"T":
            count, _ = message.take("I"), message.take("B")
            for _ in range(count):
                changes.append({"table": tables.index(names[message.take("I")]), "operation": "T", "row": [], "before": [],
                                "commit_lsn": str(commit_lsn)})
    return changes
