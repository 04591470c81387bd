//go:build linux

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-4
	MOVW	$tapHandler<>(SB), R0
	MOVW	R0, ret+0(FP)
	RET

// The kernel calls it with the signal in R0, the siginfo_t in R1 and the ucontext in R2, on the signal stack of whatever thread, and restores all registers afterwards. It uses nothing of
// Go's, and leaves those three, g and the link register to the handler that it jumps on to.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW	R0, R4
	MOVW	R1, R5
	MOVW	R2, R6
	MOVW	$tapEntry__size, R8
	MUL	R4, R8, R8
	MOVW	$·tapTable(SB), R3
	ADD	R3, R8

	MOVW	$20, R7 // getpid: in a child before it calls execve, the pipes are the parent's
	SWI	$0
	MOVW	$·tapPID(SB), R3
	MOVW	(R3), R3
	CMP	R0, R3
	BNE	forward

	MOVW	$0, R9
loop:
	ADD	R9<<2, R8, R3
	MOVW	tapEntry_ends(R3), R0
	SUB.S	$1, R0
	BLT	next
	MOVW	R5, R1
	MOVW	$128, R2
	MOVW	$4, R7 // write
	SWI	$0
	CMP	$128, R0
	BEQ	next
	ADD	R9<<2, R8, R3
	ADD	$tapEntry_lost, R3
#ifdef GOARM_5 // has one core
	MOVW	(R3), R0
	ADD	$1, R0
	MOVW	R0, (R3)
#else
again:
	LDREX	(R3), R0
	ADD	$1, R0
	STREX	R0, (R3), R1
	CMP	$0, R1
	BNE	again
#endif
next:
	ADD	$1, R9
	CMP	$const_TapEnds, R9
	BLT	loop

forward:
	MOVW	tapEntry_forward(R8), R3
	MOVW	tapEntry_next(R8), R12
	MOVW	R4, R0
	MOVW	R5, R1
	MOVW	R6, R2
	CMP	$0, R3
	BEQ	done
	CMP	$1, R12 // SIG_IGN
	BLS	done
	MOVW	R12, R15
done:
	MOVW	R14, R15
