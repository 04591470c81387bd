//go:build linux

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-8
	MOVD	$tapHandler<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// The kernel calls it with the signal in R0, the siginfo_t in R1 and the ucontext in R2, on the signal stack of whatever thread, and restores all registers afterwards. It uses nothing of
// Go's, and leaves those three, g and the link register to the handler that it jumps on to.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	SXTW	R0, R19
	MOVD	R1, R20
	MOVD	R2, R21
	MOVD	$tapEntry__size, R3
	MUL	R19, R3, R3
	MOVD	$·tapTable(SB), R22
	ADD	R3, R22

	MOVD	$172, R8 // getpid: in a child before it calls execve, the pipes are the parent's
	SVC
	MOVD	$·tapPID(SB), R3
	MOVW	(R3), R3
	CMPW	R0, R3
	BNE	forward

	MOVD	$0, R23
loop:
	ADD	R23<<2, R22, R24
	MOVW	tapEntry_ends(R24), R0
	SUB	$1, R0
	TBNZ	$63, R0, next
	MOVD	R20, R1
	MOVD	$128, R2
	MOVD	$64, R8 // write
	SVC
	CMP	$128, R0
	BEQ	next
	ADD	$tapEntry_lost, R24, R3
again:
	LDAXRW	(R3), R4
	ADDW	$1, R4
	STLXRW	R4, (R3), R5
	CBNZ	R5, again
next:
	ADD	$1, R23
	CMP	$const_TapEnds, R23
	BLT	loop

forward:
	MOVWU	tapEntry_forward(R22), R3
	MOVD	tapEntry_next(R22), R9
	MOVD	R19, R0
	MOVD	R20, R1
	MOVD	R21, R2
	CBZ	R3, done
	CMP	$1, R9 // SIG_IGN
	BLS	done
	B	(R9)
done:
	RET
