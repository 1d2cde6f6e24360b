#include "go_asm.h"
#include "textflag.h"

// The rows of the table of constants.
#define EXPMIN  0(BX)
#define EXPMAX  32(BX)
#define LOG2E   64(BX)
#define ROUND   96(BX)
#define LN2HIGH 128(BX)
#define LN2LOW  160(BX)
#define P0      192(BX)
#define P1      224(BX)
#define P2      256(BX)
#define P3      288(BX)
#define P4      320(BX)
#define P5      352(BX)
#define ONE     384(BX)

// Both functions:
//
//	SI score   R8 sign   R9 weight or nil   DI g   R10 h   CX groups left
//	BX table of constants

// func gradientsAVX512(sums *laneSums, g, h []float32, score []float64, sign, weight []float32, constants *[13][8]float32)
//
// Groups of 16 rows.
//
//	Z0 x, r, |g|   Z1 2^k   Z2 polynomial, exp, h   Z3 k, r*r   Z4 sign
//	Z5, Z6 parts of the polynomial
//	Z16 to Z28 the constants in the order above   Z29 -0
//	Z30, Z31 sums of |g| and of h
TEXT ·gradientsAVX512(SB), NOSPLIT, $0-136
	MOVQ         g_base+8(FP), DI
	MOVQ         h_base+32(FP), R10
	MOVQ         score_base+56(FP), SI
	MOVQ         score_len+64(FP), CX
	MOVQ         sign_base+80(FP), R8
	MOVQ         weight_base+104(FP), R9
	MOVQ         constants+128(FP), BX
	VBROADCASTSS EXPMIN, Z16
	VBROADCASTSS EXPMAX, Z17
	VBROADCASTSS LOG2E, Z18
	VBROADCASTSS ROUND, Z19
	VBROADCASTSS LN2HIGH, Z20
	VBROADCASTSS LN2LOW, Z21
	VBROADCASTSS P0, Z22
	VBROADCASTSS P1, Z23
	VBROADCASTSS P2, Z24
	VBROADCASTSS P3, Z25
	VBROADCASTSS P4, Z26
	VBROADCASTSS P5, Z27
	VBROADCASTSS ONE, Z28
	VPTERNLOGD   $0xff, Z29, Z29, Z29
	VPSLLD       $31, Z29, Z29
	VPXORQ       Z30, Z30, Z30
	VPXORQ       Z31, Z31, Z31
	SHRQ         $4, CX
	JZ           done

loop:
	// x = score*sign, cut off. If one operand is NaN, MAX returns its second,
	// which is the one written first here.
	VCVTPD2PS    (SI), Y0
	VCVTPD2PS    64(SI), Y1
	VINSERTF64X4 $1, Y1, Z0, Z0
	VMOVUPS      (R8), Z4
	VMULPS       Z4, Z0, Z0
	VMAXPS       Z16, Z0, Z0
	VMINPS       Z17, Z0, Z0

	// k = x/ln 2, rounded by adding roundMagic, which brings it to the low
	// end of the bits. From there it is shifted to the exponent, where adding
	// it to the bits of a number multiplies that by 2^k.
	VMULPS Z18, Z0, Z1
	VADDPS Z19, Z1, Z1
	VSUBPS Z19, Z1, Z3
	VPSLLD $23, Z1, Z1

	// r = x - k*ln 2
	VMULPS Z20, Z3, Z2
	VMULPS Z21, Z3, Z3
	VSUBPS Z2, Z0, Z0
	VSUBPS Z3, Z0, Z0

	// exp(r), and of x
	VMULPS Z0, Z0, Z3
	VMULPS Z22, Z0, Z2
	VMULPS Z24, Z0, Z5
	VMULPS Z26, Z0, Z6
	VADDPS Z23, Z2, Z2
	VADDPS Z25, Z5, Z5
	VADDPS Z27, Z6, Z6
	VMULPS Z3, Z2, Z2
	VADDPS Z5, Z2, Z2
	VMULPS Z3, Z2, Z2
	VADDPS Z6, Z2, Z2
	VMULPS Z3, Z2, Z2
	VADDPS Z0, Z2, Z2
	VADDPS Z28, Z2, Z2
	VPADDD Z1, Z2, Z2

	// |g| = 1/(1+exp(x)), h = |g|(1-|g|), both times weight
	VADDPS Z28, Z2, Z2
	VDIVPS Z2, Z28, Z0
	VSUBPS Z0, Z28, Z2
	VMULPS Z2, Z0, Z2
	TESTQ  R9, R9
	JZ     store
	VMULPS (R9), Z0, Z0
	VMULPS (R9), Z2, Z2
	ADDQ   $64, R9

store:
	VXORPS  Z29, Z4, Z4
	VMULPS  Z4, Z0, Z4
	VMOVUPS Z4, (DI)
	VMOVUPS Z2, (R10)

	// The sums: rows 0 to 7 before rows 8 to 15.
	VCVTPS2PD     Y0, Z1
	VCVTPS2PD     Y2, Z3
	VEXTRACTF64X4 $1, Z0, Y0
	VEXTRACTF64X4 $1, Z2, Y2
	VADDPD        Z1, Z30, Z30
	VADDPD        Z3, Z31, Z31
	VCVTPS2PD     Y0, Z0
	VCVTPS2PD     Y2, Z2
	VADDPD        Z0, Z30, Z30
	VADDPD        Z2, Z31, Z31

	ADDQ $128, SI
	ADDQ $64, R8
	ADDQ $64, DI
	ADDQ $64, R10
	DECQ CX
	JNZ  loop

