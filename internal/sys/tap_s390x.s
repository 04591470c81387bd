//go:build linux

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-8
	MOVD	$tapHandler<>(SB), R1
	MOVD	R1, ret+0(FP)
	RET

// The kernel calls it with the signal in R2, the siginfo_t in R3 and the ucontext in R4, on the signal stack of whatever thread, and restores all registers afterwards. It uses nothing of
// Go's, and leaves those three, g and the return address to the handler that it jumps on to.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW	R2, R6
	MOVD	R3, R7
	MOVD	R4, R8
	MOVD	$tapEntry__size, R9
	MULLD	R6, R9
	MOVD	$·tapTable(SB), R5
	ADD	R5, R9

	MOVD	$20, R1 // getpid: in a child before it calls execve, the pipes are the parent's
	SYSCALL
	MOVD	$·tapPID(SB), R5
	MOVW	(R5), R5
	CMPW	R2, R5
	BNE	forward

	MOVD	$0, R12
loop:
	SLD	$2, R12, R5
	ADD	R9, R5
	MOVW	tapEntry_ends(R5), R2
	ADD	$-1, R2
	CMP	R2, $0
	BLT	next
	MOVD	R7, R3
	MOVD	$128, R4
	MOVD	$4, R1 // write
	SYSCALL
	CMP	R2, $128
	BEQ	next
	MOVD	$1, R1
	LAA	R1, R2, tapEntry_lost(R5)
next:
	ADD	$1, R12
	CMP	R12, $const_TapEnds
	BLT	loop

forward:
	MOVWZ	tapEntry_forward(R9), R5
	MOVD	tapEntry_next(R9), R1
	MOVD	R6, R2
	MOVD	R7, R3
	MOVD	R8, R4
	CMP	R5, $0
	BEQ	done
	CMPU	R1, $1 // SIG_IGN
	BLE	done
	BR	(R1)
done:
	RET
