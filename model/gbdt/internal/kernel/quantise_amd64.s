#include "textflag.h"

DATA lane<>+0(SB)/8, $0x0000000100000000
DATA lane<>+8(SB)/8, $0x0000000300000002
DATA lane<>+16(SB)/8, $0x0000000500000004
DATA lane<>+24(SB)/8, $0x0000000700000006
DATA lane<>+32(SB)/8, $0x0000000900000008
DATA lane<>+40(SB)/8, $0x0000000b0000000a
DATA lane<>+48(SB)/8, $0x0000000d0000000c
DATA lane<>+56(SB)/8, $0x0000000f0000000e
GLOBL lane<>(SB), RODATA|NOPTR, $64

DATA mixing<>+0(SB)/4, $0x9E3779B1
DATA mixing<>+4(SB)/4, $0x85EBCA6B
DATA mixing<>+8(SB)/4, $0xC2B2AE35
DATA mixing<>+12(SB)/4, $0x37800000 // 1/65536
GLOBL mixing<>(SB), RODATA|NOPTR, $16

// func quantiseAVX512(q []uint64, g, h []float32, gScale, hScale float32, first, seed uint32)
//
// Groups of 16 rows.
//
//	DI q   SI g   DX h   CX groups left
//	Z0 r   Z1 g   Z2 h   Z3 temporary
//	Z16 row*0x9E3779B1, and Z17 its step from group to group   Z18 seed
//	Z19, Z20 the factors of mix   Z21 low halves of 32 bits
//	Z22 1/65536   Z23 gScale   Z24 hScale
//	Z25, Z26 indices for VPERMT2D that interleave the first and the last 8 lanes
//	of two vectors; those of the second are 16 to 31
TEXT ·quantiseAVX512(SB), NOSPLIT, $0-88
	MOVQ         q_base+0(FP), DI
	MOVQ         q_len+8(FP), CX
	MOVQ         g_base+24(FP), SI
	MOVQ         h_base+48(FP), DX
	VPBROADCASTD mixing<>+0(SB), Z17
	MOVL         first+80(FP), AX
	VPBROADCASTD AX, Z16
	VMOVDQU32    lane<>(SB), Z25
	VPADDD       Z25, Z16, Z16
	VPMULLD      Z17, Z16, Z16
	VPSLLD       $4, Z17, Z17
	MOVL         seed+84(FP), AX
	VPBROADCASTD AX, Z18
	VPBROADCASTD mixing<>+4(SB), Z19
	VPBROADCASTD mixing<>+8(SB), Z20
	VPTERNLOGD   $0xff, Z21, Z21, Z21
	VPSRLD       $16, Z21, Z21
	VBROADCASTSS mixing<>+12(SB), Z22
	VBROADCASTSS gScale+72(FP), Z23
	VBROADCASTSS hScale+76(FP), Z24
	VPSLLD       $31, Z25, Z26
	VPSRLD       $27, Z26, Z26
	VPSRLD       $1, Z25, Z25
	VPORD        Z26, Z25, Z25 // lane/2, with 16 added in odd lanes
	MOVL         $8, AX
	VPBROADCASTD AX, Z26
	VPADDD       Z26, Z25, Z26
	SHRQ         $4, CX
	JZ           done

