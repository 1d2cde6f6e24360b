package outreach

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Facts is what conditions may ask about a customer at an instant. The name in
// a condition is the expr tag. A fact is unknown until it is [Facts.Set]; a
// condition that depends on an unknown fact does not hold, and the action is
// blocked with the fact's name.
//
// [FactsOf] computes what a history tells. The others come from the caller:
// from a table of products, a loyalty scheme, or the customer's attributes.
// Decide itself fills in risk, rv and is_core.
type Facts struct {
	// Risk is the calibrated P(churn within the horizon), 0 to 1. From
	// Candidate.Risk; unknown for who has no score.
	Risk float64 `expr:"risk"`
	// RV is the residual value, money. From Candidate.Value.
	RV float64 `expr:"rv"`
	// TenureDays counts days since sign-up, or since the first event where
	// there is no sign-up.
	TenureDays float64 `expr:"tenure_days"`
	// Activation is the share, 0 to 1, of the first eight weeks of tenure, as
	// far as they have begun, with at least one engagement.
	Activation float64 `expr:"activation"`
	// OpenComplaints counts complaints not known to be resolved.
	OpenComplaints float64 `expr:"open_complaints"`
	// FailedPayments counts payments due in the last 180 days that failed and
	// are not known to be paid or refunded since.
	FailedPayments float64 `expr:"failed_payments"`
	// OverduePayments counts payments due in the last 180 days that are not
	// known to be paid or refunded, failed ones included.
	OverduePayments float64 `expr:"overdue_payments"`
	// OnDiscount says whether the customer pays less already. From the caller.
	OnDiscount bool `expr:"on_discount"`
	// NextTierGap is what is missing to the next loyalty tier as a share of
	// what the tier takes, 0 to 1. From the caller.
	NextTierGap float64 `expr:"next_tier_gap"`
	// UsageTrend is (n − m) / max(1, m) with n engagements in the last 30 days
	// and m in the 30 before. Unknown before day 60 of tenure.
	UsageTrend float64 `expr:"usage_trend"`
	// Products counts the products the customer holds. From the caller.
	Products float64 `expr:"products"`
	// Silent says that the last engagement is more than twice the customer's
	// usual gap ago and that no complaint explains it: none opened in the last
	// 180 days and none open. The usual gap is the median of the gaps between
	// days with an engagement in the last 365 days; with fewer than three gaps
	// it is unknown.
	Silent bool `expr:"silent"`
	// DaysSinceSurvey counts days since the last contact with the action
	// "survey"; for who was never asked, the days of tenure.
	DaysSinceSurvey float64 `expr:"days_since_survey"`
	// Lifecycle is the stage: prospect (nothing done yet), onboarding (tenure
	// under 60 days), active, growing (usage trend 0.3 or more), declining
	// (−0.3 or less), lapsed (neither engagement nor payment in 90 days),
	// churned (left, by the customers table or the caller's own definition).
	Lifecycle string `expr:"lifecycle"`
	// DaysSinceChurn counts days since the customer left. Unknown for who has
	// not.
	DaysSinceChurn float64 `expr:"days_since_churn"`
	// IsBirthday compares the attribute birthday (2006-01-02 or 01-02) with
	// the day in UTC; 29 February is celebrated on the 28th where it must be.
	IsBirthday bool `expr:"is_birthday"`
	// IsAnniversary says that sign-up was one or more whole years ago to the
	// day, in UTC.
	IsAnniversary bool `expr:"is_anniversary"`
	// IsCore says that the customer belongs to the few who bring most of the
	// money: rv reaches Economics.CoreValue, unless the caller set it.
	IsCore bool `expr:"is_core"`
	// DaysSinceEngagement counts days since the last engagement. Unknown for
	// who never engaged.
	DaysSinceEngagement float64 `expr:"days_since_engagement"`

	known factSet
}

// factSet is a set of facts by their number, that is by their field.
type factSet uint64

func (s *factSet) add(n int) { *s |= 1 << n }

// names lists the set in the order of the fields.
func (s factSet) names() []string {
	var names []string
	for i, name := range factNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// The names of the facts, resolved once.
var (
	factNames  []string
	factNumber = map[string]int{}
)

func init() {
	for f := range reflect.TypeFor[Facts]().Fields() {
		if name := f.Tag.Get("expr"); name != "" {
			factNumber[name] = f.Index[0]
			factNames = append(factNames, name)
		}
	}
}

// FactNames lists the names that conditions may use.
func FactNames() []string { return append([]string(nil), factNames...) }

// Known says whether a fact has a value.
func (f *Facts) Known(name string) bool {
	n, ok := factNumber[name]
	return ok && f.known&(1<<n) != 0
}

// learn marks facts whose fields were set directly.
func (f *Facts) learn(names ...string) {
	for _, name := range names {
		f.known.add(factNumber[name])
	}
}

// forget makes facts unknown.
func (f *Facts) forget(names ...string) {
	for _, name := range names {
		f.known &^= 1 << factNumber[name]
	}
}

// Set gives a fact its value: float64 or int for a number, bool, or string. An
// unknown name, another type, and a number that is not finite are errors and
// leave f as it was.
func (f *Facts) Set(name string, value any) error {
	n, ok := factNumber[name]
	if !ok {
		return fmt.Errorf("unknown fact %q: use one of %s", name, strings.Join(factNames, ", "))
	}
	if i, ok := value.(int); ok {
		value = float64(i)
	}
	if x, ok := value.(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
		return fmt.Errorf("fact %s: not a finite number: leave it out when it is unknown", name)
	}
	field, v := reflect.ValueOf(f).Elem().Field(n), reflect.ValueOf(value)
	if value == nil || v.Type() != field.Type() {
		return fmt.Errorf("fact %s: takes a %s, not a %T", name, kindName(field.Kind()), value)
	}
	field.Set(v)
	f.known.add(n)
	return nil
}

// SetText is Set for a value in text form, such as an attribute of a customer.
// Attributes are the state at extraction: use them for decisions about now,
// never to replay the past.
func (f *Facts) SetText(name, text string) error {
	n, ok := factNumber[name]
	if !ok {
		return f.Set(name, text)
	}
	switch kind := reflect.TypeFor[Facts]().Field(n).Type.Kind(); kind {
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return fmt.Errorf("fact %s: takes true or false", name)
		}
		return f.Set(name, b)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("fact %s: takes a number", name)
		}
		return f.Set(name, x)
	}
	return f.Set(name, text)
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "string"
	}
	return "number"
}
