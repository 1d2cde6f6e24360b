#include "go_asm.h"
#include "textflag.h"

// func pathAVX512(t *PathTree, points *Points, first int, keys *Keys, slots, totals *[PathLanes]float64, hot *uint16)
//
// All eight points.
#define V0 Z0
#define V1 Z1
#define V2 Z2
#define V3 Z3
#define V4 Z4
#define V5 Z5
#define V6 Z6
#define V7 Z7
#define V13 Z13
#define V14 Z14
#define V15 Z15
TEXT ·pathAVX512(SB), NOSPLIT, $0-56
#include "path_amd64.h"

#undef V0
#undef V1
#undef V2
#undef V3
#undef V4
#undef V5
#undef V6
#undef V7
#undef V13
#undef V14
#undef V15

// func pathAVX2(t *PathTree, points *Points, first int, keys *Keys, slots, totals *[PathLanes]float64, hot *uint16)
//
// The half of the points from lane first on.
#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V13 Y13
#define V14 Y14
#define V15 Y15
TEXT ·pathAVX2(SB), NOSPLIT, $0-56
#include "path_amd64.h"

#undef V0
#undef V1
#undef V2
#undef V3
#undef V4
#undef V5
#undef V6
#undef V7
#undef V13
#undef V14
#undef V15
