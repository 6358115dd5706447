"""The keys that every vector file here is about. The same three lists are spelled in Rust in ../vectors.rs."""

ALPHABET = b"abcdefghijklmnopqrstuvwxyz0123456789_-:."


def user(count):
    """What keys look like."""
    return [b"key:%d:user" % (k * 7919) for k in range(count)]


def utf8(count):
    """Bytes above 127, which C code that reads `char` takes for negative numbers."""
    return ["ключ:{}:é".format(k * 7919).encode() for k in range(count)]


def lengths():
    """One key of every length memcached allows."""
    text = ALPHABET * 8
    return [text[n % len(ALPHABET):][:n] for n in range(1, 251)]
