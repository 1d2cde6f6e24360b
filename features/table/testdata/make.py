# Writes types.parquet and plain.parquet: run with pyarrow 26.0.1.
import datetime as d, decimal, pyarrow as pa, pyarrow.parquet as pq

N = None
utc = d.timezone.utc
columns = {
    "id": pa.array(["a", "b", "c"]),
    "i8": pa.array([-1, N, 3], pa.int8()),
    "i64": pa.array([1, 2**53, N], pa.int64()),
    "u32": pa.array([0, 2**32 - 1, N], pa.uint32()),
    "u64": pa.array([0, 2**64 - 1, N], pa.uint64()),
    "f32": pa.array([0.1, float("nan"), N], pa.float32()),
    "f64": pa.array([1.5, 1e300, float("-inf")], pa.float64()),
    "flag": pa.array([True, False, N]),
    "dec": pa.array([decimal.Decimal("1.25"), decimal.Decimal("-3.50"), N], pa.decimal128(20, 2)),
    "text": pa.array(["x", "", N]),
    "coded": pa.array(["x", "y", N]).dictionary_encode(),
    "day": pa.array([d.date(2026, 4, 1), d.date(1969, 12, 31), N]),
    "at": pa.array([d.datetime(2026, 4, 1, 12, tzinfo=utc), N, N], pa.timestamp("us", "UTC")),
    "list": pa.array([[1], [], N], pa.list_(pa.int64())),
    "inner": pa.array([{"x": 1}, {"x": N}, N], pa.struct([("x", pa.int64())])),
}
table = pa.table(columns)
pq.write_table(table, "types.parquet", row_group_size=2, compression="zstd")
pq.write_table(table.drop_columns(["list"]), "plain.parquet", row_group_size=3, compression="snappy",
               data_page_version="2.0", use_dictionary=False, store_decimal_as_integer=True)

# Events of the table payments, in types that warehouses write.
at = [d.datetime(2026, 4, 1, 12, 0, 0, 123457, tzinfo=utc), d.datetime(2026, 7, 1, tzinfo=utc), N]
events = {
    "who": pa.array(["a", "b", "c"]).dictionary_encode(),
    "due": pa.array([d.date(2026, 3, 31), d.date(2026, 6, 30), d.date(2026, 6, 1)]),
    "paid_ms": pa.array([t and t.replace(microsecond=123000) for t in at], pa.timestamp("ms", "Europe/Berlin")),
    "paid_ns": pa.array(at, pa.timestamp("ns", "UTC")),
    "paid_local": pa.array([t and t.replace(tzinfo=N) for t in at], pa.timestamp("us")),
    "paid_unix": pa.array([1775044800, 1782864000, N], pa.int32()),
    "money": pa.array([decimal.Decimal("1.0000005"), decimal.Decimal("999999999.999999"), decimal.Decimal("-0.01")], pa.decimal128(38, 18)),
    "cents": pa.array([decimal.Decimal("12.30"), decimal.Decimal("100.00"), decimal.Decimal("0.05")], pa.decimal128(9, 2)),
    "double": pa.array([0.1, 1e6, float("nan")]),
    "whole": pa.array([7, 2**31, N], pa.int64()),
    "flag": pa.array([True, False, N]),
    "tags": pa.array([["x"], [], N], pa.list_(pa.string())),
    "clock": pa.array([d.time(12, 30), N, N], pa.time64("us")),
}
table = pa.table(events)
pq.write_table(table, "events.parquet", row_group_size=2, compression="zstd", version="2.6")
pq.write_table(table, "events96.parquet", use_deprecated_int96_timestamps=True, store_decimal_as_integer=True)
