"""ELF cores read and edited: notes and memory that no kernel here has written,
and words of a stack that are to be others."""

import struct

NT_PRSTATUS, NT_X86_SHSTK = 1, 0x204
PT_LOAD, PT_NOTE = 1, 4
HEADER = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr
PRSTATUS_PID, PRSTATUS_RSP = 32, 112 + 19 * 8


class Core:
    """A core of x86-64. Edits are of a copy in memory, which save() writes."""

    def __init__(self, path):
        self.bytes = bytearray(path.read_bytes())
        at, = struct.unpack_from("<Q", self.bytes, 32)
        count, = struct.unpack_from("<H", self.bytes, 56)
        self.headers = [list(HEADER.unpack_from(self.bytes,
                                                at + i * HEADER.size))
                        for i in range(count)]

    def _offset(self, address):
        for kind, _, offset, start, _, size, _, _ in self.headers:
            if kind == PT_LOAD and start <= address < start + size:
                return offset + address - start
        raise ValueError(f"no memory at {address:#x}")

    def word(self, address):
        return struct.unpack_from("<Q", self.bytes, self._offset(address))[0]

    def set_word(self, address, value):
        struct.pack_into("<Q", self.bytes, self._offset(address), value)

    def _notes(self):
        """[(name, type, bytes)], padding included, in their order."""
        found = []
        for kind, _, offset, _, _, size, _, _ in self.headers:
            at = offset
            while kind == PT_NOTE and at < offset + size:
                named, length, number = struct.unpack_from("<III", self.bytes,
                                                           at)
                body = at + 12 + (named + 3) // 4 * 4
                found.append((bytes(self.bytes[at + 12:body]), number,
                              bytes(self.bytes[body:body + length])))
                at = body + (length + 3) // 4 * 4
        return found

    def stack_pointers(self):
        """{tid: rsp}."""
        return {struct.unpack_from("<I", note, PRSTATUS_PID)[0]:
                struct.unpack_from("<Q", note, PRSTATUS_RSP)[0]
                for _, kind, note in self._notes() if kind == NT_PRSTATUS}

    def find_word(self, address, value):
        """The first place of VALUE from ADDRESS on."""
        while self.word(address) != value:
            address += 8
        return address

    def _append(self, data):
        self.bytes += bytes(-len(self.bytes) % 16)
        self.bytes += data
        return len(self.bytes) - len(data)

    def add_memory(self, address, data):
        self.headers.append([PT_LOAD, 6, self._append(data), address, 0,
                             len(data), len(data), 4096])

    def add_shadow_pointer(self, tid, address):
        """The note of the kernel's, behind those of thread TID."""
        notes, is_thread = b"", False
        for name, kind, note in self._notes() + [(b"", NT_PRSTATUS, bytes(64))]:
            if kind == NT_PRSTATUS:
                if is_thread:
                    notes += struct.pack("<III8sQ", 6, 8, NT_X86_SHSTK,
                                         b"LINUX", address)
                is_thread = struct.unpack_from("<I", note,
                                               PRSTATUS_PID)[0] == tid
            if name:
                notes += struct.pack("<III", len(name.rstrip(b"\0")) + 1,
                                     len(note), kind)
                notes += name + note + bytes(-len(note) % 4)
        for header in self.headers:
            if header[0] == PT_NOTE:
                header[2], header[5] = self._append(notes), len(notes)

    def save(self, path):
        at = self._append(b"".join(HEADER.pack(*header)
                                   for header in self.headers))
        struct.pack_into("<Q", self.bytes, 32, at)
        struct.pack_into("<H", self.bytes, 56, len(self.headers))
        path.write_bytes(self.bytes)
        return path
