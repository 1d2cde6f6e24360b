#include "textflag.h"

// Both work through 32 words a turn; n is a multiple of it. What limits them
// is the way to the L2 cache, so that more unrolling changes nothing.

// func subtractAVX2(a, b *uint64, n int)
TEXT ·subtractAVX2(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), DI
	MOVQ b+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VMOVDQU (DI), Y0
	VMOVDQU 32(DI), Y1
	VMOVDQU 64(DI), Y2
	VMOVDQU 96(DI), Y3
	VMOVDQU 128(DI), Y4
	VMOVDQU 160(DI), Y5
	VMOVDQU 192(DI), Y6
	VMOVDQU 224(DI), Y7
	VPSUBQ  (SI), Y0, Y0
	VPSUBQ  32(SI), Y1, Y1
	VPSUBQ  64(SI), Y2, Y2
	VPSUBQ  96(SI), Y3, Y3
	VPSUBQ  128(SI), Y4, Y4
	VPSUBQ  160(SI), Y5, Y5
	VPSUBQ  192(SI), Y6, Y6
	VPSUBQ  224(SI), Y7, Y7
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VMOVDQU Y4, 128(DI)
	VMOVDQU Y5, 160(DI)
	VMOVDQU Y6, 192(DI)
	VMOVDQU Y7, 224(DI)
	ADDQ    $256, DI
	ADDQ    $256, SI
	SUBQ    $32, CX
	JNE     loop
	VZEROUPPER
	RET

// func subtractAVX512(a, b *uint64, n int)
TEXT ·subtractAVX512(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), DI
	MOVQ b+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VMOVDQU64 (DI), Z0
	VMOVDQU64 64(DI), Z1
	VMOVDQU64 128(DI), Z2
	VMOVDQU64 192(DI), Z3
	VPSUBQ    (SI), Z0, Z0
	VPSUBQ    64(SI), Z1, Z1
	VPSUBQ    128(SI), Z2, Z2
	VPSUBQ    192(SI), Z3, Z3
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	ADDQ      $256, DI
	ADDQ      $256, SI
	SUBQ      $32, CX
	JNE       loop
	VZEROUPPER
	RET