done:
	MOVQ    sums+0(FP), AX
	VMOVUPD Z30, laneSums_g(AX)
	VMOVUPD Z31, laneSums_h(AX)
	VZEROUPPER
	RET

// func gradientsAVX2(sums *laneSums, g, h []float32, score []float64, sign, weight []float32, constants *[13][8]float32)
//
// Groups of 8 rows; the steps are those of gradientsAVX512.
//
//	Y0 x, r, |g|   Y1 2^k   Y2 polynomial, exp, h   Y3 k, r*r
//	Y4, Y5 parts of the polynomial
//	Y6 log2e   Y7 roundMagic   Y8 ln2High   Y9 ln2Low   Y10 1   Y11 -0
//	Y12, Y13 sums of |g| of lanes 0 to 3 and 4 to 7   Y14, Y15 sums of h
TEXT ·gradientsAVX2(SB), NOSPLIT, $0-136
	MOVQ     g_base+8(FP), DI
	MOVQ     h_base+32(FP), R10
	MOVQ     score_base+56(FP), SI
	MOVQ     score_len+64(FP), CX
	MOVQ     sign_base+80(FP), R8
	MOVQ     weight_base+104(FP), R9
	MOVQ     constants+128(FP), BX
	VMOVUPS  LOG2E, Y6
	VMOVUPS  ROUND, Y7
	VMOVUPS  LN2HIGH, Y8
	VMOVUPS  LN2LOW, Y9
	VMOVUPS  ONE, Y10
	VPCMPEQD Y11, Y11, Y11
	VPSLLD   $31, Y11, Y11
	VXORPD   Y12, Y12, Y12
	VXORPD   Y13, Y13, Y13
	VXORPD   Y14, Y14, Y14
	VXORPD   Y15, Y15, Y15
	SHRQ     $3, CX
	JZ       done

loop:
	VCVTPD2PSY  (SI), X0
	VCVTPD2PSY  32(SI), X1
	VINSERTF128 $1, X1, Y0, Y0
	VMULPS      (R8), Y0, Y0
	VMAXPS      EXPMIN, Y0, Y0
	VMINPS      EXPMAX, Y0, Y0

	VMULPS Y6, Y0, Y1
	VADDPS Y7, Y1, Y1
	VSUBPS Y7, Y1, Y3
	VPSLLD $23, Y1, Y1

	VMULPS Y8, Y3, Y2
	VMULPS Y9, Y3, Y3
	VSUBPS Y2, Y0, Y0
	VSUBPS Y3, Y0, Y0

	VMULPS Y0, Y0, Y3
	VMULPS P0, Y0, Y2
	VMULPS P2, Y0, Y4
	VMULPS P4, Y0, Y5
	VADDPS P1, Y2, Y2
	VADDPS P3, Y4, Y4
	VADDPS P5, Y5, Y5
	VMULPS Y3, Y2, Y2
	VADDPS Y4, Y2, Y2
	VMULPS Y3, Y2, Y2
	VADDPS Y5, Y2, Y2
	VMULPS Y3, Y2, Y2
	VADDPS Y0, Y2, Y2
	VADDPS Y10, Y2, Y2
	VPADDD Y1, Y2, Y2

	VADDPS Y10, Y2, Y2
	VDIVPS Y2, Y10, Y0
	VSUBPS Y0, Y10, Y2
	VMULPS Y2, Y0, Y2
	TESTQ  R9, R9
	JZ     store
	VMULPS (R9), Y0, Y0
	VMULPS (R9), Y2, Y2
	ADDQ   $32, R9

store:
	VXORPS  (R8), Y11, Y3
	VMULPS  Y3, Y0, Y3
	VMOVUPS Y3, (DI)
	VMOVUPS Y2, (R10)

	VCVTPS2PD    X0, Y1
	VCVTPS2PD    X2, Y3
	VEXTRACTF128 $1, Y0, X0
	VEXTRACTF128 $1, Y2, X2
	VADDPD       Y1, Y12, Y12
	VADDPD       Y3, Y14, Y14
	VCVTPS2PD    X0, Y0
	VCVTPS2PD    X2, Y2
	VADDPD       Y0, Y13, Y13
	VADDPD       Y2, Y15, Y15

	ADDQ $64, SI
	ADDQ $32, R8
	ADDQ $32, DI
	ADDQ $32, R10
	DECQ CX
	JNZ  loop

done:
	MOVQ    sums+0(FP), AX
	VMOVUPD Y12, laneSums_g+0(AX)
	VMOVUPD Y13, laneSums_g+32(AX)
	VMOVUPD Y14, laneSums_h+0(AX)
	VMOVUPD Y15, laneSums_h+32(AX)
	VZEROUPPER
	RET
