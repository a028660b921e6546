"""Reads envelopes (hex, one a line) from their documented offsets and prints each as JSON; see src/codec/envelope.ts."""
import json
import struct
import sys
import zlib

import lz4.block
import msgpack

HEADER = struct.Struct('<4sBBHIIIIddd')
assert HEADER.size == 48


def plain(value):
    if isinstance(value, msgpack.Timestamp):
        from datetime import datetime, timedelta, timezone
        at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=value.seconds, microseconds=value.nanoseconds // 1000)
        return at.strftime('%Y-%m-%dT%H:%M:%S.') + '%03dZ' % (at.microsecond // 1000)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return '%dn' % value
    return value


for line in sys.stdin:
    data = bytes.fromhex(line.strip())
    magic, fmt, flags, key_bytes, schema, raw_bytes, stored_bytes, crc, version, created, expires = HEADER.unpack_from(data)
    assert magic == b'PCEV' and fmt == 1
    key_end = 48 + key_bytes
    stored = data[key_end:key_end + stored_bytes]
    assert len(data) == key_end + stored_bytes
    crc_ok = zlib.crc32(data[:20] + b'\0\0\0\0' + data[24:]) == crc
    profile = None
    if not flags & 4:
        raw = lz4.block.decompress(stored) if flags & 1 else stored
        assert len(raw) == raw_bytes
        profile = plain(msgpack.unpackb(raw, raw=False, strict_map_key=True))
    print(json.dumps({
        'wallet': data[48:key_end].decode('utf-8'), 'flags': flags, 'schemaId': schema, 'version': version,
        'createdAtMs': created, 'expiresAtMs': expires, 'crcOk': crc_ok, 'profile': profile,
    }))
