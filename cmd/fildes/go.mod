module github.com/fildes/fildes/cmd/fildes

go 1.26.0
