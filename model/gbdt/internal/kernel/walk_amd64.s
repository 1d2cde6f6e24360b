#include "textflag.h"

// func walkAsm(nodes []uint64, values []float64, roots [][Width]uint32, keys *Keys, sum float64) float64
//
//	DX nodes   SI keys   CX values   R15 roots of a group
//	DI, R8 to R14 where the eight trees are
//	AX steps   BX key   X0 sum
//	left-8(SP) groups left
//
// The flag of a comparison is a step more, so that there is nothing to be
// guessed. Every second step looks whether any tree had steps to
// go.
TEXT ·walkAsm(SB), NOSPLIT, $8-96
	MOVQ  nodes_base+0(FP), DX
	MOVQ  roots_base+48(FP), R15
	MOVQ  roots_len+56(FP), AX
	MOVQ  keys+72(FP), SI
	MOVSD sum+80(FP), X0
	TESTQ AX, AX
	JZ    done
	MOVQ  AX, left-8(SP)

#define STEP(at) \
	MOVWLZX (DX)(at*8), BX;    \
	MOVWLZX 2(DX)(at*8), AX;   \
	MOVL    (SI)(BX*1), BX;    \
	CMPL    4(DX)(at*8), BX;   \
	ADCQ    AX, at

#define STEPS(at) \
	MOVWLZX (DX)(at*8), BX;    \
	MOVWLZX 2(DX)(at*8), AX;   \
	ORL     AX, CX;            \
	MOVL    (SI)(BX*1), BX;    \
	CMPL    4(DX)(at*8), BX;   \
	ADCQ    AX, at

group:
	MOVL 0(R15), DI
	MOVL 4(R15), R8
	MOVL 8(R15), R9
	MOVL 12(R15), R10
	MOVL 16(R15), R11
	MOVL 20(R15), R12
	MOVL 24(R15), R13
	MOVL 28(R15), R14

walk:
	STEP(DI)
	STEP(R8)
	STEP(R9)
	STEP(R10)
	STEP(R11)
	STEP(R12)
	STEP(R13)
	STEP(R14)
	XORL  CX, CX
	STEPS(DI)
	STEPS(R8)
	STEPS(R9)
	STEPS(R10)
	STEPS(R11)
	STEPS(R12)
	STEPS(R13)
	STEPS(R14)
	TESTL CX, CX
	JNZ   walk

	MOVQ  values_base+24(FP), CX
	ADDSD (CX)(DI*8), X0
	ADDSD (CX)(R8*8), X0
	ADDSD (CX)(R9*8), X0
	ADDSD (CX)(R10*8), X0
	ADDSD (CX)(R11*8), X0
	ADDSD (CX)(R12*8), X0
	ADDSD (CX)(R13*8), X0
	ADDSD (CX)(R14*8), X0
	ADDQ  $32, R15
	DECQ  left-8(SP)
	JNZ   group

done:
	MOVSD X0, ret+88(FP)
	RET

#undef STEP
#undef STEPS
