package kernel

// Partition parts rows, which rise, by the bin they have in column: those whose
// bin has a 1 in left, where others have a 0, stay in rows, in order, and the
// others go to right, in order. It returns how many stay. What comes after them
// in rows, and in right, is undefined. right has at least the length of rows.
func Partition(rows, right []int32, column []uint8, left *[256]uint8) int {
	return partition(rows, right[:len(rows)], column, left)
}

// The loop has no branch on data: half of them would be mispredicted.
func partitionGo(rows, right []int32, column []uint8, left *[256]uint8) int {
	stay, leave := 0, 0
	for _, r := range rows {
		goes := int(left[column[r]])
		rows[stay] = r // at or before the row being read
		right[leave] = r
		stay += goes
		leave += 1 - goes
	}
	return stay
}