loop:
	// mix
	VPXORD  Z18, Z16, Z0
	VPADDD  Z17, Z16, Z16
	VPSRLD  $16, Z0, Z3
	VPXORD  Z3, Z0, Z0
	VPMULLD Z19, Z0, Z0
	VPSRLD  $13, Z0, Z3
	VPXORD  Z3, Z0, Z0
	VPMULLD Z20, Z0, Z0
	VPSRLD  $16, Z0, Z3
	VPXORD  Z3, Z0, Z0

	// The fractions to add: of the low half to g, of the high half to h,
	// which the last step of mix has left as it was.
	VPANDD    Z21, Z0, Z0
	VCVTDQ2PS Z0, Z0
	VCVTDQ2PS Z3, Z3
	VMULPS    Z22, Z0, Z0
	VMULPS    Z22, Z3, Z3

	VMULPS           (SI), Z23, Z1
	VMULPS           (DX), Z24, Z2
	VADDPS           Z0, Z1, Z1
	VADDPS           Z3, Z2, Z2
	VCVTPS2DQ.RD_SAE Z1, Z1 // down
	VCVTPS2DQ.RD_SAE Z2, Z2

	VMOVDQA64 Z2, Z3
	VPERMT2D  Z1, Z25, Z2
	VPERMT2D  Z1, Z26, Z3
	VMOVDQU64 Z2, (DI)
	VMOVDQU64 Z3, 64(DI)

	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $128, DI
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

// func quantiseAVX2(q []uint64, g, h []float32, gScale, hScale float32, first, seed uint32)
//
// Groups of 8 rows.
//
//	DI q   SI g   DX h   CX groups left
//	Y0 r   Y1 g   Y2 h   Y3 temporary
//	Y7 row*0x9E3779B1, and Y8 its step from group to group   Y9 seed
//	Y10, Y11 the factors of mix   Y12 low halves of 32 bits
//	Y13 1/65536   Y14 gScale   Y15 hScale
TEXT ·quantiseAVX2(SB), NOSPLIT, $0-88
	MOVQ         q_base+0(FP), DI
	MOVQ         q_len+8(FP), CX
	MOVQ         g_base+24(FP), SI
	MOVQ         h_base+48(FP), DX
	VPBROADCASTD mixing<>+0(SB), Y8
	MOVL         first+80(FP), AX
	VMOVD        AX, X7
	VPBROADCASTD X7, Y7
	VPADDD       lane<>(SB), Y7, Y7
	VPMULLD      Y8, Y7, Y7
	VPSLLD       $3, Y8, Y8
	MOVL         seed+84(FP), AX
	VMOVD        AX, X9
	VPBROADCASTD X9, Y9
	VPBROADCASTD mixing<>+4(SB), Y10
	VPBROADCASTD mixing<>+8(SB), Y11
	VPCMPEQD     Y12, Y12, Y12
	VPSRLD       $16, Y12, Y12
	VBROADCASTSS mixing<>+12(SB), Y13
	VBROADCASTSS gScale+72(FP), Y14
	VBROADCASTSS hScale+76(FP), Y15
	SHRQ         $3, CX
	JZ           done

loop:
	VPXOR   Y9, Y7, Y0
	VPADDD  Y8, Y7, Y7
	VPSRLD  $16, Y0, Y3
	VPXOR   Y3, Y0, Y0
	VPMULLD Y10, Y0, Y0
	VPSRLD  $13, Y0, Y3
	VPXOR   Y3, Y0, Y0
	VPMULLD Y11, Y0, Y0
	VPSRLD  $16, Y0, Y3
	VPXOR   Y3, Y0, Y0

	VPAND     Y12, Y0, Y0
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y3, Y3
	VMULPS    Y13, Y0, Y0
	VMULPS    Y13, Y3, Y3

	VMULPS     (SI), Y14, Y1
	VMULPS     (DX), Y15, Y2
	VADDPS     Y0, Y1, Y1
	VADDPS     Y3, Y2, Y2
	VROUNDPS   $9, Y1, Y1 // down
	VROUNDPS   $9, Y2, Y2
	VCVTTPS2DQ Y1, Y1
	VCVTTPS2DQ Y2, Y2

	VPUNPCKLDQ Y1, Y2, Y0 // rows 0, 1, 4, 5
	VPUNPCKHDQ Y1, Y2, Y3 // rows 2, 3, 6, 7
	VPERM2I128 $0x20, Y3, Y0, Y1
	VPERM2I128 $0x31, Y3, Y0, Y2
	VMOVDQU    Y1, (DI)
	VMOVDQU    Y2, 32(DI)

	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $64, DI
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET
