// The body of both functions of path_amd64.s; V0 to V15 are their vectors.
//
//	SI keys   DI slots   R10 totals   R12 repeats, from 1
//	R8 node   R9 its hot child   R11 its slot   CX nodes left
//	AX, BX, DX, R13, R14, R15 this and that
//
//	V15 p   V14 q   V13 1
//	V0 V   V1 p'   V6 factor of V
	MOVQ         t+0(FP), AX
	MOVQ         points+8(FP), BX
	MOVQ         first+16(FP), DX
	MOVQ         keys+24(FP), SI
	MOVQ         slots+32(FP), DI
	MOVQ         totals+40(FP), R10
	MOVQ         hot+48(FP), R9
	LEAQ         (DI)(DX*8), DI
	LEAQ         (R10)(DX*8), R10
	VMOVUPD      Points_P(BX)(DX*8), V15
	VMOVUPD      Points_Q(BX)(DX*8), V14
	VMOVUPD      Points_Weight(BX)(DX*8), V0
	VMOVUPD      V0, (DI)
	MOVQ         PathTree_Repeats(AX), R12
	SUBQ         $PathRepeat__size, R12
	MOVL         $1, DX
	VCVTSI2SDQ   DX, X13, X13
	VBROADCASTSD X13, V13

	MOVQ  PathTree_Forks(AX), R8
	MOVQ  PathTree_Forks+8(AX), CX
	MOVQ  DI, R11
	TESTQ CX, CX
	JZ    pairs

	// AX is 0 if the row goes left and else 1.
#define SIDE(test) \
	MOVWLZX test(R8), AX;   \
	MOVL    (SI)(AX*1), AX; \
	CMPL    AX, test+4(R8); \
	SBBL    AX, AX;         \
	ADDL    $1, AX

	// Whether the row passed the test of repeat number R15, which becomes its
	// address.
#define PASSED \
	IMULL   $PathRepeat__size, R15;  \
	ADDQ    R12, R15;                \
	MOVWLZX PathRepeat_Fork(R15), DX; \
	ADDL    DX, DX;                  \
	ADDQ    hot+48(FP), DX;          \
	MOVWLZX (DX), DX;                \
	CMPW    DX, PathRepeat_Slot(R15)

	// The chance and the factor of repeat R15, if the row passed.
#define AGAIN \
	VBROADCASTSD PathRepeat_Z(R15), V6; \
	VMULPD       V6, V14, V7;           \
	VADDPD       V7, V15, V7;           \
	VDIVPD       V7, V13, V7;           \
	VMULPD       V7, V15, V1;           \
	VMULPD       V7, V6, V6;            \
	VMULPD       V7, V6, V6

fork:
	SIDE(PathFork_Test)
	MOVL    AX, BX
	XORL    $1, BX
	MOVWLZX PathFork_Child(R8)(AX*2), R13
	MOVWLZX PathFork_Child(R8)(BX*2), R14
	MOVWLZX PathFork_Repeat(R8), R15
	VMOVUPD (R11), V0
	VMOVAPD V15, V1
	MOVL    R13, DX
	TESTL   R15, R15
	JNZ     forkAgain

forkOn:
	MOVW         DX, (R9)
	VMULPD       V0, V1, V2                   // in
	VSUBPD       V2, V0, V3                   // out
	VBROADCASTSD PathFork_Share(R8)(AX*8), V4
	VBROADCASTSD PathFork_Share(R8)(BX*8), V5
	SHLL         $6, R13
	SHLL         $6, R14
	VMULPD       V3, V4, V4
	VMULPD       V3, V5, V5
	VADDPD       V2, V4, V4
	VMOVUPD      V4, (DI)(R13*1)
	VMOVUPD      V5, (DI)(R14*1)
	ADDQ         $64, R11
	ADDQ         $2, R9
	ADDQ         $PathFork__size, R8
	DECQ         CX
	JNZ          fork

pairs:
	MOVQ  t+0(FP), AX
	MOVQ  PathTree_Pairs(AX), R8
	MOVQ  PathTree_Pairs+8(AX), CX
	TESTQ CX, CX
	JZ    leaves

