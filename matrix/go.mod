module github.com/fildes/fildes/matrix

go 1.26.0

require (
	github.com/cavaliergopher/cpio v1.0.1
	github.com/fildes/fildes v0.0.0-00010101000000-000000000000
	github.com/klauspost/compress v1.20.3
	github.com/spf13/cobra v1.10.2
	github.com/therootcompany/xz v1.0.1
	github.com/ulikunitz/xz v0.5.17
	golang.org/x/sys v0.49.0
	golang.org/x/tools v0.52.0
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
)

replace github.com/fildes/fildes => ..
