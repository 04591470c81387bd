//go:build linux

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-8
	MOV	$tapHandler<>(SB), T0
	MOV	T0, ret+0(FP)
	RET

// The kernel calls it with the signal in A0, the siginfo_t in A1 and the ucontext in A2, on the signal stack of whatever thread, and restores all registers afterwards. It uses nothing of
// Go's, and leaves those three, g and the return address to the handler that it jumps on to.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW	A0, S2
	MOV	A1, S3
	MOV	A2, S4
	MOV	$tapEntry__size, T0
	MUL	S2, T0, T0
	MOV	$·tapTable(SB), S5
	ADD	T0, S5

	MOV	$172, A7 // getpid: in a child before it calls execve, the pipes are the parent's
	ECALL
	MOV	$·tapPID(SB), T0
	MOVW	(T0), T0
	BNE	A0, T0, forward

	MOV	ZERO, S6
loop:
	SLLI	$2, S6, S7
	ADD	S5, S7
	MOVW	tapEntry_ends(S7), A0
	ADD	$-1, A0
	BLT	A0, ZERO, next
	MOV	S3, A1
	MOV	$128, A2
	MOV	$64, A7 // write
	ECALL
	MOV	$128, T0
	BEQ	A0, T0, next
	ADD	$tapEntry_lost, S7, T0
	MOV	$1, T1
	AMOADDW	T1, (T0), ZERO
next:
	ADD	$1, S6
	MOV	$const_TapEnds, T0
	BLT	S6, T0, loop

forward:
	MOVWU	tapEntry_forward(S5), T0
	MOV	tapEntry_next(S5), T1
	MOV	S2, A0
	MOV	S3, A1
	MOV	S4, A2
	BEQ	T0, ZERO, done
	MOV	$1, T2 // SIG_IGN
	BGEU	T2, T1, done
	JMP	(T1)
done:
	RET
