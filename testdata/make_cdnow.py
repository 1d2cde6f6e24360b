"""Makes testdata/cdnow from the wheel Lifetimes 0.11.3; standard library only.

    pip download --no-deps Lifetimes==0.11.3
    python make_cdnow.py Lifetimes-0.11.3-py3-none-any.whl cdnow

The source is text in columns: customer, day, number of CDs, dollars. Two
purchases of one day are two rows and may look alike, so that the number of
the row in the source, from 1, is the event_id.
"""

import gzip
import hashlib
import pathlib
import sys
import zipfile

WHEEL = "261e3dc89977c2b60767ca6728aaa29d429de0c814635070a749c36555895da8"


def main(wheel, out):
    out = pathlib.Path(out)
    if hashlib.sha256(pathlib.Path(wheel).read_bytes()).hexdigest() != WHEEL:
        sys.exit(f"{wheel}: not the wheel of Lifetimes 0.11.3")
    out.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as z:
        source = z.read("lifetimes/datasets/CDNOW_master.txt").decode("ascii").splitlines()[1:]
    lines = ["event_id,customer_id,paid_at,amount,currency"]
    for i, row in enumerate(source, 1):
        customer, day, _, dollars = row.split()
        lines.append(f"{i},{customer},{day[:4]}-{day[4:6]}-{day[6:]},{dollars},USD")
    raw = ("\n".join(lines) + "\n").encode()
    path = out / "payments.csv.gz"
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as g:
        g.write(raw)
    gz = path.read_bytes()
    print(path.name, len(source), "rows", len(gz), "bytes", hashlib.sha256(gz).hexdigest(),
          "uncompressed", hashlib.sha256(raw).hexdigest())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: make_cdnow.py WHEEL DIRECTORY")
    main(*sys.argv[1:])
