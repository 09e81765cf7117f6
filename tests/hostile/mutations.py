"""Hostile variants of sound files: bytes that are hurt anywhere, and structures that say what cannot be.

Every mutation is drawn from a :class:`random.Random`, so that a number names the file that it makes.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Mutation = Callable[[bytes, Random], bytes]

TOKENS: Final = (
    b"\x00",
    b"\xff" * 40,
    b"\x80" * 400,
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"../" * 9 + b"etc/passwd",
    b"/etc/passwd",
    b"a" * 5000,
    b"[" * 3000,
    b"{" * 3000,
    b'{"a":' * 2000,
    b"9" * 5000,
    b"-1",
    b"1e999",
    b"NaN",
    b"=cmd|' /C calc'!A0",
    b"\x1b]0;owned\x07\x1b[2J",
    "\u202egnp.\u0000é😀".encode(),
    b'"',
    b"\r",
    b"\n",
    b",",
    b"PK\x03\x04",
    b"\x80\x04\x95cos\nsystem\n(S'id'\ntR.",
)
"""Pieces that have broken readers before."""

VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    10**400,
    -(10**30),
    float("nan"),
    float("inf"),
    1e308,
    "",
    "\x00",
    "../../../../etc/passwd",
    "/etc/passwd",
    "con",
    "a" * 5000,
    "\x1b[2J\u202e😀",
    "\ud800",
    [],
    {},
    [[[[[[]]]]]],
    {"a": {"b": {}}},
    [0] * 300,
    "sha256:" + "0" * 64,
    "NaN",
)
"""Values that stand where another was expected."""


def hurt(content: bytes, random: Random) -> bytes:
    """Bytes changed, cut, doubled, taken out or put in, in one to four places."""
    body = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        where = random.randrange(len(body) + 1)
        length = random.choice((1, 1, 2, 8, 64, 1024))
        match random.randrange(7):
            case 0:
                if where < len(body):
                    body[where] ^= 1 << random.randrange(8)
            case 1:
                if where < len(body):
                    body[where] = random.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, random.randrange(256)))
            case 2:
                del body[where:]
            case 3:
                body[where:where] = body[where : where + length]
            case 4:
                del body[where : where + length]
            case 5:
                body[where:where] = random.choice(TOKENS)
            case _:
                body[where : where + length] = random.choice(TOKENS)
    return bytes(body)


def otherwise(value: Any, random: Random) -> Any:
    """A JSON value with one to three of its parts replaced, taken out, or put in."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = _one_otherwise(value, random)
    return value


def _one_otherwise(value: Any, random: Random) -> Any:
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        keys = inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
        for key in keys:
            places.append((inner, key))
            waiting.append(inner[key])
    if not places or random.random() < 0.02:
        return random.choice(VALUES)
    holder, key = random.choice(places)
    match random.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[str(random.choice(VALUES))] = holder[key]
        case 2 if isinstance(holder, list):
            holder.append(holder[key])
        case 3:
            other, place = random.choice(places)
            taken = other[place] if (place in other if isinstance(other, dict) else place < len(other)) else None
            # Copied: a value that holds itself is none of JSON's.
            holder[key] = json.loads(json.dumps(taken))
        case _:
            holder[key] = json.loads(json.dumps(random.choice(VALUES)))
    return value


def json_text(content: bytes, random: Random) -> bytes:
    """JSON that is whole, and says something else."""
    return json.dumps(otherwise(json.loads(content), random)).encode()


def lines(content: bytes, random: Random) -> bytes:
    """Lines of a text moved, doubled or taken out, and the word behind a ``=`` or a comma replaced."""
    body = content.split(b"\n")
    for _ in range(random.choice((1, 2, 3))):
        where = random.randrange(len(body))
        match random.randrange(4):
            case 0:
                body.insert(where, random.choice(body))
            case 1:
                del body[where]
                body = body or [b""]
            case 2:
                separator = b"=" if b"=" in body[where] else b","
                parts = body[where].split(separator)
                value = random.choice(VALUES)
                text = json.dumps(value) if separator == b"=" else str(value)
                parts[random.randrange(len(parts))] = text.encode("utf-8", errors="surrogatepass")
                body[where] = separator.join(parts)
            case _:
                body[where] = hurt(body[where], random)
    return b"\n".join(body)


def zipped(inner: Mutation | None = None) -> Mutation:
    """An archive that is whole, with one member hurt, renamed, doubled, or taken out."""

    def mutate(content: bytes, random: Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(member.filename, archive.read(member)) for member in archive.infolist()]
        where = random.randrange(len(members))
        name, body = members[where]
        match random.randrange(6):
            case 0:
                members[where] = (random.choice(("../" + name, "/" + name, "a/" + name, name + "\x00", "")), body)
            case 1:
                members.append((name.removesuffix(".npy"), members[random.randrange(len(members))][1]))
            case 2:
                del members[where]
            case 3 if body.startswith(b"\x93NUMPY"):
                members[where] = (name, _other_header(body, random))
            case _:
                change = json_text if name.endswith(".json") and random.random() < 0.8 else inner or hurt
                members[where] = (name, change(body, random))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, body in members:
                with warnings.catch_warnings(action="ignore"), archive.open(zipfile.ZipInfo(name or "x"), "w") as file:
                    file.write(body)
        return buffer.getvalue()

    return mutate


