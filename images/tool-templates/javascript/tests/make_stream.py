"""Prints stream.js: a small Arrow IPC stream, written by Apache Arrow (pyarrow), as JavaScript."""

import pyarrow

flags = [True, None, False, True, True, False, None, True, False, True, True, False]
table = pyarrow.table(
    {
        "exposed": pyarrow.array(flags),
        "outcome": pyarrow.array([1, 0, None, 1, 0, 0, 1, 1, 0, 0, 1, 0], pyarrow.int64()),
        "name": pyarrow.array(["脳梗塞", "", None, "a"] * 3),
        "value": pyarrow.array([0.5 * n for n in range(12)]),
        "none": pyarrow.nulls(12),
    }
)
sink = pyarrow.BufferOutputStream()
with pyarrow.ipc.new_stream(sink, table.schema) as writer:
    for batch in table.to_batches(max_chunksize=5):
        writer.write_batch(batch)
content = sink.getvalue().to_pybytes()
print("// Made by make_stream.py: what it holds is written there.")
print("export const STREAM = Uint8Array.from([")
for at in range(0, len(content), 20):
    print("    " + ",".join(map(str, content[at : at + 20])) + ",")
print("]);")
