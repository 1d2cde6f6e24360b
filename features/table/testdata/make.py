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