def _other_header(body: bytes, random: Random) -> bytes:
    """An array whose header speaks of another one."""
    length = struct.unpack("<H", body[8:10])[0]
    descr = random.choice(("<f4", "<i8", "|O", "<U1000000000", "|V0", "|S0", ">f8", "<c16", [("a", "|O")], "m8", "x"))
    shape = random.choice(((), (0,), (10**12, 0), (-1, -8), (2**62,), (1,) * 65, (10**30,), (3, 8), (True,), (7, 0)))
    header = repr({"descr": descr, "fortran_order": random.random() < 0.5, "shape": shape}).encode() + b"\n"
    data = body[10 + length :] if random.random() < 0.5 else b""
    return body[:8] + struct.pack("<H", len(header)) + header + data


def safetensors(content: bytes, random: Random) -> bytes:
    """A file of tensors whose header is JSON and fits its stated length, and says something else."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json_text(content[8 : 8 + size], random)
    stated = len(header) if random.random() < 0.8 else random.choice((0, 2**63, 2**64 - 1, 100_000_001, size))
    return struct.pack("<Q", stated) + header + content[8 + size :]


def frame(content: bytes, random: Random) -> bytes:
    """A guest's frame with right lengths and checksums whose header says something else."""
    from eyerace_parity.isolation import worker

    prefix = worker._PREFIX.unpack(content[: worker._PREFIX.size])
    start = worker._PREFIX.size + worker._SEAL.size
    text, payload = content[start : start + prefix[3]], content[start + prefix[3] :]
    nest = random.random() < 0.1
    text = b'{"arrays":' + b"[" * 100_000 if nest else json_text(text, random)
    stated = len(payload) if random.random() < 0.9 else random.choice((0, 1 << 30, worker.MAX_PAYLOAD))
    checksum = zlib.crc32(payload, zlib.crc32(text))
    head = worker._PREFIX.pack(worker.MAGIC, worker.PROTOCOL, 0, len(text), stated, checksum)
    return head + worker._SEAL.pack(zlib.crc32(head)) + text + payload


def protobuf(content: bytes, random: Random) -> bytes:
    """A model that protobuf reads, with fields that say something else."""
    import onnx

    model = onnx.load_model_from_string(content)
    for _ in range(random.choice((1, 2, 3))):
        _other_field(model, random)
    return bytes(model.SerializeToString())


def _other_field(message: Any, random: Random) -> None:
    """Change one field somewhere in a message."""
    while True:
        fields = [field for field in message.DESCRIPTOR.fields if random.random() < 0.6] or message.DESCRIPTOR.fields
        field = random.choice(fields)
        many = field.label == field.LABEL_REPEATED if hasattr(field, "label") else field.is_repeated
        held = getattr(message, field.name)
        if field.message_type is None:
            break
        if (many and not held) or random.random() < 0.1:
            if many:
                held.add()
            else:
                message.ClearField(field.name)
            return
        message = random.choice(held) if many else held
        if random.random() < 0.05 and many:
            held.add().CopyFrom(message)
            return
    value = _scalar(field, random)
    if many:
        if held and random.random() < 0.5:
            del held[random.randrange(len(held))]
        else:
            held.append(value)
    else:
        setattr(message, field.name, value)


def _scalar(field: Any, random: Random) -> Any:
    """A value that a field of protobuf can hold, and nobody expects there."""
    match field.cpp_type:
        case field.CPPTYPE_STRING:
            text = random.choice(("", "\x00", "../../etc/passwd", "/etc/passwd", "a" * 5000, "\u202e😀", "scores"))
            return text.encode() if field.type == field.TYPE_BYTES else text
        case field.CPPTYPE_FLOAT | field.CPPTYPE_DOUBLE:
            return random.choice((float("nan"), float("inf"), -1e30, 0.0))
        case field.CPPTYPE_ENUM:
            return random.choice(field.enum_type.values).number
    number = random.choice((-1, 0, 1, 2, 7, 22, 2**31 - 1, 1 << 20))
    return abs(number) if field.cpp_type in {field.CPPTYPE_UINT64, field.CPPTYPE_UINT32} else number


def hostile(content: bytes, random: Random, ways: tuple[Mutation, ...]) -> bytes:
    """A hostile variant of a file: by one of the ways that fit its form, or hurt anywhere."""
    fitting = list(ways)
    if not ways and zipfile.is_zipfile(io.BytesIO(content)):
        fitting = [zipped(), zipped()]
    elif not ways and content[:1] == b"{" and _is_json(content):
        fitting = [json_text, json_text]
    return random.choice([hurt, *fitting])(content, random)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
