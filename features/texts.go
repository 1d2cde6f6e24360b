package features

// texts turns one text of the items of a stream into whole numbers, anew for
// every history: 0 is no text, the others count from 1 as they come.
type texts struct {
	*textPlan
	codes  []int32 // of the items of the view
	known  map[string]int32
	level  []int32 // of each code, as the plan numbers levels
	recent [128]struct {
		text string
		code int32
	}
}

// read gives codes to the items of a view from a place on.
func (x *texts) read(v *view, from int) {
	codes := x.codes[:from]
	for i := from; i < len(v.at); i++ {
		codes = append(codes, x.code(x.get(v.item(int32(i)))))
	}
	x.codes = codes
}

func (x *texts) code(text string) int32 {
	if text == "" {
		return 0
	}
	n := len(text)
	r := &x.recent[(uint(n)+5*uint(text[0])+11*uint(text[n/2])+23*uint(text[n-1]))%uint(len(x.recent))]
	if r.text == text {
		return r.code
	}
	code, ok := x.known[text]
	if !ok {
		code = int32(len(x.level))
		x.known[text] = code
		x.level = append(x.level, int32(x.levels[text]))
	}
	r.text, r.code = text, code
	return code
}

// reset forgets all texts.
func (x *texts) reset() {
	switch n := len(x.known); {
	case x.known == nil, n > 1024:
		x.known = map[string]int32{} // an empty map is as slow to clear as it was large
		clear(x.recent[:])
	case n > 0:
		clear(x.known)
		clear(x.recent[:])
	}
	x.codes, x.level = x.codes[:0], append(x.level[:0], 0)
}
