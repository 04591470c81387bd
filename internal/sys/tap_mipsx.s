//go:build linux && (mips || mipsle)

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-4
	MOVW	$tapHandler<>(SB), R1
	MOVW	R1, ret+0(FP)
	RET

// The kernel calls it with the signal in R4, the siginfo_t in R5 and the ucontext in R6, on the signal stack of whatever thread, and restores all registers afterwards. It uses nothing of
// Go's, and leaves those three, g and the return address to the handler that it jumps on to, which finds its own address in R25.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW	R4, R16
	MOVW	R5, R17
	MOVW	R6, R18
	MOVW	$tapEntry__size, R2
	MUL	R16, R2
	MOVW	LO, R2
	MOVW	$·tapTable(SB), R19
	ADDU	R2, R19

	MOVW	$4020, R2 // getpid: in a child before it calls execve, the pipes are the parent's
	SYSCALL
	MOVW	$·tapPID(SB), R3
	MOVW	(R3), R3
	BNE	R2, R3, forward

	MOVW	R0, R20
loop:
	SLL	$2, R20, R21
	ADDU	R19, R21
	MOVW	tapEntry_ends(R21), R4
	ADDU	$-1, R4
	BLTZ	R4, next
	MOVW	R17, R5
	MOVW	$128, R6
	MOVW	$4004, R2 // write: an error is a positive number
	SYSCALL
	BNE	R7, R0, failed
	MOVW	$128, R3
	BEQ	R2, R3, next
failed:
	ADDU	$tapEntry_lost, R21, R3
	SYNC
again:
	LL	(R3), R2
	ADDU	$1, R2
	SC	R2, (R3)
	BEQ	R2, R0, again
	SYNC
next:
	ADDU	$1, R20
	MOVW	$const_TapEnds, R3
	BNE	R20, R3, loop

forward:
	MOVW	tapEntry_forward(R19), R3
	MOVW	tapEntry_next(R19), R25
	MOVW	R16, R4
	MOVW	R17, R5
	MOVW	R18, R6
	BEQ	R3, R0, done
	MOVW	$1, R3 // SIG_IGN
	SGTU	R25, R3, R3
	BEQ	R3, R0, done
	JMP	(R25)
done:
	RET
