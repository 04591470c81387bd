//go:build linux

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-8
	MOVV	$tapHandler<>(SB), R12
	MOVV	R12, ret+0(FP)
	RET

// The kernel calls it with the signal in R4, the siginfo_t in R5 and the ucontext in R6, on the signal stack of whatever thread, and restores all registers afterwards. It uses nothing of
// Go's, and leaves those three, g and the return address to the handler that it jumps on to.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW	R4, R23
	MOVV	R5, R24
	MOVV	R6, R25
	MOVV	$tapEntry__size, R12
	MULV	R23, R12, R12
	MOVV	$·tapTable(SB), R26
	ADDV	R12, R26

	MOVV	$172, R11 // getpid: in a child before it calls execve, the pipes are the parent's
	SYSCALL
	MOVV	$·tapPID(SB), R12
	MOVW	(R12), R12
	BNE	R4, R12, forward

	MOVV	R0, R27
loop:
	SLLV	$2, R27, R28
	ADDV	R26, R28
	MOVW	tapEntry_ends(R28), R4
	ADDV	$-1, R4
	BLT	R4, R0, next
	MOVV	R24, R5
	MOVV	$128, R6
	MOVV	$64, R11 // write
	SYSCALL
	MOVV	$128, R12
	BEQ	R4, R12, next
	ADDV	$tapEntry_lost, R28, R12
	MOVV	$1, R13
	AMADDDBW	R13, (R12), R14
next:
	ADDV	$1, R27
	MOVV	$const_TapEnds, R12
	BLT	R27, R12, loop

forward:
	MOVWU	tapEntry_forward(R26), R12
	MOVV	tapEntry_next(R26), R13
	MOVV	R23, R4
	MOVV	R24, R5
	MOVV	R25, R6
	BEQ	R12, R0, done
	MOVV	$1, R14 // SIG_IGN
	BGEU	R14, R13, done
	JMP	(R13)
done:
	RET
