#include "go_asm.h"
#include "textflag.h"

// Adding a word to a bin is one read-modify-write instruction. Its store is
// what limits the loop: neighbouring updates go to different cache lines, and a
// core writes one line a cycle, whatever the bins are. Everything else fits in
// between. That is why there is no loop per width but one that asks after
// every four columns whether there are more (the answers are always the same
// and cost nothing), and why it never writes to columns that do not exist.
//
// Tried without gain on Zen 4: one or eight bins a load, loading and storing
// words by separate instructions, two rows at a time, passes over 8 to 16
// columns so that their histograms fit the first cache.
//
// Rows of a list miss the caches twice, and a core looks ahead only a few
// rows: without prefetching, lists of a tenth of the rows and less take ten
// times as long. Where rows lie far apart, words and bins are fetched to the
// second cache long before they are to the first one, because it has room for
// more misses at a time; this saves up to half of the time there and would cost
// a tenth with dense lists.

#define STRIDE (const_Stride*8) // bytes from column to column

// How far prefetching is ahead, in bytes of row numbers.
#define DENSE (32*4)
#define NEAR (12*4)
#define FAR (64*4)

// Registers:
//
//	DI   histograms
//	SI   bins of the row
//	DX   word of the row
//	R13  width
//	R12  histogram of the last column
//	AX, BX, CX  bins

// ADD4 adds the word to columns c to c+3. One load brings four bins.
#define ADD4(c) \
	MOVL    c(SI), AX                    \
	MOVBLZX AL, BX                       \
	MOVBLZX AH, CX                       \
	SHRL    $16, AX                      \
	ADDQ    DX, ((c+0)*STRIDE)(DI)(BX*8) \
	ADDQ    DX, ((c+1)*STRIDE)(DI)(CX*8) \
	MOVBLZX AL, BX                       \
	SHRL    $8, AX                       \
	ADDQ    DX, ((c+2)*STRIDE)(DI)(BX*8) \
	ADDQ    DX, ((c+3)*STRIDE)(DI)(AX*8)

// ADDROW adds the word to all columns: first, from the last one down, to those
// beyond a multiple of 4, then to the others by fours.
#define ADDROW \
	TESTQ   $3, R13                  \
	JEQ     fours                    \
	MOVBLZX -1(SI)(R13*1), AX        \
	ADDQ    DX, (R12)(AX*8)          \
	TESTQ   $2, R13                  \
	JEQ     fours                    \
	MOVBLZX -2(SI)(R13*1), BX        \
	ADDQ    DX, (-1*STRIDE)(R12)(BX*8) \
	TESTQ   $1, R13                  \
	JEQ     fours                    \
	MOVBLZX -3(SI)(R13*1), CX        \
	ADDQ    DX, (-2*STRIDE)(R12)(CX*8) \
fours: \
	CMPQ    R13, $4                  \
	JLT     next                     \
	ADD4(0)                          \
	CMPQ    R13, $8                  \
	JLT     next                     \
	ADD4(4)                          \
	CMPQ    R13, $12                 \
	JLT     next                     \
	ADD4(8)                          \
	CMPQ    R13, $16                 \
	JLT     next                     \
	ADD4(12)                         \
	CMPQ    R13, $20                 \
	JLT     next                     \
	ADD4(16)                         \
	CMPQ    R13, $24                 \
	JLT     next                     \
	ADD4(20)                         \
	CMPQ    R13, $28                 \
	JLT     next                     \
	ADD4(24)                         \
	CMPQ    R13, $32                 \
	JLT     next                     \
	ADD4(28)                         \
next:

// LASTCOLUMN sets R12.
#define LASTCOLUMN \
	IMUL3Q $STRIDE, R13, R12      \
	LEAQ   -STRIDE(DI)(R12*1), R12

// LOOKAHEAD prefetches word and bins of the row that is bytes of row numbers
// ahead, or of the last row.
#define LOOKAHEAD(bytes, PREFETCH) \
	LEAQ     bytes(R8), AX \
	CMPQ     AX, R11       \
	CMOVQHI  R11, AX       \
	MOVL     (AX), AX      \
	PREFETCH (R9)(AX*8)    \
	SHLQ     $5, AX        \
	PREFETCH (R10)(AX*1)

// func addRows(hist *TileHistogram, tile *uint8, q *uint64, rows, last *int32, n, width int, sparse bool)
//
// R8 is the cursor in the row numbers, R14 its end and R11 the last of the
// list, of which this may be a part; R10 is the tile and R9 the words.
TEXT ·addRows(SB), NOSPLIT, $0-57
	MOVQ hist+0(FP), DI
	MOVQ tile+8(FP), R10
	MOVQ q+16(FP), R9
	MOVQ rows+24(FP), R8
	MOVQ last+32(FP), R11
	MOVQ n+40(FP), R14
	MOVQ width+48(FP), R13
	LEAQ (R8)(R14*4), R14
	LASTCOLUMN

	// The rows that no turn of the loop looks ahead to.
	MOVQ    R8, SI
	LEAQ    FAR(R8), DX
	CMPQ    DX, R11
	CMOVQHI R11, DX

first:
	MOVL       (SI), AX
	PREFETCHT0 (R9)(AX*8)
	SHLQ       $5, AX
	PREFETCHT0 (R10)(AX*1)
	ADDQ       $4, SI
	CMPQ       SI, DX
	JLS        first

loop:
	CMPB sparse+56(FP), $0
	JEQ  dense
	LOOKAHEAD(FAR, PREFETCHT1)
	LOOKAHEAD(NEAR, PREFETCHT0)
	JMP  add

dense:
	LOOKAHEAD(DENSE, PREFETCHT0)

add:
	MOVL (R8), SI
	MOVQ (R9)(SI*8), DX
	SHLQ $5, SI
	ADDQ R10, SI
	ADDROW
	ADDQ $4, R8
	CMPQ R8, R14
	JNE  loop
	RET

// func addRange(hist *TileHistogram, tile *uint8, q *uint64, n, width int)
//
// R9 is the cursor in the words and R14 its end.
TEXT ·addRange(SB), NOSPLIT, $0-40
	MOVQ hist+0(FP), DI
	MOVQ tile+8(FP), SI
	MOVQ q+16(FP), R9
	MOVQ n+24(FP), R14
	MOVQ width+32(FP), R13
	LEAQ (R9)(R14*8), R14
	LASTCOLUMN

loop:
	PREFETCHT0 1024(SI) // 32 rows ahead; a prefetch beyond the end does nothing
	PREFETCHT0 256(R9)

	MOVQ (R9), DX
	ADDROW
	ADDQ $32, SI
	ADDQ $8, R9
	CMPQ R9, R14
	JNE  loop
	RET
