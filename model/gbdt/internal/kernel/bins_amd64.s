#include "go_asm.h"
#include "textflag.h"

// Both functions:
//
//	DI out   SI x   BX bounds   CX groups of 8 values left
//
// A value is compared with all 16 pivots, which finds its row of 16 bounds,
// and with these. What compares is counted in a general register, so that
// there is no chain from value to value and many are under way at once.

// func binsAVX512(out []uint8, x []float32, bounds *Bounds, missing uint8)
//
//	Z0 value, in every lane   AX 16*row   DX bounds in the row
//	Z1 pivots   X2 missing, in every byte
TEXT ·binsAVX512(SB), NOSPLIT, $0-57
	MOVQ         out_base+0(FP), DI
	MOVQ         out_len+8(FP), CX
	MOVQ         x_base+24(FP), SI
	MOVQ         bounds+48(FP), BX
	VMOVUPS      Bounds_pivot(BX), Z1
	MOVBLZX      missing+56(FP), AX
	VPBROADCASTB AX, X2
	SHRQ         $3, CX
	JZ           done

#define BIN(i) \
	VBROADCASTSS 4*i(SI), Z0;                                    \
	VCMPPS       $0x1e, Z1, Z0, K1;       /* > */                \
	KMOVW        K1, AX;                                         \
	POPCNTL      AX, AX;                                         \
	SHLL         $4, AX;                                         \
	VCMPPS       $0x1e, Bounds_Bound(BX)(AX*4), Z0, K2;          \
	KMOVW        K2, DX;                                         \
	POPCNTL      DX, DX;                                         \
	ADDL         AX, DX;                                         \
	MOVB         DX, i(DI)

loop:
	BIN(0)
	BIN(1)
	BIN(2)
	BIN(3)
	BIN(4)
	BIN(5)
	BIN(6)
	BIN(7)
	VMOVUPS  (SI), Y0
	VCMPPS   $3, Y0, Y0, K1 // NaN
	VMOVDQU8 X2, K1, (DI)
	ADDQ     $32, SI
	ADDQ     $8, DI
	DECQ     CX
	JNZ      loop

done:
	VZEROUPPER
	RET

#undef BIN

// func binsAVX2(out []uint8, x []float32, bounds *Bounds, missing uint8)
//
//	Y0 value, in every lane   AX 16*row   DX bounds in the row
//	Y1, Y2 what compares   Y3, Y4 pivots   R8 missing
//
// NaN compares as greater than anything: it gets 16 rows.
TEXT ·binsAVX2(SB), NOSPLIT, $0-57
	MOVQ    out_base+0(FP), DI
	MOVQ    out_len+8(FP), CX
	MOVQ    x_base+24(FP), SI
	MOVQ    bounds+48(FP), BX
	VMOVUPS Bounds_pivot+0(BX), Y3
	VMOVUPS Bounds_pivot+32(BX), Y4
	MOVBLZX missing+56(FP), R8
	SHRQ    $3, CX
	JZ      done

#define BIN(i) \
	VBROADCASTSS 4*i(SI), Y0;                                    \
	VCMPPS       $0x16, Y3, Y0, Y1;       /* not <= */           \
	VCMPPS       $0x16, Y4, Y0, Y2;                              \
	VPACKSSDW    Y2, Y1, Y1;                                     \
	VPMOVMSKB    Y1, AX;                                         \
	POPCNTL      AX, AX;                  /* 2 bits per pivot */ \
	SHLL         $3, AX;                                         \
	VCMPPS       $0x1e, Bounds_Bound(BX)(AX*4), Y0, Y1; /* > */  \
	VCMPPS       $0x1e, Bounds_Bound+32(BX)(AX*4), Y0, Y2;       \
	VPACKSSDW    Y2, Y1, Y1;                                     \
	VPMOVMSKB    Y1, DX;                                         \
	POPCNTL      DX, DX;                                         \
	SHRL         $1, DX;                                         \
	ADDL         AX, DX;                                         \
	CMPL         DX, $256;                                       \
	CMOVLEQ      R8, DX;                                         \
	MOVB         DX, i(DI)

loop:
	BIN(0)
	BIN(1)
	BIN(2)
	BIN(3)
	BIN(4)
	BIN(5)
	BIN(6)
	BIN(7)
	ADDQ $32, SI
	ADDQ $8, DI
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET
