#include "go_asm.h"
#include "textflag.h"

// func cellsAsm(cells [][Width]uint32, groups []CellGroup, scores []float64, keys *Keys, sum float64) float64
//
//	SI keys   R15 group   DX its questions   CX questions left
//	DI, R8 to R14 cells of the eight trees
//	AX key   BX scores   X0 sum
//	out-8(SP) cells   left-16(SP) groups left
//
// The flag of a comparison is the next digit.
TEXT ·cellsAsm(SB), NOSPLIT, $16-96
	MOVQ  cells_base+0(FP), AX
	MOVQ  AX, out-8(SP)
	MOVQ  groups_base+24(FP), R15
	MOVQ  groups_len+32(FP), AX
	MOVQ  keys+72(FP), SI
	MOVSD sum+80(FP), X0
	TESTQ AX, AX
	JZ    done
	MOVQ  AX, left-16(SP)

#define ANSWER(i, cell) \
	MOVWLZX 8*i(DX), AX;        \
	MOVL    (SI)(AX*1), AX;     \
	CMPL    AX, 8*i+4(DX);      \
	ADCL    cell, cell

group:
	MOVQ  CellGroup_Tests(R15), DX
	MOVQ  CellGroup_Tests+8(R15), CX
	XORL  DI, DI
	XORL  R8, R8
	XORL  R9, R9
	XORL  R10, R10
	XORL  R11, R11
	XORL  R12, R12
	XORL  R13, R13
	XORL  R14, R14
	TESTQ CX, CX
	JZ    answered

question:
	ANSWER(0, DI)
	ANSWER(1, R8)
	ANSWER(2, R9)
	ANSWER(3, R10)
	ANSWER(4, R11)
	ANSWER(5, R12)
	ANSWER(6, R13)
	ANSWER(7, R14)
	ADDQ $64, DX
	DECQ CX
	JNZ  question

answered:
	MOVQ out-8(SP), AX
	MOVQ scores_base+48(FP), BX
	ADDQ $32, out-8(SP)

#define SCORE(i, cell) \
	ADDL  CellGroup_First+4*i(R15), cell; \
	MOVL  cell, 4*i(AX);                  \
	ADDSD (BX)(cell*8), X0

	SCORE(0, DI)
	SCORE(1, R8)
	SCORE(2, R9)
	SCORE(3, R10)
	SCORE(4, R11)
	SCORE(5, R12)
	SCORE(6, R13)
	SCORE(7, R14)
	ADDQ $CellGroup__size, R15
	DECQ left-16(SP)
	JNZ  group

done:
	MOVSD X0, ret+88(FP)
	RET

#undef ANSWER
#undef SCORE
