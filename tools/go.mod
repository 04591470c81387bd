module github.com/fildes/fildes/tools

go 1.26.0
