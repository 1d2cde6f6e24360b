#include "textflag.h"

// Both functions take the rows by the register full. They fetch the bins one
// by one: gather instructions took half as long again on Zen 4, more with
// sparse rows, and read beyond the column; prefetching gained nothing. The bin is then looked up in left as 256 bits, kept in one
// register, and each half of the rows is moved together in a register and
// stored as a full register, of which the next store overwrites the rubbish
// at the end. That never reaches beyond the rows read so far, since as many
// rows are read as stay and leave.
//
// Registers:
//
//	DI   next rows to be read
//	R8   where the next row that stays goes
//	R9   where the next row that leaves goes
//	SI   column
//	R10  left
//	CX   rows left to be read

// FETCH inserts the bin of row i at DI as byte i of x.
#define FETCH(i, x) \
	MOVL    (4*i)(DI), AX        \
	VPINSRB $i, (SI)(AX*1), x, x

// ADVANCE moves on by size bytes of rows, AX of which stay.
#define ADVANCE(size) \
	SHLQ $2, AX     \
	ADDQ AX, R8     \
	SUBQ AX, R9     \
	ADDQ $size, R9  \
	ADDQ $size, DI

// BITS packs 32 bytes of left, which are 0 or 1.
#define BITS(i) \
	VMOVDQU   (32*i)(R10), Y1     \
	VPSLLW    $7, Y1, Y1          \
	VPMOVMSKB Y1, AX              \
	MOVL      AX, bits-(32-4*i)(SP)

// func partitionAVX2(rows, stay, leave *int32, column *uint8, left *[256]uint8, n int, together *[256]uint64) int
//
// Y15 is left as bits and Y14 is 31s. R11 is together.
TEXT ·partitionAVX2(SB), NOSPLIT, $32-64
	MOVQ     rows+0(FP), DI
	MOVQ     stay+8(FP), R8
	MOVQ     leave+16(FP), R9
	MOVQ     column+24(FP), SI
	MOVQ     left+32(FP), R10
	MOVQ     n+40(FP), CX
	MOVQ     together+48(FP), R11
	BITS(0)
	BITS(1)
	BITS(2)
	BITS(3)
	BITS(4)
	BITS(5)
	BITS(6)
	BITS(7)
	VMOVDQU  bits-32(SP), Y15
	VPCMPEQD Y14, Y14, Y14
	VPSRLD   $27, Y14, Y14

loop:
	VMOVDQU   (DI), Y0
	VPXOR     X1, X1, X1
	VPXOR     X2, X2, X2
	FETCH(0, X1)
	FETCH(4, X2)
	FETCH(1, X1)
	FETCH(5, X2)
	FETCH(2, X1)
	FETCH(6, X2)
	FETCH(3, X1)
	FETCH(7, X2)
	VPOR      X1, X2, X1
	VPMOVZXBD X1, Y1

	// Of the bits, take word bin/32 and shift bit bin%32 to the sign.
	VPSRLD    $5, Y1, Y2
	VPERMD    Y15, Y2, Y2
	VPANDN    Y14, Y1, Y1
	VPSLLVD   Y1, Y2, Y2
	VMOVMSKPS Y2, AX

	VPMOVZXBD (R11)(AX*8), Y3
	POPCNTL   AX, BX
	XORL      $255, AX
	VPMOVZXBD (R11)(AX*8), Y4
	VPERMD    Y0, Y3, Y3
	VPERMD    Y0, Y4, Y4
	VMOVDQU   Y3, (R8)
	VMOVDQU   Y4, (R9)
	MOVL      BX, AX
	ADVANCE(32)
	SUBQ      $8, CX
	JNE       loop

	SUBQ stay+8(FP), R8
	SHRQ $2, R8
	MOVQ R8, ret+56(FP)
	VZEROUPPER
	RET

// func partitionAVX512(rows, stay, leave *int32, column *uint8, left *[256]uint8, n, safe int) int
//
// Z31 is left as bits, twice, and Z30 is ones. R11 is safe: from rows up to
// there, 128 bytes of the column can be read.
TEXT ·partitionAVX512(SB), NOSPLIT, $32-64
	MOVQ            rows+0(FP), DI
	MOVQ            stay+8(FP), R8
	MOVQ            leave+16(FP), R9
	MOVQ            column+24(FP), SI
	MOVQ            left+32(FP), R10
	MOVQ            n+40(FP), CX
	MOVQ            safe+48(FP), R11
	VMOVDQU8        (R10), Z1
	VMOVDQU8        64(R10), Z2
	VMOVDQU8        128(R10), Z3
	VMOVDQU8        192(R10), Z4
	VPTESTMB        Z1, Z1, K1
	VPTESTMB        Z2, Z2, K2
	VPTESTMB        Z3, Z3, K3
	VPTESTMB        Z4, Z4, K4
	KMOVQ           K1, bits-32(SP)
	KMOVQ           K2, bits-24(SP)
	KMOVQ           K3, bits-16(SP)
	KMOVQ           K4, bits-8(SP)
	VBROADCASTI64X4 bits-32(SP), Z31
	VPTERNLOGD      $255, Z30, Z30, Z30
	VPSRLD          $31, Z30, Z30

loop:
	VMOVDQU32 (DI), Z0
	MOVL      (DI), AX
	MOVL      60(DI), BX
	SUBQ      AX, BX
	CMPQ      BX, $127
	JHI       far
	CMPQ      AX, R11
	JGT       far

	// The bins lie within 128 bytes, two registers, from the first one on.
	// Of these, take word distance/4 and rotate byte distance%4 to the bottom.
	VPBROADCASTD AX, Z1
	VPSUBD       Z1, Z0, Z1
	VPSRLD       $2, Z1, Z2
	VMOVDQU32    (SI)(AX*1), Z3
	VPERMT2D     64(SI)(AX*1), Z2, Z3
	VPSLLD       $3, Z1, Z1
	VPRORVD      Z1, Z3, Z1
	JMP          look

far:
	VPXOR     X1, X1, X1
	VPXOR     X2, X2, X2
	FETCH(0, X1)
	FETCH(8, X2)
	FETCH(1, X1)
	FETCH(9, X2)
	FETCH(2, X1)
	FETCH(10, X2)
	FETCH(3, X1)
	FETCH(11, X2)
	FETCH(4, X1)
	FETCH(12, X2)
	FETCH(5, X1)
	FETCH(13, X2)
	FETCH(6, X1)
	FETCH(14, X2)
	FETCH(7, X1)
	FETCH(15, X2)
	VPOR      X1, X2, X1
	VPMOVZXBD X1, Z1

look:
	// Of the bits, take word bin/32 and rotate bit bin%32 to the bottom. The
	// bits above the bin, if there are any, make no difference to either.
	VPSRLD   $5, Z1, Z2
	VPERMD   Z31, Z2, Z2
	VPRORVD  Z1, Z2, Z2
	VPTESTMD Z30, Z2, K1
	KNOTW    K1, K2

	// Compressing straight to memory is microcode on Zen 4.
	VPCOMPRESSD.Z Z0, K1, Z3
	VPCOMPRESSD.Z Z0, K2, Z4
	KMOVW         K1, AX
	POPCNTL       AX, AX
	VMOVDQU32     Z3, (R8)
	VMOVDQU32     Z4, (R9)
	ADVANCE(64)
	SUBQ          $16, CX
	JNE           loop

	SUBQ stay+8(FP), R8
	SHRQ $2, R8
	MOVQ R8, ret+56(FP)
	VZEROUPPER
	RET
