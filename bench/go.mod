module github.com/fildes/fildes/bench

go 1.26.0

require (
	github.com/fildes/fildes v0.0.0-00010101000000-000000000000
	github.com/fsnotify/fsnotify v1.10.1
	golang.org/x/sys v0.49.0
)

replace github.com/fildes/fildes => ..
