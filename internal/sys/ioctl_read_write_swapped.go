//go:build linux && (mips || mipsle || mips64 || mips64le || ppc64 || ppc64le)

package sys

const tfdIOCSetTicks = 0x80085400 // TFD_IOC_SET_TICKS
