//go:build linux

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-8
	MOVD	$tapHandler<>(SB), R3
	MOVD	R3, ret+0(FP)
	RET

// The kernel calls it with the signal in R3, the siginfo_t in R4 and the ucontext in R5, on the signal stack of whatever thread, and restores all registers afterwards. It uses nothing of
// Go's, and leaves those three, g and the link register to the handler that it jumps on to, which finds its own address in R12.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW	R3, R14
	MOVD	R4, R15
	MOVD	R5, R16
	MOVD	$tapEntry__size, R6
	MULLD	R14, R6, R6
	MOVD	$·tapTable(SB), R17
	ADD	R6, R17

	MOVD	$20, R0 // getpid: in a child before it calls execve, the pipes are the parent's
	SYSCALL	R0
	MOVD	$·tapPID(SB), R6
	MOVW	(R6), R6
	CMPW	R3, R6
	BNE	forward

	MOVD	$0, R18
loop:
	SLD	$2, R18, R19
	ADD	R17, R19
	MOVW	tapEntry_ends(R19), R3
	ADD	$-1, R3
	CMP	R3, $0
	BLT	next
	MOVD	R15, R4
	MOVD	$128, R5
	MOVD	$4, R0 // write: an error is a small positive number
	SYSCALL	R0
	CMP	R3, $128
	BEQ	next
	ADD	$tapEntry_lost, R19, R6
again:
	LWAR	(R6), R7
	ADD	$1, R7
	STWCCC	R7, (R6)
	BNE	again
next:
	ADD	$1, R18
	CMP	R18, $const_TapEnds
	BLT	loop

forward:
	MOVWZ	tapEntry_forward(R17), R6
	MOVD	tapEntry_next(R17), R12
	MOVD	R14, R3
	MOVD	R15, R4
	MOVD	R16, R5
	CMP	R6, $0
	BEQ	done
	CMPU	R12, $1 // SIG_IGN
	BLE	done
	MOVD	R12, CTR
	BR	(CTR)
done:
	RET
