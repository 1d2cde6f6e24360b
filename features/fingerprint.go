package features

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"churn/event"
)

// RowFingerprint identifies a row: whose it is, as of when, and the bits of its
// values. It is the first eight bytes, as a little-endian number, of the
// SHA-256 of the customer's id, a zero byte, the instant in microseconds as a
// little-endian int64, and the values as little-endian float32, where missing
// is 0x7fc00000 and a category its code.
//
// The sum of the fingerprints of all rows, which wraps, is the checksum of a
// matrix: it does not depend on the order of the rows, and those of parts add
// up.
func RowFingerprint(customer string, t event.Time, row []float32) uint64 {
	b := make([]byte, 0, len(customer)+9+4*len(row))
	b = append(append(b, customer...), 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(t))
	for _, v := range row {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	h := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(h[:8])
}
