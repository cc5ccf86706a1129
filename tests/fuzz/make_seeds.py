#!/usr/bin/env python3
"""Makes seeds for the fuzz targets from the reference's vectors, and some by hand:
make_seeds.py REFERENCE_FOLDER SEED_FOLDER

Writes a folder per target. A seed is a byte that chooses how the target tests, and what the vector
sends. `scripts/fuzz --seeds` calls this and keeps those that reach something new. Those made by hand
are in the corpus under their names.
"""

import json
import pathlib
import re
import ssl
import sys

BYTES_MAX = 4096
FIRST_CAS = f"{4:016x}"  # Of the first item that a stream stores; for those that vectors refer to.
META_COMMANDS = ["mg ", "ms ", "md ", "ma ", "me "]

TIME_PASSES = b"\xf0\x9f"  # For the connection target; behind it comes a byte, the seconds.

# What no vector sends, for the connection target, by name.
BINARY_SET_AND_GET = bytes.fromhex(
    "8001000108000000 0000000e00000000 0000000000000000 0000000000000000 6b 68656c6c6f"
    "8000000100000000 0000000100000000 0000000000000000 6b")
# A store that is refused uses up a number or not, as its value comes in one piece or in several, so
# that the next item's is one of these. An answer that depends on it may differ.
NEXT_CAS_WHOLE, NEXT_CAS_CUT = 4098, 4097
REFUSED_STORE = b"get q\r\nadd n 0 0 2\r\nab\r\nset k 0 0 1\r\n1\r\n"
HAND_MADE = {
    # Each fixed reply of commands for operators, the rarer ones above all.
    "replies-of-slabs": b"slabs reassign 4 4\r\nslabs reassign 3 4\r\nslabs reassign 999 4\r\n"
                        b"slabs reassign -1 4\r\nslabs reassign x 4\r\nslabs reassign 0 5\r\n"
                        b"slabs reassign 0 6\r\nslabs reassign 1\r\nslabs automove window 2\r\n"
                        b"slabs automove 9\r\nslabs automove 1\r\n",
    "replies-of-lru": b"lru tune 50 50 0.1 1\r\nlru tune 10 10 0 1\r\nlru tune 10 10 0.1 1\r\n"
                      b"lru temp_ttl 5\r\nlru temp_ttl -1\r\nlru mode x\r\nlru mode flat\r\n"
                      b"lru_crawler sleep 2000000\r\nlru_crawler tocrawl 5\r\n"
                      b"lru_crawler crawl 0\r\nlru_crawler crawl all\r\nlru_crawler crawl all\r\n"
                      b"lru_crawler metadump 0\r\nlru_crawler disable\r\n"
                      b"lru_crawler crawl all\r\nlru_crawler mgdump all\r\n",
    "replies-of-others": b"cache_memlimit 1\r\ncache_memlimit 8000000\r\n"
                         b"cache_memlimit 9999999999999\r\ncache_memlimit 16\r\nshutdown x\r\n"
                         b"stats detail x\r\nstats detail on\r\nset a:b 0 0 1\r\n1\r\n"
                         b"stats detail dump\r\nstats cachedump\r\nstats cachedump 999 0\r\n"
                         b"stats cachedump 1 0\r\nstats cachedump 2 0\r\nstats reset\r\n"
                         b"explain n\r\nexplain q\r\nme n\r\nme q\r\nmn\r\nversion\r\n"
                         b"config set cluster 0 1\r\nx\r\nconfig set cluster 0 14\r\n"
                         b"1\nh|1.1.1.1|1\n\r\nconfig get cluster\r\nconfig delete cluster\r\n",
    # Who watches gets no more answers; a refused one goes on.
    "watch": b"set k 0 0 1\r\n1\r\nwatch fetchers prefix=a%3A sample=2\r\nget k\r\nquit\r\n",
    "watch-refused": b"watch prefix=%\r\nwatch nothing\r\nget a\r\nwatch slow=x\r\n",
    # Marks where they might mislead who looks at the stream and not at what is sent of it.
    "mark-before-binary": TIME_PASSES + b"\x05" + BINARY_SET_AND_GET,
    "marks-around-binary": TIME_PASSES + b"\x05" + TIME_PASSES + b"\x01" + BINARY_SET_AND_GET +
                           TIME_PASSES,
    "marks-around-text": TIME_PASSES + b"\x05set k 0 3 1\r\n1\r\n" + TIME_PASSES +
                         b"\x04get k\r\n" + TIME_PASSES,
    "mark-that-is-no-line-end": b"b" * 1900 + TIME_PASSES + b"\n" + b"b" * 1000 + b"\r\nget k\r\n",
    "mark-in-cas": REFUSED_STORE + b"c" + TIME_PASSES +
                   b"\x01as k 0 0 1 %d\r\n2\r\nget k\r\n" % NEXT_CAS_WHOLE,
    "mark-in-cas-of-pieces": REFUSED_STORE + b"c" + TIME_PASSES +
                             b"\x01as k 0 0 1 %d\r\n2\r\nget k\r\n" % NEXT_CAS_CUT,
    "mark-before-meta-cas": REFUSED_STORE + b"md k " + TIME_PASSES +
                            b"\x01C%d\r\nget k\r\n" % NEXT_CAS_WHOLE,
}


