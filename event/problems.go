package event

import "strings"

// Problem is one kind of problem in the rows of a file, and the rule for it.
type Problem struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
	Rule string `json:"rule"`
}

// rules say what is done with each kind of problem (docs/data.md). The first
// ones are refused, and told by the reason.
var rules = []struct{ name, rule string }{
	{"future", "refused: it happened later than now; only a due date and an attribute may lie ahead"},
	{"negative", "refused: an amount or length below 0; a refund is a status"},
	{"absurd", "refused: a time outside 1900 to 2199, a number beyond a billion, an endless text"},
	{"order", "refused: known, resolved or gone before it began"},
	{"missing", "refused: a required cell is empty"},
	{"unreadable", "refused: a cell that is not a time, a number or a plain text"},
	{"shape", "refused: a row that is none, or of another length than the header"},
	{"erased", "refused: of a customer who was erased"},
	{"conflict", "not kept: the id is there already with another body, which stays"},
	{"untimed_status", "kept without the status: when it was reached is not known"},
	{"before_sign_up", "kept: the customer signed up only later"},
	{"unknown_customer", "kept: the customer has no row among the customers"},
	{"unknown_value", "kept: none of the known kinds, currencies or other texts"},
}

// problemOf names the problem of a row that is refused.
func problemOf(bad *RowError) string {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(bad.Reason, p) {
				return true
			}
		}
		return false
	}
	switch {
	case bad.Column == "":
		return "shape"
	case has("in the future"):
		return "future"
	case strings.HasPrefix(bad.Reason, "negative"):
		return "negative"
	case has("outside the years", "out of range: wrong unit", "number larger", "longer than"):
		return "absurd"
	case has("earlier than"):
		return "order"
	case has("missing", "empty", "neither"):
		return "missing"
	}
	return "unreadable"
}

// Problems lists what was wrong with the rows of the file, in the order of the
// rules, those only that there are.
func (r *FileReport) Problems() []Problem {
	unknown := 0
	for _, n := range r.Unknown {
		unknown += n
	}
	counted := map[string]int{"erased": r.Refused, "conflict": r.Conflict, "untimed_status": r.Untimed,
		"before_sign_up": r.BeforeSignUp, "unknown_customer": r.UnknownCustomer, "unknown_value": unknown}
	var list []Problem
	for _, rule := range rules {
		if n := r.RefusedFor[rule.name] + counted[rule.name]; n > 0 {
			list = append(list, Problem{rule.name, n, rule.rule})
		}
	}
	return list
}

// currencies are the codes of ISO 4217 that money comes in: those in use in
// 2026, without metals, funds and tests, and the last predecessors of the euro.
var currencies = wordSet(`AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG
SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF
XCD XCG XOF XPF YER ZAR ZMW ZWG ANG HRK`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}
