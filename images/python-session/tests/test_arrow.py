"""Streams that Apache Arrow wrote are read as it wrote them; damaged ones are refused."""

import random
import unittest
from datetime import date, datetime
from decimal import Decimal

import pyarrow
from kekkai import Frame, StreamError
from session import normalized, stream_of


def pieces(content, size):
    return (content[at : at + size] for at in range(0, len(content), size))


def read(table, size=1000, **options):
    return Frame.of_stream(pieces(stream_of(table, **options), size))


TYPES = {
    "flag": (pyarrow.bool_(), [True, None, False, True, False, None, True, True, False, True]),
    "tiny": (pyarrow.int8(), [-128, 127, None, 0, 1, 2, 3, 4, 5, 6]),
    "byte": (pyarrow.uint8(), [0, 255, None, 0, 1, 2, 3, 4, 5, 6]),
    "small": (pyarrow.int16(), [-(2**15), 2**15 - 1, 0, 1, 2, 3, 4, 5, None, 6]),
    "word": (pyarrow.uint16(), [0, 65535, None, 0, 1, 2, 3, 4, 5, 6]),
    "int": (pyarrow.int32(), [None, -(2**31), 2**31 - 1, 0, 1, 2, 3, 4, 5, 6]),
    "natural": (pyarrow.uint32(), [2**32 - 1, None, 0, 1, 2, 3, 4, 5, 6, 7]),
    "big": (pyarrow.int64(), [-(2**63), 2**63 - 1, None, 0, 1, 2, 3, 4, 5, 6]),
    "huge": (pyarrow.uint64(), [2**64 - 1, None, 0, 1, 2, 3, 4, 5, 6, 7]),
    "single": (pyarrow.float32(), [0.5, None, -2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    "double": (pyarrow.float64(), [0.1, None, float("inf"), -0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    "text": (pyarrow.utf8(), ["", "脳梗塞", None, "a", "b", "𠮷", "d", "e", "f", "g"]),
    "ascii": (pyarrow.utf8(), ["", "abc", None, "a", "b", "c", "d", "e", "f", "g"]),
    "long": (pyarrow.large_utf8(), ["", "心不全", None, "a", "b", "c", "d", "e", "f", "g"]),
    "day": (pyarrow.date32(), [date(1, 1, 1), date(9999, 12, 31), None, date(1970, 1, 1)] + [date(2024, 2, 29)] * 6),
    "instant": (
        pyarrow.timestamp("us"),
        [datetime(1969, 12, 31, 23, 59, 59, 999999), None] + [datetime(2024, 2, 29, 1, 2, 3, 4)] * 8,
    ),
    "second": (pyarrow.timestamp("s"), [datetime(1900, 1, 1), None] + [datetime(2024, 2, 29, 1, 2, 3)] * 8),
    "money": (
        pyarrow.decimal128(38, 2),
        [Decimal("-0.01"), Decimal("999999999999999999999999999999999999.99"), None] + [Decimal("1.50")] * 7,
    ),
    "none": (pyarrow.null(), [None] * 10),
}


def every_type():
    return pyarrow.table({name: pyarrow.array(values, kind) for name, (kind, values) in TYPES.items()})


class Reading(unittest.TestCase):
    def test_every_type_reads_as_apache_arrow_wrote_it(self):
        frame = read(every_type())
        for name, (_, values) in TYPES.items():
            self.assertEqual(list(frame[name]), values, name)
            self.assertEqual(frame[name].missing, values.count(None), name)
            self.assertEqual([frame[name][at] for at in range(10)], values, name)

    def test_pieces_and_batches_of_any_size_give_the_same(self):
        table = every_type()
        expected = read(table)
        content = stream_of(table, rows_a_batch=3)
        for size in (1, 7, 64, 100_000):
            self.assertEqual(Frame.of_stream(pieces(content, size)), expected, f"pieces of {size} bytes")

    def test_batches_come_one_by_one(self):
        content = stream_of(every_type(), rows_a_batch=4)
        frames = list(Frame.batches_of_stream(pieces(content, 50)))
        self.assertEqual([len(frame) for frame in frames], [4, 4, 2])
        self.assertEqual([value for frame in frames for value in frame["text"]], TYPES["text"][1])

    def test_a_result_without_rows_has_its_columns(self):
        frame = read(every_type().slice(0, 0))
        self.assertEqual(len(frame), 0)
        self.assertEqual(frame.columns, list(TYPES))

    def test_a_slice_with_offsets_that_start_late_reads_right(self):
        frame = read(every_type().slice(3, 5))
        self.assertEqual(list(frame["text"]), TYPES["text"][1][3:8])
        self.assertEqual(list(frame["flag"]), TYPES["flag"][1][3:8])

    def test_numbers_stay_in_the_buffer_they_came_in(self):
        content = stream_of(pyarrow.table({"x": pyarrow.array([1.5, 2.5, 3.5])}))
        frame = Frame.of_stream([content])
        self.assertIsInstance(frame["x"].raw, memoryview)
        self.assertIs(frame["x"].raw.obj, content)

    def test_columns_of_one_name_get_names_of_their_own(self):
        table = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], ["n", "n"])
        self.assertEqual(read(table).row(0), {"n": 1, "n_2": 2})


class Refusing(unittest.TestCase):
    def test_types_that_are_not_sent_are_refused_by_name(self):
        for name, array in {
            "list": pyarrow.array([[1]]),
            "view": pyarrow.array(["a"], pyarrow.string_view()),
            "dictionary": pyarrow.array(["a"]).dictionary_encode(),
            "binary": pyarrow.array([b"a"]),
            "half": pyarrow.array([1.5], pyarrow.float16()),
            "decimal256": pyarrow.array([Decimal("1.5")], pyarrow.decimal256(40, 2)),
        }.items():
            with self.assertRaisesRegex(StreamError, name):
                read(pyarrow.table({name: array}))

    def test_compressed_streams_are_refused(self):
        table = pyarrow.table({"x": list(range(1000))})
        sink = pyarrow.BufferOutputStream()
        options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
        with pyarrow.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        with self.assertRaisesRegex(StreamError, "compressed"):
            Frame.of_stream([sink.getvalue().to_pybytes()])

    def test_a_stream_cut_anywhere_never_gives_other_values(self):
        content = stream_of(every_type(), rows_a_batch=5)
        expected = read(every_type(), rows_a_batch=5)
        lengths = {0, 5, 10}
        for end in range(0, len(content), 3):
            try:
                frame = Frame.of_stream([content[:end]])
            except StreamError:
                continue
            # A stream without its end mark ends between two batches.
            self.assertIn(len(frame), lengths)
            self.assertEqual(frame, expected.head(len(frame)))

    def test_damaged_bytes_give_an_error_or_a_frame_and_nothing_else(self):
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        content = stream_of(every_type(), rows_a_batch=5)
        for _ in range(3000):
            damaged = bytearray(content)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                list(Frame.of_stream([bytes(damaged)]).tuples())
            except (StreamError, UnicodeDecodeError, OverflowError, ValueError):
                pass
            except Exception as error:
                self.fail(f"seed {seed}: {error!r}")

    def test_a_normalized_table_keeps_its_values(self):
        table = pyarrow.table({"n": pyarrow.array([1, None], pyarrow.int8())})
        self.assertEqual(normalized(table)["n"].to_pylist(), [1, None])


if __name__ == "__main__":
    unittest.main()
