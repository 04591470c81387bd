//go:build linux && (mips64 || mips64le)

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-8
	MOVV	$tapHandler<>(SB), R1
	MOVV	R1, ret+0(FP)
	RET

// The kernel calls it with the signal in R4, the siginfo_t in R5 and the ucontext in R6, on the signal stack of whatever thread, and restores all registers afterwards. It uses nothing of
// Go's, and leaves those three, g and the return address to the handler that it jumps on to, which finds its own address in R25.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVV	R31, R22
	BGEZAL	R0, 1(PC) // RSB, with which addresses are made, is the upper half of the PC
	SRLV	$32, R31, RSB
	SLLV	$32, RSB
	MOVV	R22, R31

	MOVW	R4, R16
	MOVV	R5, R17
	MOVV	R6, R18
	MOVV	$tapEntry__size, R2
	MULVU	R16, R2
	MOVV	LO, R2
	MOVV	$·tapTable(SB), R19
	ADDVU	R2, R19

	MOVV	$5038, R2 // getpid: in a child before it calls execve, the pipes are the parent's
	SYSCALL
	MOVV	$·tapPID(SB), R3
	MOVW	(R3), R3
	BNE	R2, R3, forward

	MOVV	R0, R20
loop:
	SLLV	$2, R20, R21
	ADDVU	R19, R21
	MOVW	tapEntry_ends(R21), R4
	ADDVU	$-1, R4
	BLTZ	R4, next
	MOVV	R17, R5
	MOVV	$128, R6
	MOVV	$5001, R2 // write: an error is a positive number
	SYSCALL
	BNE	R7, R0, failed
	MOVV	$128, R3
	BEQ	R2, R3, next
failed:
	ADDVU	$tapEntry_lost, R21, R3
	SYNC
again:
	LL	(R3), R2
	ADDU	$1, R2
	SC	R2, (R3)
	BEQ	R2, R0, again
	SYNC
next:
	ADDVU	$1, R20
	MOVV	$const_TapEnds, R3
	BNE	R20, R3, loop

forward:
	MOVW	tapEntry_forward(R19), R3
	MOVV	tapEntry_next(R19), R25
	MOVV	R16, R4
	MOVV	R17, R5
	MOVV	R18, R6
	BEQ	R3, R0, done
	MOVV	$1, R3 // SIG_IGN
	SGTU	R25, R3, R3
	BEQ	R3, R0, done
	JMP	(R25)
done:
	RET