pair:
	SIDE(PathPair_Test)
	MOVWLZX      PathPair_Test+2(R8), R13
	MOVWLZX      PathPair_Repeat(R8), R15
	SHLL         $6, R13
	VMOVUPD      (R11), V0
	VMOVAPD      V15, V1
	VBROADCASTSD PathPair_Gain(R8)(AX*8), V2 // d
	VBROADCASTSD PathPair_Mean(R8), V3
	TESTL        R15, R15
	JNZ          pairAgain

pairOn:
	VMULPD  V2, V0, V0
	VMULPD  V2, V1, V1
	VADDPD  (R10)(R13*1), V0, V0
	VADDPD  V3, V1, V1
	VMOVUPD V0, (R10)(R13*1)
	VMOVUPD V1, (R11)
	ADDQ    $64, R11
	ADDQ    $PathPair__size, R8
	DECQ    CX
	JNZ     pair

leaves:
	MOVQ  t+0(FP), AX
	MOVQ  PathTree_Leaves(AX), R8
	MOVQ  PathTree_Leaves+8(AX), CX
	TESTQ CX, CX
	JZ    forks

leaf:
	VBROADCASTSD (R8), V0
	VMOVUPD      V0, (R11)
	ADDQ         $64, R11
	ADDQ         $8, R8
	DECQ         CX
	JNZ          leaf

forks:
	// From the last fork to the first.
	MOVQ  t+0(FP), AX
	MOVQ  PathTree_Forks+8(AX), CX
	TESTQ CX, CX
	JZ    end
	MOVQ  hot+48(FP), R9
	LEAQ  (R9)(CX*2), R9
	MOVQ  CX, R11
	SHLQ  $6, R11
	ADDQ  DI, R11
	MOVQ  CX, R8
	IMULQ $PathFork__size, R8
	ADDQ  PathTree_Forks(AX), R8

up:
	SUBQ         $PathFork__size, R8
	SUBQ         $2, R9
	SUBQ         $64, R11
	MOVWLZX      PathFork_Child(R8), AX
	MOVWLZX      PathFork_Child+2(R8), BX
	MOVWLZX      (R9), R13
	MOVWLZX      PathFork_Test+2(R8), R14
	MOVWLZX      PathFork_Repeat(R8), R15
	SHLL         $6, AX
	SHLL         $6, BX
	SHLL         $6, R13
	SHLL         $6, R14
	VBROADCASTSD PathFork_Share(R8), V2
	VBROADCASTSD PathFork_Share+8(R8), V3
	VMULPD       (DI)(AX*1), V2, V2
	VMULPD       (DI)(BX*1), V3, V3
	VMOVUPD      (DI)(R13*1), V4
	VMOVAPD      V15, V1
	TESTL        R15, R15
	JNZ          upAgain

upOn:
	VADDPD  V3, V2, V2           // m
	VSUBPD  V2, V4, V4           // d
	VMULPD  (R11), V4, V5
	VMULPD  V1, V4, V4
	VADDPD  (R10)(R14*1), V5, V5
	VADDPD  V2, V4, V4
	VMOVUPD V5, (R10)(R14*1)
	VMOVUPD V4, (R11)
	DECQ    CX
	JNZ     up

end:
	VZEROUPPER
	RET

forkAgain:
	PASSED
	JNE     forkBlocked
	AGAIN
	VMULPD  V6, V0, V6
	VMOVUPD V6, (R11)
	MOVL    R13, DX
	JMP     forkOn

forkBlocked:
	VPXOR   X1, X1, X1
	VMOVUPD V1, (R11)
	XORL    DX, DX
	JMP     forkOn

pairAgain:
	PASSED
	JNE    pairBlocked
	AGAIN
	VMULPD V6, V0, V0
	JMP    pairOn

pairBlocked:
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1
	JMP   pairOn

upAgain:
	PASSED
	JNE   upBlocked
	AGAIN
	JMP   upOn

upBlocked:
	VPXOR X1, X1, X1
	JMP   upOn

#undef SIDE
#undef PASSED
#undef AGAIN