def vectors(path):
    with open(path, encoding="ascii") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def sent(step):
    if "send_hex" in step:
        sent_hex = re.sub(r"\$\{\w+\}", FIRST_CAS, step["send_hex"])
        fill = step.get("send_fill", {"byte": "", "count": 0})
        tail_hex = re.sub(r"\$\{\w+\}", FIRST_CAS, step.get("send_tail_hex", ""))
        return bytes.fromhex(sent_hex + fill["byte"] * fill["count"] + tail_hex)
    if "send_parts" in step:
        return b"".join(text.encode("latin-1") * count for text, count in step["send_parts"])
    return step.get("send", "").encode("latin-1")


def timed(step):
    """What the connection target takes: pauses are marks that move its clock."""
    seconds = step.get("wait", step.get("sleep_before"))
    pause = TIME_PASSES + bytes([int(seconds) + 1]) if seconds else b""
    return pause + sent(step)


def meta_text(stream):
    """As the target for meta commands wants them: a byte for the command that begins a line."""
    lines = []
    for line in stream.decode("latin-1").split("\n")[:-1]:
        if line[:3] in META_COMMANDS:
            lines.append(chr(ord("d") + META_COMMANDS.index(line[:3])) + line[3:] + "\n")
    return "".join(lines).encode("latin-1")


def client_hello(version=None, ciphers=None, protocols=None):
    """What a client of TLS sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if version:
        context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    if protocols:
        context.set_alpn_protocols(protocols)
    sent_bytes = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), sent_bytes, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent_bytes.read()


def tls_streams():
    """For the tls target, by name."""
    hello = client_hello()
    old = client_hello(ssl.TLSVersion.TLSv1_2)
    return {
        "hello": hello,
        "hello-1.2": old,
        "hello-1.2-rsa": client_hello(ssl.TLSVersion.TLSv1_2, "AES128-SHA256"),
        "hello-protocols": client_hello(protocols=["http/1.1", "memcache"]),
        "half-hello": hello[:len(hello) // 2],
        "two-hellos": hello + hello,
        "hello-in-two-records": (b"\x16\x03\x01\x00\x20" + hello[5:37] + b"\x16\x03\x01" +
                                 (len(hello) - 37).to_bytes(2, "big") + hello[37:]),
        "hello-and-data": hello + b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x20" + b"x" * 32,
        "hello-1.2-and-finished": (old + b"\x16\x03\x03\x00\x28" + b"\x14" + b"x" * 39),
        "alert": b"\x15\x03\x01\x00\x02\x01\x00",
        "data": b"\x17\x03\x03\x00\x08getk\r\n\r\n",
        "plain-get": b"get k\r\n",
        "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "binary-get": b"\x80\x00\x00\x01" + b"\0" * 7 + b"\x01" + b"\0" * 12 + b"k",
        "ssl2": b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + b"\x01\x00\x80" * 7 + b"c" * 16,
        "empty-records": b"\x16\x03\x01\x00\x00" * 40,
        "longest-record": b"\x16\x03\x01\xff\xff" + b"x" * 100,
    }


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    reference, folder = map(pathlib.Path, sys.argv[1:])
    text = vectors(reference / "text-vectors.jsonl")
    meta = vectors(reference / "meta-vectors.jsonl")
    binary = vectors(reference / "binary-vectors.jsonl")

    def write(target, name, stream, choice=0):
        if 0 < len(stream) <= BYTES_MAX:
            place = folder / target
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{name}-{choice}").write_bytes(bytes([choice]) + stream)

    for number, vector in enumerate(text + meta + binary):
        name = vector["name"]
        stream = b"".join(map(sent, vector["steps"]))
        if number < len(text + meta):
            write("text_parser", name, stream)
            write("meta_parser", name, meta_text(stream))
        else:
            write("binary_parser", name, stream)
        timed_stream = b"".join(map(timed, vector["steps"]))
        write("connection", name, timed_stream)
        write("connection", name, timed_stream, 1 + number % 7)
    for name, stream in HAND_MADE.items():
        write("connection", name, stream)
    for number, (name, stream) in enumerate(tls_streams().items()):
        write("tls", name, stream, number % 6)
        write("tls", name, stream, 6 + number % 6)


if __name__ == "__main__":
    main()
