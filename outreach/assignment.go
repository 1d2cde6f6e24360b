package outreach

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"churn/event"
)

// Arm says by which part of the randomisation a decision was made.
type Arm string

// A customer in the holdout gets nothing for as long as the salt stands; a
// decision in explore gives nothing this once; the policy does what it thinks
// best. Actions exempt from the holdout are done in every arm.
const (
	ArmPolicy  Arm = "policy"
	ArmExplore Arm = "explore"
	ArmHoldout Arm = "holdout"
)

// digest hashes texts so that no two lists of texts share their bytes.
func digest(texts ...string) [sha256.Size]byte {
	h := sha256.New()
	var n [8]byte
	for _, s := range texts {
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// decisionID names a decision: the same customer, day, policy and model give
// the same id, and with it the same random draw.
func decisionID(customer string, at event.Time, policy, model string) string {
	day := int64(at) / int64(event.Day)
	if int64(at) < 0 && int64(at)%int64(event.Day) != 0 {
		day--
	}
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(day))
	sum := digest("decision", customer, string(n[:]), policy, model)
	return "d" + hex.EncodeToString(sum[:16])
}

// InHoldout says whether a household, or a customer who has none, belongs to
// the holdout.
func (h Holdout) InHoldout(household string) bool {
	sum := digest("holdout", h.Salt, household)
	// 53 bits of the hash as a number from 0 to below 1.
	u := float64(binary.LittleEndian.Uint64(sum[:8])>>11) / (1 << 53)
	return u < h.Share
}

// generator is the source of chance of one decision.
func generator(id string) *rand.Rand {
	sum := digest("draw", id)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
}

// arm assigns a decision to its arm.
func (p *Policy) arm(household, id string) Arm {
	switch {
	case p.Holdout.InHoldout(household):
		return ArmHoldout
	case generator(id).Float64() < p.Explore:
		return ArmExplore
	}
	return ArmPolicy
}

// assign chooses between the best option and the best of those that are never
// withheld, and returns the propensity as [Decision] defines it.
func (p *Policy) assign(arm Arm, best, withheld *Option) (chosen *Option, propensity float64) {
	treated := float64((1 - p.Holdout.Share) * (1 - p.Explore))
	switch {
	case best == withheld:
		return best, 1
	case arm == ArmPolicy:
		return best, treated
	}
	return withheld, 1 - treated
}
