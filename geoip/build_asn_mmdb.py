#!/usr/bin/env python3
"""Makes an IP-to-AS database in MaxMind DB format from two CSV files.

    build_asn_mmdb.py asn-ipv4.csv asn-ipv6.csv asn.mmdb BUILD_EPOCH

A CSV line is `first address,last address,AS number,organisation`. The records carry GeoLite2-ASN's field names,
`autonomous_system_number` and `autonomous_system_organization`. The same input and BUILD_EPOCH (Unix seconds) give
the same bytes. Needs nothing beside Python 3. Format: https://maxmind.github.io/MaxMind-DB/
"""
import csv
import ipaddress
import struct
import sys

# Type numbers of the format; those over 7 take a second byte.
POINTER, STRING, UINT16, UINT32, MAP, UINT64, ARRAY = 1, 2, 5, 6, 7, 9, 11
METADATA_MARKER = b"\xab\xcd\xefMaxMind.com"
DATA_SEPARATOR = b"\0" * 16
RECORD_BITS = 24
DESCRIPTION = "IP to ASN, from @ip-location-db/asn: RouteViews, NRO, DB-IP (CC BY 4.0)"


class SearchTree:
    """A binary tree over 128 address bits; IPv4 lives in ::/96.

    A child is 0 (empty), n > 0 (node n) or -n < 0 (record n - 1).
    """

    def __init__(self):
        self.children = ([0], [0])

    def __len__(self):
        return len(self.children[0])

    def insert(self, address, length, record):
        """Hangs a record on the prefix `address/length`."""
        node = 0
        for depth in range(length - 1):
            node = self._step(node, address >> (127 - depth) & 1)
        self.children[address >> (128 - length) & 1][node] = -(record + 1)

    def _step(self, node, bit):
        side = self.children[bit]
        child = side[node]
        if child <= 0:
            # A shorter prefix that ended here is pushed down to both sides.
            for other in self.children:
                other.append(child)
            child = len(self) - 1
            side[node] = child
        return child

    def insert_range(self, first, last, bits, record):
        """Hangs a record on the fewest prefixes that make up `first` to `last`, both included."""
        while first <= last:
            size = (first & -first).bit_length() - 1 if first else bits
            while (1 << size) - 1 > last - first:
                size -= 1
            self.insert(first, 128 - size, record)
            first += 1 << size

    def encode(self, record_offsets):
        """Writes the nodes as two 24-bit numbers each."""
        count = len(self)

        def number(child):
            if child == 0:
                value = count
            elif child > 0:
                value = child
            else:
                value = count + len(DATA_SEPARATOR) + record_offsets[-child - 1]
            return value.to_bytes(RECORD_BITS // 8, "big")

        return b"".join(number(left) + number(right) for left, right in zip(*self.children))


def read_networks(ipv4_csv, ipv6_csv):
    """Reads both files into a tree and the list of distinct (number, organisation) pairs it points to."""
    tree, numbers, records = SearchTree(), {}, []
    for path, bits in ((ipv4_csv, 32), (ipv6_csv, 128)):
        with open(path, encoding="utf-8", newline="") as lines:
            for first, last, asn, organisation, *_ in csv.reader(lines):
                pair = (int(asn), organisation)
                if pair not in numbers:
                    numbers[pair] = len(records)
                    records.append(pair)
                ends = (int(ipaddress.ip_address(text)) for text in (first, last))
                tree.insert_range(*ends, bits, numbers[pair])
    return tree, records


def control(kind, size):
    """The control byte(s) before a value: its type and its size."""
    first, extended = (0, bytes([kind - 7])) if kind > 7 else (kind << 5, b"")
    if size < 29:
        return bytes([first | size]) + extended
    if size < 285:
        return bytes([first | 29]) + extended + bytes([size - 29])
    if size < 65821:
        return bytes([first | 30]) + extended + struct.pack(">H", size - 285)
    raise SystemExit(f"a value of {size} bytes is too long")


def string(text):
    """A string value."""
    encoded = text.encode()
    return control(STRING, len(encoded)) + encoded


def unsigned(kind, value):
    """An unsigned value in as few bytes as it needs."""
    encoded = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return control(kind, len(encoded)) + encoded


def pointer(offset):
    """A pointer to a value written before."""
    if offset < 2048:
        return bytes([POINTER << 5 | offset >> 8, offset & 255])
    offset -= 2048
    return bytes([POINTER << 5 | 1 << 3 | offset >> 16, offset >> 8 & 255, offset & 255])


def encode_records(records):
    """Writes the data section; returns it with the offset of each record."""
    data, offsets, key_offsets = bytearray(), [], {}

    def add_key(name):
        nonlocal data
        if name in key_offsets:
            data += pointer(key_offsets[name])
        else:
            key_offsets[name] = len(data)
            data += string(name)

    for asn, organisation in records:
        offsets.append(len(data))
        data += control(MAP, 2 if organisation else 1)
        add_key("autonomous_system_number")
        data += unsigned(UINT32, asn)
        if organisation:
            add_key("autonomous_system_organization")
            data += string(organisation)
    return bytes(data), offsets


def encode_metadata(node_count, build_epoch):
    """Writes the metadata section."""
    fields = {
        "binary_format_major_version": unsigned(UINT16, 2),
        "binary_format_minor_version": unsigned(UINT16, 0),
        "build_epoch": unsigned(UINT64, build_epoch),
        "database_type": string("bongsu-ASN"),
        "description": control(MAP, 1) + string("en") + string(DESCRIPTION),
        "ip_version": unsigned(UINT16, 6),
        "languages": control(ARRAY, 0),
        "node_count": unsigned(UINT32, node_count),
        "record_size": unsigned(UINT16, RECORD_BITS),
    }
    return control(MAP, len(fields)) + b"".join(string(name) + value for name, value in fields.items())


def main(ipv4_csv, ipv6_csv, output, build_epoch):
    """Reads the CSV files and writes the database."""
    tree, records = read_networks(ipv4_csv, ipv6_csv)
    data, offsets = encode_records(records)
    if len(tree) + len(DATA_SEPARATOR) + len(data) >= 1 << RECORD_BITS:
        raise SystemExit(f"too much for {RECORD_BITS}-bit records: {len(tree)} nodes, {len(data)} bytes of data")
    with open(output, "wb") as file:
        file.write(tree.encode(offsets) + DATA_SEPARATOR + data)
        file.write(METADATA_MARKER + encode_metadata(len(tree), build_epoch))
    print(f"{len(tree)} nodes, {len(records)} records, {len(data)} bytes of data")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
