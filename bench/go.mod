module github.com/fildes/fildes/bench

go 1.26.0
