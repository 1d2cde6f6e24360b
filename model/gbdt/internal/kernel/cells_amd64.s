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

// func spreadAsm(totals *[1 << 16]float64, cells [][Width]uint32, rows [][8]float64, owners [][Width][8]uint16)
//
//	DX totals   SI cells   DI rows   R8 owners   CX trees left
//	AX row   BX owner   X0 total
//
// Rows come from far away in no order: they are asked for 16 trees ahead.
TEXT ·spreadAsm(SB), NOSPLIT, $0-80
	MOVQ  totals+0(FP), DX
	MOVQ  cells_base+8(FP), SI
	MOVQ  rows_base+32(FP), DI
	MOVQ  owners_base+56(FP), R8
	MOVQ  owners_len+64(FP), CX
	SHLQ  $3, CX
	JZ    end

#define GIVE(i) \
	MOVWLZX 2*i(R8), BX;         \
	MOVSD   8*i(DI)(AX*1), X0;   \
	ADDSD   (DX)(BX*8), X0;      \
	MOVSD   X0, (DX)(BX*8)

tree:
	MOVL       64(SI), AX
	SHLQ       $6, AX
	PREFETCHT0 (DI)(AX*1)
	MOVL       (SI), AX
	SHLQ       $6, AX
	GIVE(0)
	GIVE(1)
	GIVE(2)
	GIVE(3)
	GIVE(4)
	GIVE(5)
	GIVE(6)
	GIVE(7)
	ADDQ $4, SI
	ADDQ $16, R8
	DECQ CX
	JNZ  tree

end:
	RET

#undef GIVE
